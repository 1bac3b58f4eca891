/* SPDX-License-Identifier: Apache-2.0
 *
 * How the parts of an image are kept: beside each its end in the image, so that an offset is found by
 * bisection.
 */
#ifndef IMAGE_IMAGE_INTERNAL_H
#define IMAGE_IMAGE_INTERNAL_H

#include "image/image.h"

#include <stdatomic.h>

struct image {
    atomic_uint references;
    size_t count;
    size_t capacity;
    struct image_part *parts;
    uint64_t *ends;
};

/* The part that holds the byte at `offset`; the part count when the image ends before it. */
size_t image_find(const struct image *image, uint64_t offset);

/* Where a part begins in the image. */
uint64_t image_begin(const struct image *image, size_t index);

#endif
