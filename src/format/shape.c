/* SPDX-License-Identifier: Apache-2.0 */
#include "format/shape.h"

#include "base/checked.h"
#include "base/cleanup.h"

#include <string.h>

size_t shape_pack(unsigned char *packed, uint64_t dimension)
{
    size_t used = 0;
    for (; dimension >= 0x80; dimension >>= 7)
        packed[used++] = (unsigned char)(dimension | 0x80);
    packed[used++] = (unsigned char)dimension;
    return used;
}

size_t shape_unpack(const unsigned char *packed, uint64_t *ret_dimension)
{
    uint64_t dimension = packed[0] & 0x7f;
    size_t used = 1;
    for (unsigned shift = 7; packed[used - 1] & 0x80; shift += 7)
        dimension |= (uint64_t)(packed[used++] & 0x7f) << shift;
    *ret_dimension = dimension;
    return used;
}

enum wfs_code shape_byte_size(enum wfs_dtype dtype, size_t rank, const unsigned char *shape,
                              uint64_t *ret_bytes)
{
    uint64_t count = 1;
    for (size_t i = 0; i < rank; i++) {
        uint64_t dimension;
        shape += shape_unpack(shape, &dimension);
        if (multiply_overflows(count, dimension, &count))
            return WFS_CODE_VALIDATION_OVERFLOW;
    }
    uint64_t bits;
    if (multiply_overflows(count, wfs_dtype_bits(dtype), &bits))
        return WFS_CODE_VALIDATION_OVERFLOW;
    if (bits % 8)
        return WFS_CODE_MISALIGNED_SLICE;
    *ret_bytes = bits / 8;
    return WFS_CODE_NONE;
}

bool shape_equal(const struct wfs_tensor *a, const struct wfs_tensor *b)
{
    return a->dtype == b->dtype && a->rank == b->rank && a->shape_size == b->shape_size &&
           (a->shape_size == 0 || memcmp(a->shape, b->shape, a->shape_size) == 0);
}

void shape_print(struct bytes *out, size_t rank, const unsigned char *shape)
{
    bytes_char(out, '[');
    for (size_t i = 0; i < rank && !out->failed; i++) {
        uint64_t dimension;
        shape += shape_unpack(shape, &dimension);
        if (i)
            bytes_char(out, ',');
        bytes_u64(out, dimension);
    }
    bytes_char(out, ']');
}

size_t wfs_tensor_shape(const struct wfs_tensor *tensor, uint64_t *dims, size_t capacity)
{
    const unsigned char *shape = tensor->shape;
    for (size_t i = 0; i < tensor->rank && i < capacity; i++)
        shape += shape_unpack(shape, &dims[i]);
    return tensor->rank;
}

/* --- "[4096, 64]" --------------------------------------------------------------------------------------- */

struct text {
    const char *at;
    const char *end;
};

static void skip_space(struct text *text)
{
    while (text->at < text->end && strchr(" \t\r\n", *text->at) && *text->at)
        text->at++;
}

static bool take(struct text *text, char c)
{
    skip_space(text);
    if (text->at == text->end || *text->at != c)
        return false;
    text->at++;
    return true;
}

static bool take_number(struct text *text, uint64_t *ret_value)
{
    skip_space(text);
    const char *first = text->at;
    uint64_t value = 0;
    for (; text->at < text->end && *text->at >= '0' && *text->at <= '9'; text->at++)
        if (multiply_overflows(value, 10, &value) ||
            add_overflows(value, (uint64_t)(*text->at - '0'), &value))
            return false;
    *ret_value = value;
    size_t digits = (size_t)(text->at - first);
    return digits == 1 || (digits > 1 && *first != '0');
}

static bool take_dimensions(struct text *text, size_t *ret_rank, unsigned char *shape, size_t *ret_size)
{
    if (!take(text, '['))
        return false;
    *ret_rank = 0;
    *ret_size = 0;
    if (take(text, ']'))
        return true;
    do {
        uint64_t dimension;
        if (!take_number(text, &dimension))
            return false;
        *ret_size += shape_pack(shape + *ret_size, dimension);
        ++*ret_rank;
    } while (take(text, ','));
    return take(text, ']');
}

int shape_parse(const char *text, size_t length, size_t *ret_rank, unsigned char **ret_shape,
                size_t *ret_size)
{
    struct text rest = {text, text + length};
    auto_free unsigned char *shape =
        malloc(length + SHAPE_DIMENSION_MAX); /* packed is never longer than text */
    if (!shape)
        return -ENOMEM;
    size_t rank;
    size_t size;
    if (!take_dimensions(&rest, &rank, shape, &size))
        return -EINVAL;
    skip_space(&rest);
    if (rest.at != rest.end)
        return -EINVAL;
    *ret_rank = rank;
    *ret_size = size;
    *ret_shape = take_ptr(shape);
    return 0;
}
