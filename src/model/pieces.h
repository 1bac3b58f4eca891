/* SPDX-License-Identifier: Apache-2.0
 *
 * Which bytes of a tensor were written, and their CRC as far as it is known: a sorted list of runs that
 * neither overlap nor touch. Written in order, a tensor is one piece from beginning to end.
 */
#ifndef MODEL_PIECES_H
#define MODEL_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PIECES_MAX 65536u /* keeps memory bounded when somebody writes every second byte */

struct piece {
    uint64_t begin;
    uint64_t end;
    uint32_t crc;
    bool crc_known; /* false once bytes were written twice, or not seen */
};

struct pieces {
    struct piece *items;
    size_t count;
    size_t capacity;
    uint64_t total; /* bytes in all of them */
};

void pieces_clear(struct pieces *pieces);

/* Adds [begin, begin + length). With `data` its CRC is kept track of; NULL: not known. -ENOMEM; -ENOBUFS
 * beyond PIECES_MAX. */
int pieces_add(struct pieces *pieces, uint64_t begin, uint64_t length, const void *data);

/* The end of the last byte written; 0 when there is none. */
uint64_t pieces_end(const struct pieces *pieces);

/* The first byte that is missing of [0, size); `size` when all are there. */
uint64_t pieces_missing(const struct pieces *pieces, uint64_t size);

/* The CRC of [0, size), when every byte of it was seen once. */
bool pieces_crc(const struct pieces *pieces, uint64_t size, uint32_t *ret_crc);

#endif
