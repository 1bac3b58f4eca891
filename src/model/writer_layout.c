/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "format/header.h"
#include "format/shape.h"
#include "model/writer.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#define CRC_DIGITS 10 /* of the longest CRC-32; shorter ones are followed by spaces */

struct crc_text {
    char text[CRC_DIGITS + 1];
};

static struct wfs_tensor tensor_of(const struct writer_tensor *tensor)
{
    return (struct wfs_tensor){
        .name = tensor->name,
        .name_length = tensor->name_length,
        .dtype = tensor->dtype,
        .rank = tensor->rank,
        .shape = tensor->shape,
        .shape_size = tensor->shape_size,
        .begin = tensor->begin,
        .end = tensor->end,
    };
}

/* The tensors in the order of the file once they are placed, of their declaration before. */
static const struct writer_tensor *nth_tensor(const struct wfs_writer *writer, size_t i)
{
    return &writer->tensors[writer->order ? writer->order[i] : i];
}

static struct layout_item *items_of(const struct wfs_writer *writer)
{
    struct layout_item *items = calloc(writer->count + 1, sizeof *items);

    for (size_t i = 0; items && i < writer->count; i++) {
        const struct writer_tensor *tensor = nth_tensor(writer, i);
        items[i] = (struct layout_item){.tensor = tensor_of(tensor), .slot = tensor->slot};
    }
    return items;
}

/* --- a header that is taken over ---------------------------------------------------------------------- */

static bool tells_the_tensors(struct wfs_writer *writer, const struct wfs_header *header)
{
    if (wfs_header_count(header) != writer->count)
        return false;
    for (size_t i = 0; i < writer->count; i++) {
        struct wfs_tensor told = wfs_header_tensor(header, i);
        size_t index = 0;
        if (!writer_find(writer, told.name, told.name_length, &index))
            return false;
        struct wfs_tensor declared = tensor_of(&writer->tensors[index]);
        if (!shape_equal(&told, &declared))
            return false;
    }
    return true;
}

/* 1 or 0; -ENOMEM. */
static int tells_the_metadata(struct wfs_writer *writer, const struct wfs_header *header)
{
    struct metadata_map map = {false, 0, NULL};

    if (writer_settle_metadata(writer) < 0 || metadata_of_header(header, &map) < 0)
        return -ENOMEM;
    bool same = writer_has_metadata(writer, &map);
    free(map.pairs);
    return same;
}

static void place_as_told(struct wfs_writer *writer, const struct wfs_header *header)
{
    for (size_t i = 0; i < writer->count; i++) {
        struct wfs_tensor told = wfs_header_tensor(header, i);
        size_t index = 0;
        if (writer_find(writer, told.name, told.name_length, &index)) {
            writer->tensors[index].begin = told.begin;
            writer->tensors[index].end = told.end;
        }
    }
}

int writer_use_header(struct wfs_writer *writer, const char *json, size_t length)
{
    auto_free char *kept = malloc(length + 1);
    auto_free char *decoded = malloc(length + 1);
    auto_header struct wfs_header *header = NULL;

    if (!kept || !decoded)
        return -ENOMEM;
    memcpy(kept, json, length);
    memcpy(decoded, json, length);
    uint64_t file_size = HEADER_PREFIX + length + writer->total;
    int r = header_decode(take_ptr(decoded), length, file_size, HEADER_OFFICIAL, &header, NULL);
    if (r < 0)
        return r == -ENOMEM ? r : 0;
    r = tells_the_tensors(writer, header) ? tells_the_metadata(writer, header) : 0;
    if (r == 1) {
        place_as_told(writer, header);
        free(writer->raw_header);
        writer->raw_header = take_ptr(kept);
        writer->raw_length = length;
    }
    return r;
}

/* --- a header of our own ------------------------------------------------------------------------------ */

void writer_keep_layout(struct wfs_writer *writer, const struct wfs_header *source, uint64_t data_offset)
{
    writer->source = (struct layout_source){source, data_offset};
    writer->layout.kind = LAYOUT_KEEP;
}

