/* SPDX-License-Identifier: Apache-2.0
 *
 * Headers of NumPy's .npy files, versions 1 to 3 (docs/format.md 7; semantics: docs/staging.md 5).
 */
#ifndef FORMAT_NPY_H
#define FORMAT_NPY_H

#include "base/bytes.h"

#include <weightfs/header.h>

#define NPY_HEADER_MAX 65536u /* bytes of the longest header that is read */
#define NPY_RANK_MAX   64u

/* Whether tensors of this dtype and rank have a file in npy/. */
bool npy_can_show(enum wfs_dtype dtype, size_t rank);

/* Appends the version 1 header, a multiple of 64 bytes, 128 as a rule. */
void npy_encode(enum wfs_dtype dtype, size_t rank, const unsigned char *shape, struct bytes *out);

/* What an .npy header says. */
struct npy_header {
    enum wfs_dtype
        dtype;    /* WFS_DTYPE_COUNT: `V1`, a one-byte dtype that only the name's declaration can tell */
    bool is_void; /* `V1` or `V2`: an existing declaration of the same width wins */
    bool is_u2;   /* `<u2`: U16, unless the name is declared BF16 */
    unsigned item_size; /* bytes of one element in the file */
    bool big_endian;    /* every `swap_size` bytes must be reversed */
    unsigned swap_size; /* the element's, or half of it for a complex one */
    bool fortran_order; /* elements must be transposed */
    size_t rank;
    unsigned char *shape; /* packed, malloc'd */
    size_t shape_size;
    uint64_t data_offset; /* where the elements begin in the file */
    uint64_t data_size;   /* bytes of all elements */
};

/* 0; -EAGAIN when `size` bytes are too few to tell; -EINVAL with NPY_INVALID and the reason (object and
 * structured dtypes, unknown versions, a header beyond NPY_HEADER_MAX, ...). Call npy_header_clear() after 0.
 */
int npy_decode(const unsigned char *bytes, size_t size, struct npy_header *ret_header, struct wfs_error *err);

void npy_header_clear(struct npy_header *header);

/* Whether bytes (any number) are the beginning of an .npy file. */
bool npy_magic(const unsigned char *bytes, size_t size);

#endif
