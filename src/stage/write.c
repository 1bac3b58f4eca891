/* SPDX-License-Identifier: Apache-2.0
 *
 * Changing bytes through a view: write, truncate, fallocate. The first change of an entry's bytes gives it a
 * spool file.
 */
#include "base/checked.h"
#include "base/fault.h"
#include "base/io.h"
#include "stage/pending.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* Where offset 0 of a view is in the content; -EINVAL: the view cannot be written through now. */
struct window {
    uint64_t header; /* bytes of a made .npy header before the content */
    uint64_t shift;  /* bytes of the content before the view's first (a draft seen through tensors/) */
    uint64_t size;   /* of the content */
};

static int view_window(struct entry *entry, enum stage_place place, struct window *ret_window)
{
    auto_lock(&entry->stage->lock);
    const struct entry_state *state = &entry->state;

    if (entry->retired)
        return -ESTALE;
    *ret_window = (struct window){.size = state->content.size};
    if (entry == entry->stage->document)
        ret_window->size = entry_size(entry, place);
    if (view_has_header(entry, place))
        ret_window->header = view_header_size(entry);
    if (state->draft && place == PLACE_TENSORS) {
        if (entry->draft_data == 0)
            return -EINVAL;
        ret_window->shift = entry->draft_data;
    }
    return 0;
}

/* Bytes inside a made header may be rewritten with what they are, nothing else. */
static int check_header_bytes(struct entry *entry, enum stage_place place, const void *data, size_t length,
                              uint64_t offset)
{
    char present[4096];

    struct image *image;
    {
        auto_lock(&entry->stage->lock);
        image = entry_image(entry, place);
    }

    if (!image)
        return -ENOMEM;
    int r = 0;
    for (size_t done = 0; r == 0 && done < length;) {
        size_t step = length - done < sizeof(present) ? length - done : sizeof(present);
        ssize_t count = image_read(image, present, step, offset + done);
        if (count < (ssize_t)step || memcmp(present, (const char *)data + done, step) != 0)
            r = -EINVAL;
        done += step;
    }
    image_unref(image);
    return r;
}

/* Errors that say that the disk lost something, not that there was no room for it. */
static bool is_damage(int errnum)
{
    return errnum != ENOSPC && errnum != EDQUOT && errnum != EFBIG && errnum != EINTR;
}

static ssize_t spool_write(struct file *spool, const void *data, size_t length, uint64_t offset)
{
    int fd = file_acquire(spool);
    if (fd < 0)
        return fd;
    file_mark_dirty(spool);
    size_t done = 0;
    int errnum = 0;
    while (done < length && !errnum) {
        ssize_t count = pwrite(fd, (const char *)data + done, length - done, (off_t)(offset + done));
        if (count < 0 && errno != EINTR)
            errnum = errno;
        else if (count > 0)
            done += (size_t)count;
    }
    if (errnum && is_damage(errnum) && !fault(FAULT_WRITE_LATCH))
        file_latch(spool, errnum);
    file_release(spool);
    return done > 0 ? (ssize_t)done : -errnum;
}

/* With content_lock held: bytes at an offset of the content. */
static ssize_t content_write(struct entry *entry, const void *data, size_t length, uint64_t offset,
                             uint64_t size)
{
    struct stage *stage = entry->stage;
    uint64_t end;

    if (add_overflows(offset, length, &end) || end > INT64_MAX)
        return -EFBIG;
    int r = content_make_writable(entry, size);
    if (r < 0)
        return r;
    /* only content_lock holders change where the content is */
    const struct content *content = &entry->state.content;
    ssize_t written = spool_write(content->spool, data, length, content->lead_in + offset);
    if (file_error(content->spool) < 0)
        entry_note_damage(entry);
    if (written <= 0)
        return written;

    auto_lock(&stage->lock);
    end = offset + (uint64_t)written;
    if (end > entry->state.content.size)
        entry->state.content.size = end;
    draft_touched(entry, offset);
    stage_touch(stage, entry);
    return written;
}

ssize_t stage_write(struct stage_handle *handle, const void *data, size_t length, uint64_t offset)
{
    struct entry *entry = handle->entry;
    struct window window;

    if (!handle->writable)
        return -EBADF;
    int r = change_begin(handle->stage);
    if (r < 0)
        return r;
    auto_change struct stage *gate = handle->stage;
    auto_lock(&entry->content_lock);
    r = view_window(entry, handle->place, &window);
    if (r < 0)
        return r;
    if (handle->append)
        offset = window.header + window.size - window.shift;

    size_t in_header = offset < window.header ? (size_t)min_u64(window.header - offset, length) : 0;
    if (in_header) {
        r = check_header_bytes(entry, handle->place, data, in_header, offset);
        if (r < 0 || in_header == length)
            return r < 0 ? r : (ssize_t)length;
    }
    ssize_t written = content_write(entry, (const char *)data + in_header, length - in_header,
                                    offset + in_header - window.header + window.shift, window.size);
    return written < 0 ? written : written + (ssize_t)in_header;
}

/* --- size --- */

/* With stage->lock held. */
static int apply_state(struct entry *entry, struct entry_state *next)
{
    struct stage *stage = entry->stage;
    int r = entry_update(entry, next);

    if (r < 0)
        return r;
    draft_touched(entry, entry->state.content.size);
    stage_touch(stage, entry);
    return 0;
}

/* Shrinking the model's bytes needs no file: the content is just a shorter prefix of the tensor. */
static int shrink_source(struct entry *entry, uint64_t size)
{
    auto_state next = {.declared = DECLARATION_NONE, .by_xattr = DECLARATION_NONE};
    auto_lock(&entry->stage->lock);
    int r = state_copy(&next, &entry->state);

    if (r < 0)
        return r;
    next.content.size = size;
    if (size == 0)
        next.patched = false;
    return apply_state(entry, &next);
}

