/* SPDX-License-Identifier: Apache-2.0 */
#include "model/lookup.h"

#include <errno.h>
#include <stdlib.h>

void lookup_clear(struct lookup *lookup)
{
    free(lookup->pairs);
    *lookup = LOOKUP_EMPTY;
}

int lookup_add(struct lookup *lookup, uint64_t key, size_t index)
{
    if (lookup->count == lookup->capacity) {
        size_t capacity = lookup->capacity ? lookup->capacity * 2 : 16;
        struct lookup_pair *pairs = reallocarray(lookup->pairs, capacity, sizeof *pairs);
        if (!pairs)
            return -ENOMEM;
        lookup->pairs = pairs;
        lookup->capacity = capacity;
    }
    lookup->pairs[lookup->count++] = (struct lookup_pair){key, index};
    return 0;
}

static int compare_pairs(const void *a, const void *b)
{
    const struct lookup_pair *left = a;
    const struct lookup_pair *right = b;
    if (left->key != right->key)
        return left->key < right->key ? -1 : 1;
    return (left->index > right->index) - (left->index < right->index);
}

void lookup_sort(struct lookup *lookup)
{
    if (lookup->count)
        qsort(lookup->pairs, lookup->count, sizeof *lookup->pairs, compare_pairs);
}

size_t lookup_place(const struct lookup *lookup, uint64_t key)
{
    size_t low = 0;
    size_t high = lookup->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (lookup->pairs[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
