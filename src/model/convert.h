/* SPDX-License-Identifier: Apache-2.0
 *
 * Elements of an .npy file as safetensors wants them: little-endian, in C order.
 */
#ifndef MODEL_CONVERT_H
#define MODEL_CONVERT_H

#include "format/npy.h"
#include "image/image.h"

#define CONVERT_TRANSPOSE_MAX \
    ((uint64_t)4 << 30) /* bytes: a Fortran-ordered array is held in memory while it is turned */

/* Whether the elements are not already so. */
bool must_convert_npy(const struct npy_header *header);

/* Takes `length` converted bytes whose place among all is `offset`; anything but 0 ends the call. */
typedef int convert_sink(void *context, const void *bytes, size_t length, uint64_t offset);

/* Hands the elements `from` (header->data_size bytes) to the sink, from the first to the last. -EFBIG:
 * Fortran order beyond CONVERT_TRANSPOSE_MAX; -ENOMEM, the errors of the disk, and what the sink returned. */
int convert_npy(const struct npy_header *header, const struct image *from, convert_sink *sink, void *context);

#endif
