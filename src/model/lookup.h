/* SPDX-License-Identifier: Apache-2.0
 *
 * Finds the index of a tensor by a 64-bit key (an id, the hash of a file name). Filled once, sorted, then
 * only read.
 */
#ifndef MODEL_LOOKUP_H
#define MODEL_LOOKUP_H

#include <stddef.h>
#include <stdint.h>

struct lookup_pair {
    uint64_t key;
    size_t index;
};

struct lookup {
    size_t count;
    size_t capacity;
    struct lookup_pair *pairs;
};

#define LOOKUP_EMPTY ((struct lookup){0, 0, NULL})

void lookup_clear(struct lookup *lookup);

/* 0 or -ENOMEM. */
int lookup_add(struct lookup *lookup, uint64_t key, size_t index);

/* After the last lookup_add(). */
void lookup_sort(struct lookup *lookup);

/* The place of the first pair with that key, or of the next larger one; `count` when there is neither. Equal
 * keys are neighbours, in the order of their indices. */
size_t lookup_place(const struct lookup *lookup, uint64_t key);

#endif
