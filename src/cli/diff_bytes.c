/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/diff_bytes.h"

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "format/name.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define BLOCK_SIZE ((uint64_t)1 << 20)

void stream_close(struct stream *stream)
{
    cleanup_close(&stream->fd);
    image_unref(stream->image);
    *stream = STREAM_NONE;
}

static int open_mounted(const struct mountinfo *mount, const char *directory, const char *name, size_t length,
                        struct stream *ret_stream)
{
    char file_name[FILE_NAME_BUFFER];
    auto_free char *path = NULL;
    struct stat st;

    name_encode(name, length, file_name);
    if (asprintf(&path, "%s/%s/%s", mount->point, directory, file_name) < 0) {
        path = NULL;
        return -ENOMEM;
    }
    ret_stream->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (ret_stream->fd < 0 || fstat(ret_stream->fd, &st) < 0)
        return -errno;
    ret_stream->size = (uint64_t)st.st_size;
    return 0;
}

static int take_image(struct image *image, struct stream *ret_stream)
{
    ret_stream->image = image;
    ret_stream->size = image ? image_length(image) : 0;
    return image ? 0 : -ENOMEM;
}

int stream_of_model(struct model *model, const char *name, size_t length, struct stream *ret_stream)
{
    size_t index;

    *ret_stream = STREAM_NONE;
    if (model->is_mounted)
        return open_mounted(&model->mount, "tensors", name, length, ret_stream);
    if (!wfs_header_find(generation_header(model->generation), name, length, &index))
        return -ENOENT;
    return take_image(generation_tensor_image(model->generation, index), ret_stream);
}

int stream_of_staging(struct model *model, const char *name, size_t length, struct stream *ret_stream)
{
    char file_name[FILE_NAME_BUFFER];
    struct entry *entry = NULL;
    struct stage_handle *handle = NULL;
    struct image *image = NULL;

    *ret_stream = STREAM_NONE;
    if (model->is_mounted)
        return open_mounted(&model->mount, "staging/tensors", name, length, ret_stream);
    name_encode(name, length, file_name);
    int r = stage_lookup(model->stage, PLACE_TENSORS, file_name, &entry);
    if (r < 0)
        return r;
    r = stage_open_entry(model->stage, entry, PLACE_TENSORS, O_RDONLY, &handle);
    entry_unref(entry);
    if (r < 0)
        return r;
    r = stage_image(handle, &image);
    stage_release(handle);
    return r < 0 ? r : take_image(image, ret_stream);
}

void stream_of_reader(const struct wfs_reader *reader, const struct wfs_tensor *tensor,
                      struct stream *ret_stream)
{
    *ret_stream = STREAM_NONE;
    ret_stream->reader = reader;
    ret_stream->tensor = *tensor;
    ret_stream->size = tensor->end - tensor->begin;
}

static int stream_read(const struct stream *stream, void *buffer, size_t length, uint64_t offset)
{
    if (stream->reader)
        return wfs_reader_read(stream->reader, &stream->tensor, offset, buffer, length, NULL);
    if (!stream->image)
        return io_read_at(stream->fd, buffer, length, offset);
    ssize_t count = image_read(stream->image, buffer, length, offset);
    return count < 0 ? (int)count : (size_t)count == length ? 0 : -ESTALE;
}

static void compare_block(const unsigned char *a, const unsigned char *b, size_t length, uint64_t at,
                          struct byte_difference *difference)
{
    if (memcmp(a, b, length) == 0)
        return;
    for (size_t i = 0; i < length; i++) {
        if (a[i] == b[i])
            continue;
        if (difference->differing++ == 0)
            difference->first = at + i;
    }
}

int streams_compare(const struct stream *a, const struct stream *b, struct byte_difference *ret_difference)
{
    uint64_t length = min_u64(a->size, b->size);
    auto_free unsigned char *blocks = malloc((size_t)BLOCK_SIZE * 2);

    *ret_difference = (struct byte_difference){.compared = length};
    if (!blocks)
        return -ENOMEM;
    for (uint64_t at = 0; at < length; at += BLOCK_SIZE) {
        size_t size = (size_t)min_u64(BLOCK_SIZE, length - at);
        int r = stream_read(a, blocks, size, at);
        r = r < 0 ? r : stream_read(b, blocks + BLOCK_SIZE, size, at);
        if (r < 0)
            return r;
        compare_block(blocks, blocks + BLOCK_SIZE, size, at, ret_difference);
    }
    return 0;
}
