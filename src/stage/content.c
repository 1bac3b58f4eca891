/* SPDX-License-Identifier: Apache-2.0
 *
 * Where an entry's bytes are, when they must become writable.
 */
#include "base/checked.h"
#include "base/clone.h"
#include "base/fault.h"
#include "base/io.h"
#include "stage/pending.h"

#define NPY_USUAL_HEADER 128u /* bytes of the header that NumPy writes, but for shapes of many dimensions */

static int fill_from_part(int fd, uint64_t offset, const struct image_part *part, uint64_t skip,
                          uint64_t count)
{
    if (!part->file)
        return io_write_at(fd, part->memory + skip, (size_t)count, offset);

    struct image *range = image_new();
    int r = range ? image_add_file(range, part->file, part->offset + skip, count) : -ENOMEM;
    if (r == 0)
        r = image_write(range, fd, offset, NULL, NULL, NULL);
    image_unref(range);
    return r < 0 ? r : file_check(part->file); /* a model changed in place has no bytes to give any more */
}

int spool_fill(struct file *spool, uint64_t offset, const struct image *image, uint64_t from, uint64_t length)
{
    int r = 0;
    uint64_t part_begin = 0;
    int fd = file_acquire(spool);
    if (fd < 0)
        return fd;

    file_mark_dirty(spool);
    for (size_t i = 0; r == 0 && length > 0 && i < image_part_count(image); i++) {
        const struct image_part *part = image_part(image, i);
        uint64_t part_end = part_begin + part->length;
        if (from < part_end) {
            uint64_t count = min_u64(part_end - from, length);
            r = fill_from_part(fd, offset, part, from - part_begin, count);
            from += count;
            offset += count;
            length -= count;
        }
        part_begin = part_end;
    }
    file_release(spool);
    return r;
}

static int new_spool_file(struct stage *stage, struct content *content)
{
    {
        auto_lock(&stage->lock);
        int r = stage_ensure_spool(stage);
        if (r < 0)
            return r;
    }
    return spool_new_file(stage->spool, &content->spool, &content->spool_number, NULL);
}

/* Where in the model's file new bytes of this entry will be, as far as can be told now: in the place of the
 * tensor of that name, or behind all others. stage->lock held. */
static uint64_t likely_offset(const struct entry *entry)
{
    struct stage *stage = entry->stage;
    size_t index;

    if (generation_is_empty(stage->generation) || entry == stage->document)
        return 0;
    uint64_t offset = entry->slot && base_find(stage, slot_key(entry->slot), &index)
                          ? generation_offset(stage->generation, index)
                          : file_identity(generation_file(stage->generation))->size;
    return entry->state.draft ? offset + CLONE_BLOCK - NPY_USUAL_HEADER : offset;
}

/* The lead-in keeps the spool file's offsets congruent to those of the file that the bytes are copied from,
 * and to those of the file that a commit writes, so that the file system can share blocks both times. */
static uint64_t lead_in_for(const struct entry *entry, const struct image *image, uint64_t keep)
{
    if (keep == 0) {
        auto_lock(&entry->stage->lock);
        return likely_offset(entry) % CLONE_BLOCK;
    }
    if (keep < CLONE_BLOCK || image_part_count(image) != 1 || !image_part(image, 0)->file)
        return 0;
    return image_part(image, 0)->offset % CLONE_BLOCK;
}

static int snapshot(struct entry *entry, struct image **ret_image)
{
    auto_lock(&entry->stage->lock);
    *ret_image = entry->state.content.kind == CONTENT_EMPTY && entry != entry->stage->document
                     ? image_new()
                     : entry_image(entry, entry->state.draft ? PLACE_NPY : PLACE_TENSORS);
    return *ret_image ? 0 : -ENOMEM;
}

/* Bytes that were fsynced are about to be touched: after a power loss they must not pass for whole. */
static int unsync(struct entry *entry)
{
    struct stage *stage = entry->stage;
    auto_state next = {.declared = DECLARATION_NONE, .by_xattr = DECLARATION_NONE};
    {
        auto_lock(&stage->lock);
        if (!entry->state.synced || fault(FAULT_MARK_KEPT))
            return 0;
        int r = state_copy(&next, &entry->state);
        if (r < 0)
            return r;
        next.synced = false;
        r = entry_update(entry, &next);
        if (r < 0)
            return r;
    }
    return journal_sync(spool_journal(stage->spool));
}

/* Name and declaration may have changed while bytes were copied: they are taken as they are now. */
static int adopt_content(struct entry *entry, struct content *content, bool patched, bool anew)
{
    struct stage *stage = entry->stage;
    auto_state next = {.declared = DECLARATION_NONE, .by_xattr = DECLARATION_NONE};
    auto_lock(&stage->lock);
    int r = state_copy(&next, &entry->state);

    if (r < 0)
        return r;
    content_clear(&next.content);
    next.content = *content;
    file_ref(content->spool);
    next.patched = patched;
    next.synced = false;
    next.unsynced_lost = next.unsynced_lost && !anew;
    next.npy_view = next.npy_view && !anew;
    r = entry_update(entry, &next);
    if (r == 0)
        stage_touch(stage, entry);
    return r;
}

/* A file that has its size before its bytes: appending them would make XFS reserve as much again. */
static int size_spool(struct file *spool, uint64_t size)
{
    int fd = file_acquire(spool);
    if (fd < 0)
        return fd;
    int r = io_truncate(fd, size);
    file_release(spool);
    return r;
}

/* Gives the entry a new spool file with the first `keep` bytes of an image. */
static int adopt_bytes(struct entry *entry, const struct image *image, uint64_t keep, bool patched, bool anew)
{
    struct stage *stage = entry->stage;
    struct content content = {.kind = CONTENT_SPOOL, .size = keep};
    int r = new_spool_file(stage, &content);

    if (r < 0)
        return r;
    content.lead_in = lead_in_for(entry, image, keep);
    r = keep > 0 ? size_spool(content.spool, content.lead_in + keep) : 0;
    r = r < 0 ? r : spool_fill(content.spool, content.lead_in, image, 0, keep);
    r = r < 0 ? r : adopt_content(entry, &content, patched, anew);
    if (r < 0)
        file_unlink_on_last(content.spool);
    content_clear(&content);
    return r;
}

int content_error(const struct entry *entry)
{
    const struct content *content = &entry->state.content;

    return content->kind == CONTENT_SPOOL ? file_error(content->spool) : 0;
}

int content_make_writable(struct entry *entry, uint64_t keep)
{
    struct image *image = NULL;

    if (entry->state.content.kind == CONTENT_SPOOL) {
        int r = content_error(entry);
        return r < 0 ? r : unsync(entry);
    }
    int r = snapshot(entry, &image);
    if (r == 0)
        r = adopt_bytes(entry, image, keep, keep > 0 && entry->state.content.kind == CONTENT_SOURCE, false);
    image_unref(image);
    return r;
}

int content_replace(struct entry *entry, const struct image *image)
{
    return adopt_bytes(entry, image, image_length(image), false, true);
}
