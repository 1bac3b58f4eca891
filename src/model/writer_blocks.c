/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "model/checksum.h"
#include "model/writer.h"

#include <inttypes.h>
#include <string.h>

static struct printable name_of(const struct wfs_writer *writer, size_t index)
{
    return printable(writer->tensors[index].name, writer->tensors[index].name_length);
}

static uint64_t size_of(const struct wfs_writer *writer, size_t index)
{
    return writer->tensors[index].end - writer->tensors[index].begin;
}

/* A failed write may have left anything in the file: it is never finished. */
static int condemn(struct wfs_writer *writer, int r, const char *what, struct wfs_error *err)
{
    error_errno(&writer->broken, -r, "%s: %s", writer_path(writer).text, what);
    if (err)
        *err = writer->broken;
    return r;
}

static int tell_progress(const struct wfs_writer *writer, struct wfs_error *err)
{
    if (!writer->progress || writer->progress(writer->context, writer->written, writer->total) == 0)
        return 0;
    return error_rule(err, WFS_CODE_CANCELLED, "%s: cancelled", writer_path(writer).text);
}

/* --- the buffer --------------------------------------------------------------------------------------- */

int writer_flush(struct wfs_writer *writer, struct wfs_error *err)
{
    struct writer_buffer *buffer = &writer->buffer;

    if (buffer->length == 0)
        return 0;
    int r = io_write_at(replace_fd(writer->replace), buffer->data, buffer->length, buffer->offset);
    buffer->length = 0;
    return r < 0 ? condemn(writer, r, "cannot be written", err) : 0;
}

/* Puts bytes into the file at `offset`, small ones by way of the buffer. */
static int put(struct wfs_writer *writer, uint64_t offset, const void *data, size_t length,
               struct wfs_error *err)
{
    struct writer_buffer *buffer = &writer->buffer;
    bool continues = offset == buffer->offset + buffer->length;

    if (buffer->length > 0 && (!continues || length > buffer->size - buffer->length)) {
        int r = writer_flush(writer, err);
        if (r < 0)
            return r;
    }
    if (length >= buffer->size) {
        int r = io_write_at(replace_fd(writer->replace), data, length, offset);
        return r < 0 ? condemn(writer, r, "cannot be written", err) : 0;
    }
    if (!buffer->data)
        buffer->data = malloc(buffer->size);
    if (!buffer->data)
        return error_no_memory(err);
    if (buffer->length == 0)
        buffer->offset = offset;
    memcpy(buffer->data + buffer->length, data, length);
    buffer->length += length;
    return 0;
}

/* --- blocks ------------------------------------------------------------------------------------------- */

static int check_writable(struct wfs_writer *writer, struct wfs_error *err)
{
    if (writer->is_finished)
        return error_rule(err, WFS_CODE_WRITER_MISUSE, "%s: written to after the finish",
                          writer_path(writer).text);
    if (writer->broken.errnum) {
        if (err)
            *err = writer->broken;
        return -writer->broken.errnum;
    }
    return writer_fix(writer, err);
}

static int check_room(const struct wfs_writer *writer, size_t index, uint64_t offset, uint64_t length,
                      struct wfs_error *err)
{
    uint64_t size = size_of(writer, index);

    if (offset <= size && length <= size - offset)
        return 0;
    return error_rule(err, WFS_CODE_WRITER_MISUSE,
                      "%s: tensor '%s': %" PRIu64 " bytes at %" PRIu64 " are too many, it has %" PRIu64,
                      writer_path(writer).text, name_of(writer, index).text, length, offset, size);
}

static int note_written(struct wfs_writer *writer, size_t index, uint64_t offset, uint64_t length,
                        const void *data, struct wfs_error *err)
{
    struct pieces *pieces = &writer->tensors[index].pieces;
    uint64_t before = pieces->total;
    int r = pieces_add(pieces, offset, length, data);

    if (r == -ENOBUFS)
        return error_rule(err, WFS_CODE_WRITER_MISUSE,
                          "%s: tensor '%s': written in more than %u separate pieces",
                          writer_path(writer).text, name_of(writer, index).text, PIECES_MAX);
    if (r < 0)
        return error_no_memory(err);
    writer->written += pieces->total - before;
    return 0;
}

