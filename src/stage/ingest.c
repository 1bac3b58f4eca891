/* SPDX-License-Identifier: Apache-2.0
 *
 * .npy files that arrive. While somebody writes one it is a draft: its bytes are kept as they come, header
 * and all. When the last writer closed it, it is understood: its header becomes the declaration and the
 * elements behind it the tensor, in place. Big-endian and Fortran-ordered elements are rewritten into a new
 * spool file.
 */
#include "base/error.h"
#include "base/io.h"
#include "format/npy.h"
#include "model/convert.h"
#include "stage/pending.h"

#include <inttypes.h>
#include <string.h>

/* The beginning of a draft, as far as a header can reach. */
static int read_header(const struct entry *entry, struct npy_header *ret_header, struct wfs_error *err)
{
    uint64_t size = entry->state.content.size;
    size_t length = size < NPY_HEADER_MAX ? (size_t)size : NPY_HEADER_MAX;
    auto_free unsigned char *bytes = malloc(length + 1);
    struct image *image = bytes ? content_image(entry, 0, length) : NULL;
    if (!image)
        return error_no_memory(err);
    ssize_t count = image_read(image, bytes, length, 0);
    image_unref(image);
    if (count < 0)
        return error_errno(err, (int)-count, "cannot read the staged file");
    int r = npy_decode(bytes, (size_t)count, ret_header, err);
    if (r == -EAGAIN && size >= NPY_HEADER_MAX)
        return error_rule(err, WFS_CODE_NPY_INVALID, "its header is longer than %u bytes", NPY_HEADER_MAX);
    return r;
}

void draft_peek(struct entry *entry)
{
    struct npy_header header = {.shape = NULL};

    if (entry->draft_data != 0)
        return;
    if (read_header(entry, &header, NULL) < 0)
        return;
    entry->draft_data = header.data_offset;
    npy_header_clear(&header);
}

void draft_touched(struct entry *entry, uint64_t from)
{
    if (!entry->state.draft)
        return;
    if (from < entry->draft_data)
        entry->draft_data = 0;
    if (from <= NPY_HEADER_MAX)
        draft_peek(entry);
}

/* The dtype of the elements: what the header says, or, where NumPy has no name for it, what the name is
 * declared as. */
static enum wfs_dtype resolve_dtype(const struct npy_header *header, const struct entry_state *state)
{
    bool by_xattr = state->by_xattr.dtype != WFS_DTYPE_COUNT;
    enum wfs_dtype declared = by_xattr ? state->by_xattr.dtype : state->declared.dtype;

    if (header->is_void && declared != WFS_DTYPE_COUNT && wfs_dtype_bits(declared) == header->item_size * 8)
        return declared;
    if (header->is_u2 && declared == WFS_BF16)
        return WFS_BF16;
    return header->dtype;
}

/* 0, or why the draft is no tensor yet. On 0 the header is owed a clear. */
static int understand(const struct entry *entry, struct npy_header *header, enum wfs_dtype *ret_dtype,
                      struct wfs_error *err)
{
    int r = read_header(entry, header, err);

    if (r == -EAGAIN)
        return error_rule(err, WFS_CODE_NPY_INCOMPLETE,
                          "its header is not complete: %" PRIu64 " bytes so far", entry->state.content.size);
    if (r < 0)
        return r;
    uint64_t size = entry->state.content.size - header->data_offset;
    *ret_dtype = resolve_dtype(header, &entry->state);
    if (*ret_dtype == WFS_DTYPE_COUNT)
        r = error_rule(
            err, WFS_CODE_DTYPE_UNDECLARED,
            "its elements are '|V1', which NumPy uses for every 8-bit float: declare the dtype with "
            "metadata.json or the attribute user.safetensors.dtype");
    else if (size != header->data_size)
        r = error_rule(err, WFS_CODE_NPY_INCOMPLETE,
                       "has %" PRIu64 " bytes of elements, expected %" PRIu64 " by its header", size,
                       header->data_size);
    else if (header->fortran_order && header->rank > 1 && header->data_size > CONVERT_TRANSPOSE_MAX)
        r = error_rule(err, WFS_CODE_NPY_INVALID,
                       "it is in Fortran order and has %" PRIu64
                       " bytes, more than are turned here; save it with "
                       "np.ascontiguousarray()",
                       header->data_size);
    if (r < 0)
        npy_header_clear(header);
    return r;
}

void draft_explain(const struct entry *entry, struct wfs_error *ret_why)
{
    struct npy_header header = {.shape = NULL};
    enum wfs_dtype dtype = WFS_DTYPE_COUNT;

    *ret_why = (struct wfs_error){0};
    if (understand(entry, &header, &dtype, ret_why) == 0) {
        npy_header_clear(&header);
        (void)error_rule(ret_why, WFS_CODE_NPY_INCOMPLETE, "it is still being written");
    }
}

/* The state of the tensor that the draft becomes. */
static int understood_state(const struct entry *entry, struct npy_header *header, enum wfs_dtype dtype,
                            struct entry_state *next)
{
    struct declaration arrived = {
        .dtype = dtype,
        .has_shape = true,
        .rank = header->rank,
        .shape = header->shape,
        .shape_size = header->shape_size,
        .by = DECLARED_BY_NPY,
    };
    int r = state_copy(next, &entry->state);

    if (r == 0)
        r = declaration_copy(&next->declared, &arrived);
    next->draft = false;
    next->from_npy = true;
    return r;
}

static int write_converted(void *context, const void *bytes, size_t length, uint64_t offset)
{
    const int *fd = context;

    return io_write_at(*fd, bytes, length, offset);
}

