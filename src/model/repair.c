/* SPDX-License-Identifier: Apache-2.0 */
#include "model/repair.h"

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "format/header.h"
#include "format/sniff.h"
#include "model/checksum.h"
#include "model/writer.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SNIFF_SIZE    512u
#define COMPARE_BLOCK ((size_t)1 << 20)

DEFINE_CLEANUP(struct wfs_writer, writer, wfs_writer_close)
DEFINE_CLEANUP(struct image, image, image_unref)
DEFINE_CLEANUP(struct file, file, file_unref)
#define auto_writer __attribute__((cleanup(cleanup_writer)))
#define auto_image  __attribute__((cleanup(cleanup_image)))
#define auto_file   __attribute__((cleanup(cleanup_file)))

struct repair {
    const struct repair_options *options;
    struct printable from;
    struct file *file;
    int fd; /* acquired from it */
    uint64_t file_size;
    uint64_t data_offset;      /* in the file as it is */
    struct wfs_header *header; /* mended */
    bool has_crc;
    uint64_t compared; /* bytes of tensors that stand twice */
};

/* --- reading ------------------------------------------------------------------------------------------ */

static int read_json(struct repair *repair, char **ret_json, size_t *ret_length, struct wfs_error *err)
{
    unsigned char start[SNIFF_SIZE];
    uint64_t length = 0;

    ssize_t size = io_read_some(repair->fd, start, sizeof start, 0);
    if (size < 0)
        return error_errno(err, (int)-size, "cannot be read");
    int r = header_length(start, (size_t)size, repair->file_size, &length, err);
    const char *kind = r < 0 ? sniff(start, (size_t)size) : NULL;
    if (kind && err) {
        struct wfs_error copy = *err;
        return error_rule(err, copy.code, "%s; this is %s", copy.text, kind);
    }
    if (r < 0)
        return r;
    auto_free char *json = malloc((size_t)length + 1);
    if (!json)
        return error_no_memory(err);
    r = io_read_at(repair->fd, json, (size_t)length, HEADER_PREFIX);
    if (r < 0)
        return error_errno(err, -r, "cannot be read");
    *ret_json = take_ptr(json);
    *ret_length = (size_t)length;
    return 0;
}

static uint64_t data_size(const struct repair *repair)
{
    return repair->file_size - repair->data_offset;
}

static void hear(void *context, const char *sentence)
{
    const struct repair *repair = context;

    repair->options->report(repair->options->context, sentence);
}

/* Where no tensors overlap, all that stand twice are no more than the data: beyond that it is no use to go
 * on. */
static int have_same_bytes(void *context, uint64_t begin, uint64_t other, uint64_t length)
{
    struct repair *repair = context;
    uint64_t size = data_size(repair);
    auto_free char *blocks = malloc(2 * COMPARE_BLOCK);
    int r = 0;

    if (!blocks)
        return -ENOMEM;
    if (begin > size || other > size || length > size - begin || length > size - other ||
        length > size - repair->compared)
        return 0;
    repair->compared += length;
    for (uint64_t at = 0; r == 0 && at < length; at += COMPARE_BLOCK) {
        size_t count = (size_t)min_u64(COMPARE_BLOCK, length - at);
        r = io_read_at(repair->fd, blocks, count, repair->data_offset + begin + at);
        if (r == 0)
            r = io_read_at(repair->fd, blocks + COMPARE_BLOCK, count, repair->data_offset + other + at);
        if (r == 0 && memcmp(blocks, blocks + COMPARE_BLOCK, count) != 0)
            return 0;
    }
    return r < 0 ? r : 1;
}

static int mend_json(struct repair *repair, struct bytes *mended, struct wfs_error *err)
{
    auto_free char *json = NULL;
    size_t length = 0;

    int r = read_json(repair, &json, &length, err);
    if (r < 0)
        return r;
    repair->data_offset = HEADER_PREFIX + length;
    return mend_header(json, length, hear, have_same_bytes, repair, mended, err);
}

static int read_header(struct repair *repair, struct wfs_error *err)
{
    auto_bytes mended = BYTES_EMPTY;

    int r = mend_json(repair, &mended, err);
    if (r < 0)
        return r;
    size_t length = mended.length;
    bytes_char(&mended, '\0');
    char *text = bytes_take(&mended);
    if (!text)
        return error_no_memory(err);
    return header_decode(text, length, HEADER_PREFIX + length + data_size(repair), HEADER_STSW,
                         &repair->header, err);
}

/* --- judging ------------------------------------------------------------------------------------------ */

static void tell_holes(const struct repair *repair)
{
    uint64_t expected = 0;

    for (size_t i = 0; i < wfs_header_count(repair->header); i++) {
        struct wfs_tensor tensor = wfs_header_tensor(repair->header, i);
        if (tensor.begin > expected)
            mend_tell(repair->options->report, repair->options->context,
                      "tensor '%s': a hole of %" PRIu64 " bytes lay before it",
                      printable(tensor.name, tensor.name_length).text, tensor.begin - expected);
        expected = tensor.end;
    }
    if (data_size(repair) > expected)
        mend_tell(repair->options->report, repair->options->context,
                  "%" PRIu64 " bytes lay behind the last tensor", data_size(repair) - expected);
}

