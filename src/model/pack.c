/* SPDX-License-Identifier: Apache-2.0 */
#include "model/pack.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "model/checksum.h"
#include "model/convert.h"
#include "model/writer.h"

#include <fcntl.h>
#include <string.h>

DEFINE_CLEANUP(struct wfs_writer, writer, wfs_writer_close)
DEFINE_CLEANUP(struct image, image, image_unref)
#define auto_writer __attribute__((cleanup(cleanup_writer)))
#define auto_image  __attribute__((cleanup(cleanup_image)))

/* The data start of a source that is known by its metadata.json only: congruent to nothing. */
#define DATA_OFFSET_UNKNOWN 1u

struct packing {
    const struct folder *folder;
    const struct pack_options *options;
    struct wfs_writer *writer;
    struct wfs_header *kept; /* the header that extract left; NULL: none */
    bool has_crc;            /* the kept header has checksums */
};

/* --- the header that extract left --------------------------------------------------------------------- */

/* Decodes a header as if the bytes it tells of followed it; NULL there: it is none. -ENOMEM. */
static int decode(const char *json, size_t length, uint64_t total, struct wfs_header **ret_header)
{
    char *copy = malloc(length + 1);

    if (!copy)
        return -ENOMEM;
    memcpy(copy, json, length);
    copy[length] = '\0';
    uint64_t file_size = HEADER_PREFIX + length + total;
    return header_decode(copy, length, file_size, HEADER_OFFICIAL, ret_header, NULL) == -ENOMEM ? -ENOMEM : 0;
}

static uint64_t total_length(const struct folder *folder)
{
    uint64_t total = 0;

    for (size_t i = 0; i < folder->count; i++)
        total += folder->items[i].length;
    return total;
}

static bool has_checksums(const struct wfs_header *header)
{
    uint32_t crc = 0;

    for (size_t i = 0; header && i < wfs_header_count(header); i++)
        if (header_crc(header, i, &crc))
            return true;
    return false;
}