static int convert_into(struct file *spool, const struct npy_header *header, const struct image *image)
{
    int fd = file_acquire(spool);

    if (fd < 0)
        return fd;
    file_mark_dirty(spool);
    int r = convert_npy(header, image, write_converted, &fd);
    file_release(spool);
    return r;
}

/* The elements in a spool file of their own, in C order and little-endian. With content_lock held. */
static int converted_content(struct entry *entry, const struct npy_header *header, struct content *content)
{
    struct stage *stage = entry->stage;

    struct image *image;
    {
        auto_lock(&stage->lock);
        image = content_image(entry, header->data_offset, header->data_size);
    }

    if (!image)
        return -ENOMEM;
    *content = (struct content){.kind = CONTENT_SPOOL, .size = header->data_size};
    int r = spool_new_file(stage->spool, &content->spool, &content->spool_number, NULL);
    if (r == 0)
        r = must_convert_npy(header) ? convert_into(content->spool, header, image)
                                     : spool_fill(content->spool, 0, image, 0, header->data_size);
    image_unref(image);
    if (r < 0 && content->spool) {
        file_unlink_on_last(content->spool);
        file_unref(content->spool);
    }
    return r;
}

/* What was fsynced is about to make room for its converted form: that has to be as safe as it was. */
static int sync_converted(struct stage *stage, struct content *content)
{
    int r = file_sync(content->spool);
    r = r < 0 ? r : spool_sync_names(stage->spool);
    if (r < 0) {
        file_unlink_on_last(content->spool);
        content_clear(content);
    }
    return r;
}

/* Whether the file shows the same bytes when its header is made anew. */
static bool is_as_made(const struct entry *entry, const struct npy_header *header, enum wfs_dtype dtype)
{
    auto_bytes made = BYTES_EMPTY;

    npy_encode(dtype, header->rank, header->shape, &made);
    auto_free char *present = malloc(made.length + 1);
    if (made.failed || !present || made.length != header->data_offset)
        return false;
    struct image *image = content_image(entry, 0, made.length);
    ssize_t count = image ? image_read(image, present, made.length, 0) : -1;
    image_unref(image);
    return count == (ssize_t)made.length && memcmp(present, made.data, made.length) == 0;
}

static int become_tensor(struct entry *entry, struct npy_header *header, enum wfs_dtype dtype)
{
    struct stage *stage = entry->stage;
    struct content content = {.kind = CONTENT_EMPTY};
    auto_state next = {.declared = DECLARATION_NONE, .by_xattr = DECLARATION_NONE};
    bool was_spooled = entry->state.content.kind == CONTENT_SPOOL;
    bool was_synced = was_spooled && entry->state.synced;
    bool converts = must_convert_npy(header) || !was_spooled;
    int r = converts ? converted_content(entry, header, &content) : 0;
    if (r == 0 && converts && was_synced)
        r = sync_converted(stage, &content);
    if (r < 0)
        return r;

    auto_lock(&stage->lock);
    const struct timespec mtime = entry->state.mtime;
    bool shows_the_same = !must_convert_npy(header) && is_as_made(entry, header, dtype);
    r = understood_state(entry, header, dtype, &next);
    if (r < 0) {
        content_clear(&content);
        return r;
    }
    if (converts) {
        content_clear(&next.content);
        next.content = content;
        next.synced = was_synced;
    } else {
        next.content.lead_in += header->data_offset;
        next.content.size = header->data_size;
    }
    r = entry_update(entry, &next);
    if (r < 0)
        return r;
    entry->draft_data = 0;
    stage_touch(stage, entry);
    if (shows_the_same)
        entry->state.mtime = mtime; /* that of `cp -p` */
    return 0;
}

int draft_settle(struct entry *entry)
{
    struct stage *stage = entry->stage;
    struct npy_header header = {.shape = NULL};
    enum wfs_dtype dtype = WFS_DTYPE_COUNT;
    auto_lock(&entry->content_lock);
    if (content_error(entry) < 0)
        return 0; /* a problem that must not become another file's bytes */
    {
        auto_lock(&stage->lock);
        if (!entry->state.draft || !entry->slot || entry->retired)
            return 0;
        if (entry->slot->space != SPACE_TENSOR && entry->slot->space != SPACE_HASHED)
            return 0;
        if (understand(entry, &header, &dtype, NULL) < 0)
            return 0; /* a problem, which check explains */
    }
    int r = become_tensor(entry, &header, dtype);
    npy_header_clear(&header);
    return r;
}

void drafts_settle(struct stage *stage)
{
    size_t bucket = 0;
    size_t count = 0;

    auto_free struct entry **waiting = NULL;
    {
        auto_lock(&stage->lock);
        waiting = calloc(stage->table.count + 1, sizeof(struct entry *));
        for (struct slot *slot = slot_next(&stage->table, &bucket, NULL); waiting && slot;
             slot = slot_next(&stage->table, &bucket, slot)) {
            if (slot->entry && slot->entry->state.draft && slot->entry->writers == 0) {
                slot->entry->refs++;
                waiting[count++] = slot->entry;
            }
        }
    }

    for (size_t i = 0; i < count; i++) {
        (void)draft_settle(waiting[i]);
        entry_unref(waiting[i]);
    }
}

void stage_settle_resumed(struct stage *stage)
{
    bool has_document;
    {
        auto_lock(&stage->lock);
        has_document = stage->document->staged;
    }
    if (has_document)
        (void)document_settle(stage);
    drafts_settle(stage);
}