int writer_write(struct wfs_writer *writer, size_t index, uint64_t offset, const void *data, size_t length,
                 struct wfs_error *err)
{
    int r = check_writable(writer, err);
    if (r == 0)
        r = check_room(writer, index, offset, length, err);
    if (r < 0 || length == 0)
        return r;

    r = put(writer, writer->data_offset + writer->tensors[index].begin + offset, data, length, err);
    if (r == 0)
        r = note_written(writer, index, offset, length, writer->crc ? data : NULL, err);
    return r < 0 ? r : tell_progress(writer, err);
}

static int find_declared(const struct wfs_writer *writer, const char *name, size_t *ret_index,
                         struct wfs_error *err)
{
    if (writer_find(writer, name, strlen(name), ret_index))
        return 0;
    return error_rule(err, WFS_CODE_WRITER_MISUSE, "%s: tensor '%s': written to, but never declared",
                      writer_path(writer).text, printable_string(name).text);
}

int wfs_writer_write_at(struct wfs_writer *writer, const char *name, uint64_t offset, const void *data,
                        size_t length, struct wfs_error *err)
{
    size_t index = 0;
    int r = find_declared(writer, name, &index, err);

    return r < 0 ? r : writer_write(writer, index, offset, data, length, err);
}

int wfs_writer_append(struct wfs_writer *writer, const char *name, const void *data, size_t length,
                      struct wfs_error *err)
{
    size_t index = 0;
    int r = find_declared(writer, name, &index, err);

    if (r < 0)
        return r;
    return writer_write(writer, index, pieces_end(&writer->tensors[index].pieces), data, length, err);
}

/* --- whole tensors ------------------------------------------------------------------------------------ */

struct copy {
    struct wfs_writer *writer;
    uint32_t crc;
};

static int copy_progress(void *context, uint64_t done)
{
    struct copy *copy = context;

    copy->writer->written += done;
    return tell_progress(copy->writer, NULL);
}

static void copy_block(void *context, const void *data, size_t length)
{
    struct copy *copy = context;

    copy->crc = checksum_crc32(copy->crc, data, length);
}

static int check_whole(const struct wfs_writer *writer, size_t index, uint64_t length, struct wfs_error *err)
{
    uint64_t size = size_of(writer, index);

    if (length == size)
        return 0;
    return error_rule(err, WFS_CODE_SIZE_MISMATCH, "%s: tensor '%s': %" PRIu64 " bytes, expected %" PRIu64,
                      writer_path(writer).text, name_of(writer, index).text, length, size);
}

int writer_copy(struct wfs_writer *writer, size_t index, const struct image *image, struct wfs_error *err)
{
    struct copy copy = {.writer = writer};
    struct image_observer observer = {.context = &copy, .progress = copy_progress};
    uint64_t length = image_length(image);

    int r = check_writable(writer, err);
    if (r == 0)
        r = check_whole(writer, index, length, err);
    if (r == 0)
        r = writer_flush(writer, err);
    if (r < 0 || length == 0)
        return r;

    struct pieces *pieces = &writer->tensors[index].pieces;
    writer->written -= pieces->total;
    pieces_clear(pieces);
    uint64_t before = writer->written;
    observer.block = writer->crc ? copy_block : NULL;
    r = image_write(image, replace_fd(writer->replace), writer->data_offset + writer->tensors[index].begin,
                    &observer, NULL, err);
    writer->written = before;
    if (r < 0) {
        error_prefix(err, "%s: tensor '%s': ", writer_path(writer).text, name_of(writer, index).text);
        return r;
    }
    r = note_written(writer, index, 0, length, NULL, err);
    if (r == 0 && writer->crc) {
        pieces->items[0].crc = copy.crc;
        pieces->items[0].crc_known = true;
    }
    return r;
}

int writer_crc(struct wfs_writer *writer, size_t index, uint32_t *ret_crc, struct wfs_error *err)
{
    const struct writer_tensor *tensor = &writer->tensors[index];
    uint64_t size = size_of(writer, index);

    if (pieces_crc(&tensor->pieces, size, ret_crc))
        return 0;
    int r = checksum_of_range(replace_fd(writer->replace), writer->data_offset + tensor->begin, size,
                              CHECKSUM_CRC32, NULL, NULL, ret_crc);
    return r < 0 ? condemn(writer, r, "cannot be read back for its checksums", err) : 0;
}