/* Whether the bytes of a file still have the checksum that the kept header tells: 1 or 0; negative errno. */
static int has_its_checksum(const struct packing *packing, const struct folder_item *item)
{
    uint32_t stored = 0;
    uint32_t computed = 0;
    size_t index = 0;

    if (!wfs_header_find(packing->kept, item->tensor.name, item->tensor.name_length, &index))
        return 0;
    if (!header_crc(packing->kept, index, &stored))
        return 1;
    if (item->foreign) /* what is stored tells of the bytes as they will be */
        return 0;
    auto_close int fd = openat(packing->folder->dirfd, item->file_name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int r = fd < 0 ? -errno
                   : checksum_of_range(fd, item->offset, item->length, CHECKSUM_CRC32, NULL, NULL, &computed);
    return r < 0 ? r : stored == computed;
}

static int checksums_hold(const struct packing *packing)
{
    int r = 1;

    for (size_t i = 0; r == 1 && i < packing->folder->count; i++)
        r = has_its_checksum(packing, &packing->folder->items[i]);
    return r;
}

/* --- declaring ---------------------------------------------------------------------------------------- */

static int declare_metadata(const struct packing *packing, struct wfs_error *err)
{
    const struct wfs_header *document = packing->folder->document;

    if (!document || !wfs_header_has_metadata(document))
        return 0;
    int r = wfs_writer_metadata(packing->writer, NULL, NULL, err);
    for (size_t i = 0; r == 0 && i < wfs_header_metadata_count(document); i++) {
        struct metadata_pair pair;
        wfs_header_metadata(document, i, &pair.key, &pair.key_length, &pair.value, &pair.value_length);
        r = writer_add_metadata(packing->writer, &pair, err);
    }
    return r;
}

static int declare(const struct packing *packing, const struct wfs_header *source, struct wfs_error *err)
{
    int r = declare_metadata(packing, err);

    for (size_t i = 0; r == 0 && i < packing->folder->count; i++) {
        const struct wfs_tensor *tensor = &packing->folder->items[i].tensor;
        size_t slot = LAYOUT_NEW;
        if (source)
            wfs_header_find(source, tensor->name, tensor->name_length, &slot);
        r = writer_declare(packing->writer, tensor, slot, err);
    }
    return r;
}

/* Uses the kept header as it stands when nothing it says has changed. */
static int use_kept_header(const struct packing *packing, struct wfs_error *err)
{
    const struct folder *folder = packing->folder;
    bool is_wanted = !packing->options->layout || strcmp(packing->options->layout, "keep") == 0;

    if (!packing->kept || !is_wanted || (packing->options->crc && !packing->has_crc))
        return 0;
    int r = packing->has_crc ? checksums_hold(packing) : 1;
    if (r == 1)
        r = writer_use_header(packing->writer, folder->header, folder->header_length);
    if (r == -ENOMEM)
        return error_no_memory(err);
    return r < 0 ? error_errno(err, -r, "%s: cannot be read", folder->path) : 0;
}

/* --- the bytes ---------------------------------------------------------------------------------------- */

static int open_image(const struct folder *folder, const struct folder_item *item, struct image **ret_image,
                      struct wfs_error *err)
{
    auto_image struct image *image = image_new();
    struct file *file = NULL;

    int r = file_open(folder->dirfd, item->file_name, 0, &file, err);
    if (r < 0)
        return r;
    r = image && image_add_file(image, file, item->offset, item->length) == 0 ? 0 : error_no_memory(err);
    file_unref(file);
    if (r == 0)
        *ret_image = take_ptr(image);
    return r;
}

/* One tensor that is converted on its way. */
struct converted {
    struct wfs_writer *writer;
    size_t index;
    struct wfs_error *err;
};

static int write_converted(void *context, const void *bytes, size_t length, uint64_t offset)
{
    const struct converted *converted = context;

    return writer_write(converted->writer, converted->index, offset, bytes, length, converted->err);
}

static int convert_item(const struct packing *packing, const struct folder_item *item, size_t index,
                        const struct image *image, struct wfs_error *err)
{
    struct wfs_error fault = {0};
    struct converted converted = {packing->writer, index, &fault};

    int r = convert_npy(item->foreign, image, write_converted, &converted);
    if (r >= 0)
        return r;
    if (fault.errnum == 0)
        return error_errno(err, -r, "%s: cannot be converted", printable_string(item->file_name).text);
    if (err)
        *err = fault;
    return r;
}

static int copy_item(const struct packing *packing, const struct folder_item *item, struct wfs_error *err)
{
    auto_image struct image *image = NULL;
    size_t index = 0;

    if (item->length == 0 ||
        !writer_find(packing->writer, item->tensor.name, item->tensor.name_length, &index))
        return 0;
    int r = open_image(packing->folder, item, &image, err);
    if (r < 0)
        return r;
    return item->foreign ? convert_item(packing, item, index, image, err)
                         : writer_copy(packing->writer, index, image, err);
}

struct placed {
    uint64_t begin;
    const struct folder_item *item;
};

static int compare_placed(const void *left, const void *right)
{
    const struct placed *a = left;
    const struct placed *b = right;

    return (a->begin > b->begin) - (a->begin < b->begin);
}

/* In the order of the file, so that it is written from its beginning to its end. */
static int copy_items(const struct packing *packing, struct wfs_error *err)
{
    const struct folder *folder = packing->folder;
    auto_free struct placed *placed = calloc(folder->count + 1, sizeof *placed);
    int r = writer_fix(packing->writer, err);

    if (!placed)
        return error_no_memory(err);
    for (size_t i = 0; r == 0 && i < folder->count; i++) {
        const struct folder_item *item = &folder->items[i];
        size_t index = 0;
        writer_find(packing->writer, item->tensor.name, item->tensor.name_length, &index);
        placed[i] = (struct placed){packing->writer->tensors[index].begin, item};
    }
    if (r == 0 && folder->count > 0)
        qsort(placed, folder->count, sizeof *placed, compare_placed);
    for (size_t i = 0; r == 0 && i < folder->count; i++)
        r = copy_item(packing, placed[i].item, err);
    return r;
}

/* --- the whole ---------------------------------------------------------------------------------------- */

static int create_writer(struct packing *packing, const char *path, struct wfs_error *err)
{
    const struct pack_options *options = packing->options;
    bool keeps = options->layout && strcmp(options->layout, "keep") == 0;
    struct wfs_writer_options writer_options = {
        .layout = keeps ? NULL : options->layout,
        .crc = options->crc || packing->has_crc,
        .exclusive = !options->replace,
        .progress = options->progress,
        .context = options->context,
    };

    return wfs_writer_create(path, &writer_options, &packing->writer, err);
}

/* What "keep" keeps: the order of the kept header, else that of metadata.json. */
static const struct wfs_header *order_source(const struct packing *packing, uint64_t *ret_data_offset)
{
    if (packing->kept) {
        *ret_data_offset = wfs_header_data_offset(packing->kept);
        return packing->kept;
    }
    *ret_data_offset = DATA_OFFSET_UNKNOWN;
    return packing->folder->document;
}

int pack_folder(const struct folder *folder, const char *path, const struct pack_options *options,
                struct wfs_error *err)
{
    struct packing packing = {.folder = folder, .options = options};
    const struct wfs_header *source = NULL;
    uint64_t data_offset = 0;

    auto_header struct wfs_header *kept = NULL;
    if (folder->header && decode(folder->header, folder->header_length, total_length(folder), &kept) < 0)
        return error_no_memory(err);
    packing.kept = kept;
    packing.has_crc = has_checksums(kept);
    if (options->layout && strcmp(options->layout, "keep") == 0)
        source = order_source(&packing, &data_offset);

    int r = create_writer(&packing, path, err);
    auto_writer struct wfs_writer *writer = packing.writer;
    if (r < 0)
        return r;
    writer->preallocate = false; /* space that is there already cannot be cloned into */
    if (source)
        writer_keep_layout(writer, source, data_offset);
    r = declare(&packing, source, err);
    if (r < 0)
        return r;
    r = use_kept_header(&packing, err);
    if (r == 0)
        r = copy_items(&packing, err);
    return r < 0 ? r : wfs_writer_finish(writer, err);
}
