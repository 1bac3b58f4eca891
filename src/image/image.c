/* SPDX-License-Identifier: Apache-2.0 */
#include "image/image.h"

#include "base/checked.h"
#include "base/cleanup.h"
#include "image/image_internal.h"

struct image *image_new(void)
{
    struct image *image = calloc(1, sizeof *image);
    if (image)
        atomic_init(&image->references, 1);
    return image;
}

struct image *image_ref(struct image *image)
{
    atomic_fetch_add(&image->references, 1);
    return image;
}

void image_unref(struct image *image)
{
    if (!image || atomic_fetch_sub(&image->references, 1) > 1)
        return;
    for (size_t i = 0; i < image->count; i++) {
        file_unref(image->parts[i].file);
        free((char *)image->parts[i].memory);
    }
    free(image->parts);
    free(image->ends);
    free(image);
}

uint64_t image_length(const struct image *image)
{
    return image->count ? image->ends[image->count - 1] : 0;
}

size_t image_part_count(const struct image *image)
{
    return image->count;
}

const struct image_part *image_part(const struct image *image, size_t index)
{
    return &image->parts[index];
}

static int make_room(struct image *image)
{
    if (image->count < image->capacity)
        return 0;
    size_t capacity = image->capacity ? image->capacity * 2 : 2; /* most images have one part or two */
    struct image_part *parts = reallocarray(image->parts, capacity, sizeof *parts);
    if (!parts)
        return -ENOMEM;
    image->parts = parts;
    uint64_t *ends = reallocarray(image->ends, capacity, sizeof *ends);
    if (!ends)
        return -ENOMEM;
    image->ends = ends;
    image->capacity = capacity;
    return 0;
}

static int add_part(struct image *image, const struct image_part *part)
{
    uint64_t end = 0;
    if (add_overflows(image_length(image), part->length, &end))
        return -EOVERFLOW;
    int r = make_room(image);
    if (r < 0)
        return r;
    image->parts[image->count] = *part;
    image->ends[image->count] = end;
    image->count++;
    return 0;
}

/* Whether the range begins in the file where the last part ends. */
static bool continues_last(const struct image *image, const struct file *file, uint64_t offset)
{
    if (image->count == 0)
        return false;
    const struct image_part *last = &image->parts[image->count - 1];
    return last->file == file && last->offset + last->length == offset;
}

int image_add_file(struct image *image, struct file *file, uint64_t offset, uint64_t length)
{
    uint64_t file_end = 0;
    uint64_t image_end = 0;
    if (length == 0)
        return 0;
    if (add_overflows(offset, length, &file_end) || add_overflows(image_length(image), length, &image_end))
        return -EOVERFLOW;
    if (continues_last(image, file, offset)) {
        image->parts[image->count - 1].length += length;
        image->ends[image->count - 1] = image_end;
        return 0;
    }
    struct image_part part = {.file = file, .offset = offset, .length = length};
    int r = add_part(image, &part);
    if (r == 0)
        file_ref(file);
    return r;
}

int image_add_memory(struct image *image, char *memory, size_t length)
{
    struct image_part part = {.memory = memory, .length = length};
    int r = length ? add_part(image, &part) : 0;
    if (r < 0 || length == 0)
        free(memory);
    return r;
}

size_t image_find(const struct image *image, uint64_t offset)
{
    size_t low = 0;
    size_t high = image->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (image->ends[middle] <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint64_t image_begin(const struct image *image, size_t index)
{
    return index ? image->ends[index - 1] : 0;
}
