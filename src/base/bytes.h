/* SPDX-License-Identifier: Apache-2.0
 *
 * A growing run of bytes. Failure sticks: append as often as you like, ask bytes_failed() once. The memory
 * always ends in a NUL that `length` does not count.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    char *data; /* NULL while empty */
    size_t length;
    size_t capacity;
    bool failed; /* out of memory at some point */
};

#define BYTES_EMPTY ((struct bytes){NULL, 0, 0, false})
#define auto_bytes  __attribute__((cleanup(bytes_clear))) struct bytes

void bytes_clear(struct bytes *bytes);
void bytes_append(struct bytes *bytes, const void *data, size_t length);
void bytes_string(struct bytes *bytes, const char *string);
void bytes_char(struct bytes *bytes, char c);
void bytes_fill(struct bytes *bytes, char c, size_t count);
void bytes_u64(struct bytes *bytes, uint64_t value); /* decimal */
void bytes_printf(struct bytes *bytes, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A JSON string with its quotes, escaped as the official library does: `"` `\` and control bytes only. */
void bytes_json(struct bytes *bytes, const char *utf8, size_t length);

/* The same for bytes that need not be UTF-8, such as a path: others are written \udcXX (PEP 383). NULL gives
 * null. */
void bytes_json_path(struct bytes *bytes, const char *path);

/* Hands the memory over (never NULL, even when empty); NULL when appending failed. */
char *bytes_take(struct bytes *bytes);

/* The order of two runs, byte by byte; of two that begin alike the shorter one is first. */
static inline int bytes_compare(const void *a, size_t a_length, const void *b, size_t b_length)
{
    size_t shorter = a_length < b_length ? a_length : b_length;
    int order = shorter ? memcmp(a, b, shorter) : 0;
    return order ? order : (a_length > b_length) - (a_length < b_length);
}

#endif