/* A checksum that fails says that the bytes are not what they were: that is nothing to be written as if it
 * were sound. */
static int check_tensor(struct repair *repair, size_t index, size_t *foreign, struct wfs_error *err)
{
    struct wfs_tensor tensor = wfs_header_tensor(repair->header, index);
    uint64_t offset = repair->data_offset + tensor.begin;
    uint64_t length = tensor.end - tensor.begin;
    uint32_t stored = 0;
    uint32_t crc = 0;
    uint32_t other = 0;

    if (!header_crc(repair->header, index, &stored))
        return 0;
    repair->has_crc = true;
    int r = checksum_of_range(repair->fd, offset, length, CHECKSUM_CRC32, NULL, NULL, &crc);
    if (r == 0 && crc != stored)
        r = checksum_of_range(repair->fd, offset, length, CHECKSUM_XXH32, NULL, NULL, &other);
    if (r < 0)
        return error_errno(err, -r, "cannot be read");
    if (crc == stored)
        return 0;
    (*foreign)++;
    if (other == stored)
        return 0;
    return error_rule(err, WFS_CODE_CHECKSUM_MISMATCH,
                      "tensor '%s': ChecksumMismatch: its bytes have CRC-32 %08" PRIx32
                      ", stored is %08" PRIx32,
                      printable(tensor.name, tensor.name_length).text, crc, stored);
}

static int check_checksums(struct repair *repair, struct wfs_error *err)
{
    size_t foreign = 0;
    int r = 0;

    for (size_t i = 0; r == 0 && i < wfs_header_count(repair->header); i++)
        r = check_tensor(repair, i, &foreign, err);
    if (r == 0 && foreign > 0)
        mend_tell(repair->options->report, repair->options->context,
                  "%zu checksums were XXH32 and are now CRC-32", foreign);
    return r;
}

/* --- writing ------------------------------------------------------------------------------------------ */

static int declare(const struct repair *repair, struct wfs_writer *writer, struct wfs_error *err)
{
    const struct wfs_header *header = repair->header;
    int r = wfs_header_has_metadata(header) ? wfs_writer_metadata(writer, NULL, NULL, err) : 0;

    for (size_t i = 0; r == 0 && i < wfs_header_metadata_count(header); i++) {
        struct metadata_pair pair;
        wfs_header_metadata(header, i, &pair.key, &pair.key_length, &pair.value, &pair.value_length);
        r = writer_add_metadata(writer, &pair, err);
    }
    for (size_t i = 0; r == 0 && i < wfs_header_count(header); i++) {
        struct wfs_tensor tensor = wfs_header_tensor(header, i);
        r = writer_declare(writer, &tensor, LAYOUT_NEW, err);
    }
    return r;
}

static int copy_tensor(const struct repair *repair, struct wfs_writer *writer,
                       const struct wfs_tensor *tensor, struct wfs_error *err)
{
    auto_image struct image *image = image_new();
    size_t index = 0;

    if (tensor->begin == tensor->end || !writer_find(writer, tensor->name, tensor->name_length, &index))
        return 0;
    if (!image || image_add_file(image, repair->file, repair->data_offset + tensor->begin,
                                 tensor->end - tensor->begin) < 0)
        return error_no_memory(err);
    return writer_copy(writer, index, image, err);
}

static int write_file(const struct repair *repair, const char *to, struct wfs_error *err)
{
    auto_writer struct wfs_writer *writer = NULL;
    struct wfs_writer_options options = {
        .crc = repair->has_crc,
        .exclusive = !repair->options->replace,
        .progress = repair->options->progress,
        .context = repair->options->progress_context,
    };

    int r = wfs_writer_create(to, &options, &writer, err);
    if (r < 0)
        return r;
    writer->preallocate = false; /* space that is there already cannot be cloned into */
    r = declare(repair, writer, err);
    for (size_t i = 0; r == 0 && i < wfs_header_count(repair->header); i++) {
        struct wfs_tensor tensor = wfs_header_tensor(repair->header, i);
        r = copy_tensor(repair, writer, &tensor, err);
    }
    return r < 0 ? r : wfs_writer_finish(writer, err);
}

static int read_and_judge(struct repair *repair, struct wfs_error *err)
{
    int r = read_header(repair, err);
    if (r == 0)
        tell_holes(repair);
    if (r == 0)
        r = check_checksums(repair, err);
    if (r < 0)
        error_prefix(err, "%s: ", repair->from.text);
    return r;
}

int repair_file(const char *from, const char *to, const struct repair_options *options, struct wfs_error *err)
{
    struct repair repair = {.options = options, .from = printable_string(from)};
    auto_file struct file *file = NULL;

    int r = file_open(AT_FDCWD, from, 0, &file, err);
    if (r < 0)
        return r;
    repair.file = file;
    repair.file_size = file_identity(file)->size;
    repair.fd = file_acquire(file);
    if (repair.fd < 0)
        return error_errno(err, -repair.fd, "%s: cannot be opened", repair.from.text);
    r = read_and_judge(&repair, err);
    if (r == 0)
        r = write_file(&repair, to, err);
    file_release(file);
    wfs_header_free(repair.header);
    return r;
}
