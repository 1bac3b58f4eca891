/* SPDX-License-Identifier: Apache-2.0
 *
 * What a fuzz target is: one function that takes any bytes, and aborts when something that must hold does
 * not.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define MUST(condition)                                                                \
    do {                                                                               \
        if (!(condition)) {                                                            \
            fprintf(stderr, "%s:%d: must hold: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                   \
        }                                                                              \
    } while (0)

/* A copy without a byte to spare, for a sanitizer to see its end; the caller frees. `spare` bytes more where
 * they are wanted. */
static inline void *fuzz_copy(const void *bytes, size_t size, size_t spare)
{
    void *copy = calloc(size + spare ? size + spare : 1, 1);
    MUST(copy);
    if (size)
        memcpy(copy, bytes, size);
    return copy;
}

#endif
