/* SPDX-License-Identifier: Apache-2.0
 *
 * copy_file_range(2) within the mount. A whole tensor that is copied is the same range of the source once
 * more: no byte moves, and dtype and shape come along. Everything else is a copy into the spool, shared by
 * the file system where it can.
 */
#include "base/checked.h"
#include "stage/pending.h"

/* What a copy into an empty file, or one that continues it, finds out. With stage->lock held. */
struct borrowing {
    size_t index;                       /* of the model's tensor */
    uint64_t header;                    /* bytes of the view before the tensor's */
    uint64_t total;                     /* of the tensor */
    const struct declaration *declared; /* of a staged origin; NULL: the model's */
};

/* Whether the origin is a range of the generation that staging lies upon. */
static bool origin_is_source(const struct stage *stage, const struct stage_origin *origin,
                             struct borrowing *ret)
{
    if (origin->entry) {
        const struct entry_state *state = &origin->entry->state;
        if (state->content.kind != CONTENT_SOURCE || state->draft ||
            (state->content.generation && state->content.generation != stage->generation))
            return false;
        *ret = (struct borrowing){.index = state->content.index, .total = state->content.size};
        ret->declared = &state->declared;
        ret->header = view_has_header(origin->entry, origin->place) ? view_header_size(origin->entry) : 0;
        return true;
    }
    if (!origin->generation || origin->generation != stage->generation)
        return false;
    struct wfs_tensor tensor = generation_tensor(stage->generation, origin->index);
    *ret = (struct borrowing){.index = origin->index, .total = tensor.end - tensor.begin};
    return true;
}

static int carry_declaration(const struct stage *stage, const struct borrowing *from,
                             struct entry_state *next)
{
    if (from->declared)
        return declaration_copy(&next->declared, from->declared);
    struct wfs_tensor tensor = generation_tensor(stage->generation, from->index);
    return declaration_of_tensor(&next->declared, &tensor, DECLARED_BY_COPY);
}

/* A destination takes raw bytes through tensors/ and scratch, and the .npy form through npy/; the origin's
 * view must be of the same form. */
static bool forms_agree(const struct stage_handle *to, const struct stage_origin *origin)
{
    return (to->place == PLACE_NPY) == (origin->place == PLACE_NPY) && to->entry != to->stage->document;
}

/* How far the destination shows the origin's bytes already, as an offset in the view; false: it shows
 * something else. */
static bool continues(const struct stage_handle *to, const struct borrowing *from, uint64_t to_offset,
                      uint64_t offset)
{
    const struct entry_state *state = &to->entry->state;

    if (to_offset != offset)
        return false;
    if (offset == 0)
        return state->content.size == 0;
    return !state->draft && state->content.kind == CONTENT_SOURCE && state->content.index == from->index &&
           offset == from->header + state->content.size;
}

/* The bytes [offset, offset + length) of the origin's view are staged as a range. With content_lock and
 * stage->lock held. -EXDEV: it cannot be done that way. */
static ssize_t borrow(struct stage_handle *to, uint64_t to_offset, uint64_t offset, uint64_t length,
                      const struct stage_origin *origin, uint64_t origin_header)
{
    struct stage *stage = to->stage;
    struct borrowing from;
    auto_state next = {.declared = DECLARATION_NONE, .by_xattr = DECLARATION_NONE};

    if (!forms_agree(to, origin) || !origin_is_source(stage, origin, &from))
        return -EXDEV;
    if (!origin->entry)
        from.header = origin_header;
    uint64_t end = min_u64(offset + length, from.header + from.total);
    if (!continues(to, &from, to_offset, offset) || end <= offset || end < from.header)
        return -EXDEV;
    int r = state_copy(&next, &to->entry->state);
    if (r == 0 && offset == 0)
        r = carry_declaration(stage, &from, &next);
    if (r < 0)
        return r;
    content_clear(&next.content);
    next.content = (struct content){
        .kind = CONTENT_SOURCE,
        .size = end - from.header,
        .generation = generation_ref(stage->generation),
        .index = from.index,
    };
    next.draft = false;
    next.from_npy = false;
    next.patched = false;
    next.synced = true;
    next.unsynced_lost = false;
    r = entry_update(to->entry, &next);
    if (r < 0)
        return r;
    stage_touch(stage, to->entry);
    return (ssize_t)(end - offset);
}