static int resize_spool(struct entry *entry, uint64_t size)
{
    struct stage *stage = entry->stage;
    struct file *spool = entry->state.content.spool;
    int fd = file_acquire(spool);

    if (fd < 0)
        return fd;
    file_mark_dirty(spool);
    int r = io_truncate(fd, entry->state.content.lead_in + size);
    if (r < 0 && is_damage(-r))
        file_latch(spool, -r);
    file_release(spool);
    if (r < 0) {
        entry_note_damage(entry);
        return r;
    }
    auto_lock(&stage->lock);
    entry->state.content.size = size;
    draft_touched(entry, size);
    stage_touch(stage, entry);
    return 0;
}

/* The bytes are gone, the model's and those that a power loss made doubtful: what comes now is written anew.
 */
static int begin_anew(struct entry *entry)
{
    auto_state next = {.declared = DECLARATION_NONE, .by_xattr = DECLARATION_NONE};
    auto_lock(&entry->stage->lock);

    if (!entry->state.unsynced_lost && !entry->state.patched)
        return 0;
    int r = state_copy(&next, &entry->state);
    next.unsynced_lost = false;
    next.patched = false;
    return r < 0 ? r : entry_update(entry, &next);
}

static int content_resize(struct entry *entry, uint64_t size, uint64_t present)
{
    if (size > INT64_MAX / 2)
        return -EFBIG;
    if (size == present && !(entry == entry->stage->document && !entry->staged))
        return size == 0 ? begin_anew(entry) : 0;
    if (entry->state.content.kind == CONTENT_SOURCE && size < present)
        return shrink_source(entry, size);
    int r = content_make_writable(entry, min_u64(size, present));
    r = r < 0 ? r : resize_spool(entry, size);
    return r == 0 && size == 0 ? begin_anew(entry) : r;
}

/* An .npy that is emptied is about to arrive anew; a draft that is emptied through tensors/ becomes raw, and
 * so does a scratch file that showed the .npy form of its bytes. */
static int become(struct entry *entry, bool draft)
{
    auto_state next = {.declared = DECLARATION_NONE, .by_xattr = DECLARATION_NONE};
    auto_lock(&entry->stage->lock);
    int r = state_copy(&next, &entry->state);

    if (r < 0)
        return r;
    content_clear(&next.content);
    declaration_clear(&next.by_xattr);
    next.draft = draft;
    next.npy_view = false;
    next.from_npy = false;
    next.patched = false;
    next.synced = true;
    next.unsynced_lost = false;
    entry->draft_data = 0;
    return apply_state(entry, &next);
}

/* Whether a file that is emptied through a view changes its form with that. */
static bool becomes_other(struct entry *entry, enum stage_place place)
{
    auto_lock(&entry->stage->lock);
    if (entry == entry->stage->document)
        return false;
    return place == PLACE_ROOT ? entry->state.npy_view : (place == PLACE_NPY) != entry->state.draft;
}

int entry_truncate(struct entry *entry, enum stage_place place, uint64_t size)
{
    struct window window;
    auto_lock(&entry->content_lock);

    if (size == 0 && becomes_other(entry, place))
        return become(entry, place == PLACE_NPY);
    int r = view_window(entry, place, &window);
    if (r < 0)
        return r;
    if (size < window.header)
        return -EINVAL;
    return content_resize(entry, size - window.header + window.shift, window.size);
}

int stage_truncate(struct stage *stage, struct entry *entry, enum stage_place place, uint64_t size)
{
    int r = change_begin(stage);
    if (r < 0)
        return r;
    auto_change struct stage *gate = stage;
    r = entry_truncate(entry, place, size);
    if (r == 0)
        entry_settle(entry); /* truncate(2) by name has no close to wait for */
    return r;
}

/* Room for a content of `size` bytes, or none of it: one that does not fit is not to take what is left. */
static int reserve(struct entry *entry, uint64_t size)
{
    const struct content *content = &entry->state.content;
    struct stat st;
    int fd = file_acquire(content->spool);
    if (fd < 0)
        return fd;
    int r = fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)content->lead_in, (off_t)size) < 0 ? -errno : 0;
    if (r < 0 && fstat(fd, &st) == 0)
        (void)io_truncate(fd, (uint64_t)st.st_size);
    file_release(content->spool);
    return r == -EOPNOTSUPP ? 0 : r;
}

int stage_fallocate(struct stage_handle *handle, int mode, uint64_t offset, uint64_t length)
{
    struct entry *entry = handle->entry;
    struct window window;
    uint64_t end;

    if (mode & ~FALLOC_FL_KEEP_SIZE)
        return -EOPNOTSUPP;
    if (!handle->writable)
        return -EBADF;
    if (add_overflows(offset, length, &end) || end > INT64_MAX / 2)
        return -EFBIG;
    int r = change_begin(handle->stage);
    if (r < 0)
        return r;
    auto_change struct stage *gate = handle->stage;
    auto_lock(&entry->content_lock);
    r = view_window(entry, handle->place, &window);
    if (r < 0)
        return r;
    uint64_t present = window.header + window.size - window.shift;
    if (end <= present || (mode & FALLOC_FL_KEEP_SIZE))
        return 0;
    uint64_t size = end - window.header + window.shift;
    r = content_make_writable(entry, window.size);
    r = r < 0 ? r : reserve(entry, size);
    return r < 0 ? r : content_resize(entry, size, window.size);
}
