/* SPDX-License-Identifier: Apache-2.0
 *
 * Elements of an .npy file as safetensors wants them: little-endian, in C order.
 */
#ifndef STAGE_CONVERT_H
#define STAGE_CONVERT_H

#include "format/npy.h"
#include "image/image.h"

#define CONVERT_TRANSPOSE_MAX \
    ((uint64_t)4 << 30) /* bytes: a Fortran-ordered array is held in memory while it is turned */

/* Writes the elements `from` (header->data_size bytes) to the spool file from offset 0. -EFBIG: Fortran order
 * beyond CONVERT_TRANSPOSE_MAX; -ENOMEM, and the errors of the disk. */
int convert_npy(const struct npy_header *header, const struct image *from, struct file *to);

#endif
