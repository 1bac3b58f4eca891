/* SPDX-License-Identifier: Apache-2.0
 *
 * Shapes. A shape is kept packed, one LEB128 number a dimension: never longer than its JSON text, so a
 * hostile header of a million ones costs no more memory than it takes in the file.
 */
#ifndef FORMAT_SHAPE_H
#define FORMAT_SHAPE_H

#include "base/bytes.h"

#include <weightfs/header.h>

#define SHAPE_DIMENSION_MAX 10 /* bytes of the longest packed dimension */

/* Appends one dimension to a packed shape of at least SHAPE_DIMENSION_MAX more bytes; returns the bytes used.
 */
size_t shape_pack(unsigned char *packed, uint64_t dimension);

/* Reads the dimension at `packed`, returns the bytes used. The packed shape is our own: no bounds are
 * checked. */
size_t shape_unpack(const unsigned char *packed, uint64_t *ret_dimension);

/* The product of the dimensions, multiplied left to right from 1 as the official library does (the order
 * decides whether a zero saves an overflow), and the bytes. 0, or the rule: VALIDATION_OVERFLOW,
 * MISALIGNED_SLICE. */
enum wfs_code shape_byte_size(enum wfs_dtype dtype, size_t rank, const unsigned char *shape,
                              uint64_t *ret_bytes);

bool shape_equal(const struct wfs_tensor *a, const struct wfs_tensor *b); /* dtype and shape */

/* "[2,3]" */
void shape_print(struct bytes *out, size_t rank, const unsigned char *shape);

/* A JSON array of unsigned integers ("[4096, 64]") into malloc'd packed form. -EINVAL, -ENOMEM. */
int shape_parse(const char *text, size_t length, size_t *ret_rank, unsigned char **ret_shape,
                size_t *ret_size);

#endif