static int place_tensors(struct wfs_writer *writer, struct wfs_error *err)
{
    auto_free struct layout_item *items = items_of(writer);
    auto_free size_t *order = calloc(writer->count + 1, sizeof *order);
    struct layout used = writer->layout;

    if (!items || !order)
        return error_no_memory(err);
    int r = layout_place(items, writer->count, &writer->source, writer->layout, &used, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < writer->count; i++) {
        const struct wfs_tensor *placed = &items[i].tensor;
        if (!writer_find(writer, placed->name, placed->name_length, &order[i]))
            return error_errno(err, EIO, "the layout lost tensor '%s'",
                               printable(placed->name, placed->name_length).text);
        writer->tensors[order[i]].begin = placed->begin;
        writer->tensors[order[i]].end = placed->end;
    }
    writer->layout = used;
    writer->order = take_ptr(order);
    return 0;
}

/* One text a tensor, in the order of the file: zeros while the CRCs are not known. */
static int crc_texts(struct wfs_writer *writer, bool known, struct crc_text *texts, struct wfs_error *err)
{
    for (size_t i = 0; i < writer->count; i++) {
        uint32_t crc = 0;
        int r = known ? writer_crc(writer, writer->order[i], &crc, err) : 0;
        if (r < 0)
            return r;
        snprintf(texts[i].text, sizeof(texts[i].text), "%-*" PRIu32, CRC_DIGITS, crc);
    }
    return 0;
}

static int encode(struct wfs_writer *writer, bool finished, struct bytes *out, struct wfs_error *err)
{
    if (writer->raw_header) {
        unsigned char prefix[HEADER_PREFIX];
        for (size_t i = 0; i < sizeof prefix; i++)
            prefix[i] = (unsigned char)((uint64_t)writer->raw_length >> (8 * i));
        bytes_append(out, prefix, sizeof prefix);
        bytes_append(out, writer->raw_header, writer->raw_length);
        return out->failed ? error_no_memory(err) : 0;
    }

    auto_free struct layout_item *items = items_of(writer);
    auto_free struct crc_text *texts = calloc(writer->count + 1, sizeof *texts);
    if (!items || !texts)
        return error_no_memory(err);
    int r = writer->crc ? crc_texts(writer, finished, texts, err) : 0;
    if (r < 0)
        return r;
    for (size_t i = 0; writer->crc && i < writer->count; i++)
        items[i].crc = texts[i].text;
    return header_encode(items, writer->count, &writer->metadata, &writer->source, writer->layout, out, err);
}

/* Asks for the space at once, so that a full disk is told before hours of writing. */
static int reserve_space(const struct wfs_writer *writer, struct wfs_error *err)
{
    int fd = replace_fd(writer->replace);
    uint64_t size = writer->data_offset + writer->total;
    struct statvfs fs;

    if (!writer->preallocate || fallocate(fd, 0, 0, (off_t)size) == 0)
        return 0;
    if (errno != ENOSPC && errno != EDQUOT)
        return 0;
    int errnum = errno;
    uint64_t available = fstatvfs(fd, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : 0;
    return error_errno(err, errnum, "%s: needs %" PRIu64 " bytes, %" PRIu64 " are free",
                       writer_path(writer).text, size, available);
}

int writer_fix(struct wfs_writer *writer, struct wfs_error *err)
{
    auto_bytes header = BYTES_EMPTY;

    if (writer->is_fixed)
        return 0;
    if (writer_settle_metadata(writer) < 0)
        return error_no_memory(err);
    int r = writer->raw_header || writer->order ? 0 : place_tensors(writer, err);
    if (r == 0)
        r = encode(writer, false, &header, err);
    if (r < 0) {
        error_prefix(err, "%s: ", writer_path(writer).text);
        return r;
    }
    writer->data_offset = header.length;
    r = reserve_space(writer, err);
    if (r == 0)
        writer->is_fixed = true;
    return r;
}

int writer_put_header(struct wfs_writer *writer, struct wfs_error *err)
{
    auto_bytes header = BYTES_EMPTY;
    int r = encode(writer, true, &header, err);

    if (r < 0)
        return r;
    if (header.length != writer->data_offset)
        return error_errno(err, EIO, "%s: the header came out at another length than announced",
                           writer_path(writer).text);
    r = io_write_at(replace_fd(writer->replace), header.data, header.length, 0);
    return r < 0 ? error_errno(err, -r, "%s: cannot write the header", writer_path(writer).text) : 0;
}
