/* SPDX-License-Identifier: Apache-2.0 */
#include "model/convert.h"

#include "base/checked.h"
#include "base/cleanup.h"
#include "format/shape.h"

#include <string.h>

#define BLOCK ((size_t)1 << 20) /* a multiple of every element size */

static void swap_bytes(unsigned char *bytes, size_t length, unsigned unit)
{
    for (size_t at = 0; at + unit <= length; at += unit) {
        for (unsigned i = 0; i < unit / 2; i++) {
            unsigned char kept = bytes[at + i];
            bytes[at + i] = bytes[at + unit - 1 - i];
            bytes[at + unit - 1 - i] = kept;
        }
    }
}

struct conversion {
    const struct npy_header *header;
    const struct image *from;
    convert_sink *sink;
    void *context;
};

static int hand_over(const struct conversion *conversion, unsigned char *block, size_t length,
                     uint64_t offset)
{
    if (conversion->header->big_endian)
        swap_bytes(block, length, conversion->header->swap_size);
    return conversion->sink(conversion->context, block, length, offset);
}

static int convert_in_order(const struct conversion *conversion)
{
    uint64_t size = conversion->header->data_size;
    auto_free unsigned char *block = malloc(BLOCK);
    int r = block ? 0 : -ENOMEM;

    for (uint64_t at = 0; r == 0 && at < size;) {
        size_t length = (size_t)min_u64(BLOCK, size - at);
        ssize_t count = image_read(conversion->from, block, length, at);
        if (count != (ssize_t)length)
            return count < 0 ? (int)count : -EIO;
        r = hand_over(conversion, block, length, at);
        at += length;
    }
    return r;
}

/* A walk over the elements in C order that knows where each one lies in Fortran order. */
struct walk {
    size_t rank;
    uint64_t dims[NPY_RANK_MAX];
    uint64_t strides[NPY_RANK_MAX]; /* in elements, of the Fortran order */
    uint64_t index[NPY_RANK_MAX];
    uint64_t at;
};

static void walk_begin(struct walk *walk, const struct npy_header *header)
{
    const unsigned char *shape = header->shape;
    uint64_t stride = 1;

    *walk = (struct walk){.rank = header->rank};
    for (size_t i = 0; i < walk->rank; i++) {
        shape += shape_unpack(shape, &walk->dims[i]);
        walk->strides[i] = stride;
        stride *= walk->dims[i];
    }
}

static void walk_next(struct walk *walk)
{
    for (size_t i = walk->rank; i-- > 0;) {
        walk->at += walk->strides[i];
        if (++walk->index[i] < walk->dims[i])
            return;
        walk->at -= walk->strides[i] * walk->dims[i];
        walk->index[i] = 0;
    }
}

static int convert_transposed(const struct conversion *conversion)
{
    const struct npy_header *header = conversion->header;
    struct walk walk;
    size_t item = header->item_size;

    if (header->data_size > CONVERT_TRANSPOSE_MAX || header->rank > NPY_RANK_MAX)
        return -EFBIG;
    auto_free unsigned char *all = malloc((size_t)header->data_size);
    auto_free unsigned char *block = malloc(BLOCK);
    if (!all || !block)
        return -ENOMEM;
    ssize_t count = image_read(conversion->from, all, (size_t)header->data_size, 0);
    if (count != (ssize_t)header->data_size)
        return count < 0 ? (int)count : -EIO;

    int r = 0;
    walk_begin(&walk, header);
    for (uint64_t done = 0; r == 0 && done < header->data_size;) {
        size_t length = (size_t)min_u64(BLOCK, header->data_size - done);
        for (size_t at = 0; at < length; at += item) {
            memcpy(block + at, all + walk.at * item, item);
            walk_next(&walk);
        }
        r = hand_over(conversion, block, length, done);
        done += length;
    }
    return r;
}

bool must_convert_npy(const struct npy_header *header)
{
    return header->data_size > 0 && (header->big_endian || (header->fortran_order && header->rank > 1));
}

int convert_npy(const struct npy_header *header, const struct image *from, convert_sink *sink, void *context)
{
    struct conversion conversion = {header, from, sink, context};

    return header->fortran_order && header->rank > 1 ? convert_transposed(&conversion)
                                                     : convert_in_order(&conversion);
}
