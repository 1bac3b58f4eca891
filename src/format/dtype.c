/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <weightfs/dtype.h>

static const struct {
    char name[12];
    unsigned char length;
    unsigned char bits;
} dtypes[WFS_DTYPE_COUNT] = {
    [WFS_BOOL] = {"BOOL",        4,  8 },
    [WFS_F4] = {"F4",          2,  4 },
    [WFS_F6_E2M3] = {"F6_E2M3",     7,  6 },
    [WFS_F6_E3M2] = {"F6_E3M2",     7,  6 },
    [WFS_U8] = {"U8",          2,  8 },
    [WFS_I8] = {"I8",          2,  8 },
    [WFS_F8_E5M2] = {"F8_E5M2",     7,  8 },
    [WFS_F8_E4M3] = {"F8_E4M3",     7,  8 },
    [WFS_F8_E8M0] = {"F8_E8M0",     7,  8 },
    [WFS_F8_E4M3FNUZ] = {"F8_E4M3FNUZ", 11, 8 },
    [WFS_F8_E5M2FNUZ] = {"F8_E5M2FNUZ", 11, 8 },
    [WFS_I16] = {"I16",         3,  16},
    [WFS_U16] = {"U16",         3,  16},
    [WFS_F16] = {"F16",         3,  16},
    [WFS_BF16] = {"BF16",        4,  16},
    [WFS_I32] = {"I32",         3,  32},
    [WFS_U32] = {"U32",         3,  32},
    [WFS_F32] = {"F32",         3,  32},
    [WFS_C64] = {"C64",         3,  64},
    [WFS_F64] = {"F64",         3,  64},
    [WFS_I64] = {"I64",         3,  64},
    [WFS_U64] = {"U64",         3,  64},
};

const char *wfs_dtype_name(enum wfs_dtype dtype)
{
    return dtype < WFS_DTYPE_COUNT ? dtypes[dtype].name : "";
}

unsigned wfs_dtype_bits(enum wfs_dtype dtype)
{
    return dtype < WFS_DTYPE_COUNT ? dtypes[dtype].bits : 0;
}

int wfs_dtype_by_name(const char *name, size_t length, enum wfs_dtype *ret_dtype)
{
    for (unsigned dtype = 0; dtype < WFS_DTYPE_COUNT; dtype++) {
        if (dtypes[dtype].length == length && memcmp(dtypes[dtype].name, name, length) == 0) {
            *ret_dtype = (enum wfs_dtype)dtype;
            return 0;
        }
    }
    return -EINVAL;
}
