/* SPDX-License-Identifier: Apache-2.0 */
#include "model/pieces.h"

#include "model/checksum.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void pieces_clear(struct pieces *pieces)
{
    free(pieces->items);
    *pieces = (struct pieces){NULL, 0, 0, 0};
}

/* The first piece that ends at or behind `begin`. */
static size_t first_touching(const struct pieces *pieces, uint64_t begin)
{
    size_t low = 0;
    size_t high = pieces->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (pieces->items[middle].end < begin)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int insert(struct pieces *pieces, size_t index, const struct piece *piece)
{
    if (pieces->count == PIECES_MAX)
        return -ENOBUFS;
    if (pieces->count == pieces->capacity) {
        size_t capacity = pieces->capacity ? pieces->capacity * 2 : 1;
        struct piece *items = realloc(pieces->items, capacity * sizeof *items);
        if (!items)
            return -ENOMEM;
        pieces->items = items;
        pieces->capacity = capacity;
    }
    memmove(pieces->items + index + 1, pieces->items + index,
            (pieces->count - index) * sizeof *pieces->items);
    pieces->items[index] = *piece;
    pieces->count++;
    pieces->total += piece->end - piece->begin;
    return 0;
}

static void remove_run(struct pieces *pieces, size_t first, size_t count)
{
    memmove(pieces->items + first, pieces->items + first + count,
            (pieces->count - first - count) * sizeof *pieces->items);
    pieces->count -= count;
}

/* One piece of two that touch or overlap, `first` not beginning after `second`. */
static struct piece join(const struct piece *first, const struct piece *second)
{
    struct piece joined = *first;

    joined.crc_known = first->crc_known && second->crc_known && first->end == second->begin;
    if (joined.crc_known)
        joined.crc = checksum_crc32_join(first->crc, second->crc, second->end - second->begin);
    if (second->end > joined.end)
        joined.end = second->end;
    return joined;
}

static void extend(struct piece *piece, uint64_t length, const void *data)
{
    piece->end += length;
    piece->crc_known = piece->crc_known && data;
    if (data)
        piece->crc = checksum_crc32(piece->crc, data, length);
}

int pieces_add(struct pieces *pieces, uint64_t begin, uint64_t length, const void *data)
{
    if (length == 0)
        return 0;

    struct piece added = {.begin = begin, .end = begin + length, .crc_known = data != NULL};
    size_t first = first_touching(pieces, begin);
    size_t last = first; /* behind the last piece that touches */
    while (last < pieces->count && pieces->items[last].begin <= added.end)
        last++;

    if (last == first + 1 && pieces->items[first].end == begin) { /* the usual case: the next block */
        extend(&pieces->items[first], length, data);
        pieces->total += length;
        return 0;
    }
    added.crc = data ? checksum_crc32(0, data, length) : 0;
    if (last == first)
        return insert(pieces, first, &added);
    for (size_t i = first; i < last; i++) {
        const struct piece *other = &pieces->items[i];
        pieces->total -= other->end - other->begin;
        added = other->begin <= added.begin ? join(other, &added) : join(&added, other);
    }
    pieces->items[first] = added;
    pieces->total += added.end - added.begin;
    remove_run(pieces, first + 1, last - first - 1);
    return 0;
}

uint64_t pieces_end(const struct pieces *pieces)
{
    return pieces->count ? pieces->items[pieces->count - 1].end : 0;
}

uint64_t pieces_missing(const struct pieces *pieces, uint64_t size)
{
    if (size == 0)
        return 0;
    return pieces->count && pieces->items[0].begin == 0 ? pieces->items[0].end : 0;
}

bool pieces_crc(const struct pieces *pieces, uint64_t size, uint32_t *ret_crc)
{
    if (size == 0) {
        *ret_crc = 0;
        return true;
    }
    if (pieces->count != 1 || pieces->items[0].begin != 0 || pieces->items[0].end != size)
        return false;
    *ret_crc = pieces->items[0].crc;
    return pieces->items[0].crc_known;
}
