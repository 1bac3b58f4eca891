/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing .npy headers, byte for byte as NumPy 2 does.
 */
#include "format/npy.h"

#include "format/shape.h"

#include <stdio.h>
#include <string.h>

static const char magic[] = "\x93NUMPY";
#define MAGIC_SIZE (sizeof magic - 1)

/* Bytes before the dictionary in version 1: magic, version, length. */
#define PREFIX_SIZE 10u

#define ALIGNMENT 64u

/* NumPy leaves room for the first dimension to grow to as many digits. */
#define GROWTH_DIGITS 21u

/* ml_dtypes' types have no letter of their own: NumPy knows their bytes only. Sub-byte dtypes have none at
 * all. */
static const char *const descriptions[WFS_DTYPE_COUNT] = {
    [WFS_BOOL] = "|b1",    [WFS_U8] = "|u1",      [WFS_I8] = "|i1",          [WFS_F8_E5M2] = "|V1",
    [WFS_F8_E4M3] = "|V1", [WFS_F8_E8M0] = "|V1", [WFS_F8_E4M3FNUZ] = "|V1", [WFS_F8_E5M2FNUZ] = "|V1",
    [WFS_I16] = "<i2",     [WFS_U16] = "<u2",     [WFS_F16] = "<f2",         [WFS_BF16] = "<V2",
    [WFS_I32] = "<i4",     [WFS_U32] = "<u4",     [WFS_F32] = "<f4",         [WFS_C64] = "<c8",
    [WFS_F64] = "<f8",     [WFS_I64] = "<i8",     [WFS_U64] = "<u8",
};

bool npy_magic(const unsigned char *bytes, size_t size)
{
    return memcmp(bytes, magic, size < MAGIC_SIZE ? size : MAGIC_SIZE) == 0;
}

bool npy_can_show(enum wfs_dtype dtype, size_t rank)
{
    return dtype < WFS_DTYPE_COUNT && descriptions[dtype] && rank <= NPY_RANK_MAX;
}

/* "(2, 3)", "(5,)", "()"; returns the digits of the first dimension. */
static size_t print_tuple(size_t rank, const unsigned char *shape, struct bytes *out)
{
    size_t digits = 0;
    bytes_char(out, '(');
    for (size_t i = 0; i < rank; i++) {
        uint64_t dimension;
        shape += shape_unpack(shape, &dimension);
        size_t before = out->length;
        bytes_u64(out, dimension);
        if (i == 0)
            digits = out->length - before;
        bytes_string(out, i + 1 < rank ? ", " : rank == 1 ? "," : "");
    }
    bytes_char(out, ')');
    return digits;
}

void npy_encode(enum wfs_dtype dtype, size_t rank, const unsigned char *shape, struct bytes *out)
{
    size_t start = out->length;
    bytes_append(out, magic, MAGIC_SIZE);
    bytes_append(out, "\1\0\0\0", 4);
    bytes_printf(out, "{'descr': '%s', 'fortran_order': False, 'shape': ", descriptions[dtype]);
    size_t digits = print_tuple(rank, shape, out);
    bytes_string(out, ", }");
    if (rank > 0)
        bytes_fill(out, ' ', GROWTH_DIGITS - digits);
    size_t size = out->length - start + 1;              /* and the newline */
    bytes_fill(out, ' ', ALIGNMENT - size % ALIGNMENT); /* 1 to 64, never 0: NumPy's way */
    bytes_char(out, '\n');
    if (out->failed)
        return;
    size = out->length - start - PREFIX_SIZE;
    out->data[start + 8] = (char)(size & 0xff);
    out->data[start + 9] = (char)(size >> 8);
}
