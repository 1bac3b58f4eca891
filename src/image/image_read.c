/* SPDX-License-Identifier: Apache-2.0 */
#include "base/checked.h"
#include "base/fault.h"
#include "base/io.h"
#include "image/image_internal.h"

#include <string.h>

/* The part of [offset, offset + length) that lies in part `index`: *ret_skip bytes into the part. Returns its
 * length. */
static size_t overlap(const struct image *image, size_t index, uint64_t offset, size_t length,
                      uint64_t *ret_skip)
{
    *ret_skip = offset - image_begin(image, index);
    return (size_t)min_u64(image->parts[index].length - *ret_skip, length);
}

static uint64_t place_of(const struct image_part *part, uint64_t skip)
{
    return part->offset + skip + (fault_seldom(FAULT_READ_PLACE) ? 8 : 0);
}

static int slice_part(const struct image_part *part, uint64_t skip, size_t length,
                      struct image_slice_part *ret_part)
{
    *ret_part = (struct image_slice_part){.fd = -1, .length = length};
    if (!part->file) {
        ret_part->memory = part->memory + skip;
        return 0;
    }
    int fd = file_acquire(part->file);
    if (fd < 0)
        return fd;
    ret_part->fd = fd;
    ret_part->file = part->file;
    ret_part->offset = place_of(part, skip);
    return 0;
}

int image_slice(const struct image *image, uint64_t offset, size_t length, struct image_slice *ret_slice)
{
    struct image_slice *slice = ret_slice;
    slice->count = 0;
    slice->length = 0;
    size_t index = image_find(image, offset);
    for (; length && index < image->count && slice->count < IMAGE_SLICE_PARTS; index++) {
        uint64_t skip = 0;
        size_t here = overlap(image, index, offset, length, &skip);
        int r = slice_part(&image->parts[index], skip, here, &slice->parts[slice->count]);
        if (r < 0) {
            image_slice_done(slice);
            return r;
        }
        slice->count++;
        slice->length += here;
        offset += here;
        length -= here;
    }
    return 0;
}

void image_slice_done(struct image_slice *slice)
{
    for (size_t i = 0; i < slice->count; i++)
        if (slice->parts[i].file)
            file_release(slice->parts[i].file);
    slice->count = 0;
    slice->length = 0;
}

static int read_part(const struct image_part *part, char *buffer, size_t length, uint64_t skip)
{
    if (!part->file) {
        memcpy(buffer, part->memory + skip, length);
        return 0;
    }
    int fd = file_acquire(part->file);
    if (fd < 0)
        return fd;
    int r = io_read_at(fd, buffer, length, place_of(part, skip));
    file_release(part->file);
    return r == -ENODATA ? -ESTALE : r;
}

ssize_t image_read(const struct image *image, void *buffer, size_t length, uint64_t offset)
{
    size_t done = 0;
    for (size_t index = image_find(image, offset); done < length && index < image->count; index++) {
        uint64_t skip = 0;
        size_t here = overlap(image, index, offset + done, length - done, &skip);
        int r = read_part(&image->parts[index], (char *)buffer + done, here, skip);
        if (r < 0)
            return r;
        done += here;
    }
    return (ssize_t)done;
}