static ssize_t try_borrowing(struct stage_handle *to, uint64_t to_offset, const struct image *image,
                             uint64_t offset, uint64_t length, const struct stage_origin *origin)
{
    auto_lock(&to->stage->lock);
    uint64_t header = 0;

    if (!origin || to->append)
        return -EXDEV;
    if (origin->generation && !origin->entry && origin->place == PLACE_NPY) {
        struct wfs_tensor tensor = generation_tensor(origin->generation, origin->index);
        header = image_length(image) - (tensor.end - tensor.begin);
    }
    return borrow(to, to_offset, offset, length, origin, header);
}

/* A staged tensor that is copied as a whole gives its dtype and shape, too. */
static void carry_from_entry(struct stage_handle *to, const struct stage_origin *origin)
{
    struct stage *stage = to->stage;
    auto_state next = {.declared = DECLARATION_NONE, .by_xattr = DECLARATION_NONE};
    auto_lock(&stage->lock);

    if (to->place == PLACE_NPY || !forms_agree(to, origin) ||
        !declaration_complete(&origin->entry->state.declared))
        return;
    if (state_copy(&next, &to->entry->state) < 0 ||
        declaration_copy(&next.declared, &origin->entry->state.declared) < 0)
        return;
    next.declared.by = DECLARED_BY_COPY;
    (void)entry_update(to->entry, &next);
}

/* With content_lock held: a copy into the spool. */
static ssize_t copy_bytes(struct stage_handle *to, uint64_t to_offset, const struct image *image,
                          uint64_t offset, uint64_t length)
{
    struct stage *stage = to->stage;
    struct entry *entry = to->entry;
    int r = content_make_writable(entry, entry->state.content.size);

    if (r < 0)
        return r;
    const struct content *content = &entry->state.content;
    r = spool_fill(content->spool, content->lead_in + to_offset, image, offset, length);
    if (r < 0)
        return r;
    auto_lock(&stage->lock);
    if (to_offset + length > entry->state.content.size)
        entry->state.content.size = to_offset + length;
    draft_touched(entry, to_offset);
    stage_touch(stage, entry);
    return (ssize_t)length;
}

ssize_t stage_copy(struct stage_handle *to, uint64_t to_offset, struct image *image, uint64_t offset,
                   uint64_t length, const struct stage_origin *origin)
{
    struct entry *entry = to->entry;

    if (!to->writable)
        return -EBADF;
    if (offset >= image_length(image))
        return 0;
    length = min_u64(length, image_length(image) - offset);
    if (to_offset > INT64_MAX - length)
        return -EFBIG;
    int r = change_begin(to->stage);
    if (r < 0)
        return r;
    auto_change struct stage *gate = to->stage;
    auto_lock(&entry->content_lock);
    ssize_t copied = try_borrowing(to, to_offset, image, offset, length, origin);
    if (copied != -EXDEV)
        return copied;
    /* through a made header, or a draft seen as raw, the kernel's own read and write do it */
    bool is_plain;
    {
        auto_lock(&to->stage->lock);
        is_plain = !entry->retired && !view_has_header(entry, to->place) && !to->append &&
                   !(entry->state.draft && to->place == PLACE_TENSORS) && entry != to->stage->document;
    }
    if (!is_plain)
        return -EOPNOTSUPP;
    if (origin && origin->entry && offset == 0 && to_offset == 0 && entry->state.content.size == 0)
        carry_from_entry(to, origin);
    return copy_bytes(to, to_offset, image, offset, length);
}
