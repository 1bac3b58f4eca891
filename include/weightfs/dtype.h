/* SPDX-License-Identifier: Apache-2.0
 *
 * The 22 dtypes of safetensors. The order is the official library's: its writer sorts by it, descending.
 */
#ifndef WEIGHTFS_DTYPE_H
#define WEIGHTFS_DTYPE_H

#include <weightfs/error.h>

#ifdef __cplusplus
extern "C" {
#endif

enum wfs_dtype {
    WFS_BOOL,
    WFS_F4,
    WFS_F6_E2M3,
    WFS_F6_E3M2,
    WFS_U8,
    WFS_I8,
    WFS_F8_E5M2,
    WFS_F8_E4M3,
    WFS_F8_E8M0,
    WFS_F8_E4M3FNUZ,
    WFS_F8_E5M2FNUZ,
    WFS_I16,
    WFS_U16,
    WFS_F16,
    WFS_BF16,
    WFS_I32,
    WFS_U32,
    WFS_F32,
    WFS_C64,
    WFS_F64,
    WFS_I64,
    WFS_U64,
    WFS_DTYPE_COUNT
};

/* "BF16", as headers spell it. */
WFS_API const char *wfs_dtype_name(enum wfs_dtype dtype);

/* Bits of one element: 4, 6, 8, 16, 32 or 64. */
WFS_API unsigned wfs_dtype_bits(enum wfs_dtype dtype);

/* The dtype spelled by those bytes (case matters); -EINVAL when there is none. */
WFS_API int wfs_dtype_by_name(const char *name, size_t length, enum wfs_dtype *ret_dtype);

#ifdef __cplusplus
}
#endif
#endif
