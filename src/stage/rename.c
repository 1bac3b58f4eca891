/* SPDX-License-Identifier: Apache-2.0
 *
 * renameat2(2) in staging/: one journal record, so that a crash leaves the old names or the new ones.
 */
#include "stage/pending.h"

#include <limits.h>
#include <stdio.h>

struct side {
    enum stage_place place;
    struct key key;
    struct entry *entry; /* NULL: no file of that name */
    char buffer[PATH_MAX];
};

static bool is_tensor(const struct side *side)
{
    return side->key.space == SPACE_TENSOR || side->key.space == SPACE_HASHED;
}

static int side_find(struct stage *stage, enum stage_place place, const char *file_name, struct side *side)
{
    side->place = place;
    side->entry = NULL;
    int r = key_of_file(stage, place, file_name, side->buffer, &side->key);
    if (r < 0)
        return r;
    side->entry = entry_of_key(stage, side->key);
    return 0;
}

static void side_done(struct side *side)
{
    if (side->entry)
        entry_unref_locked(side->entry);
}

/* How the state changes when the entry's file moves from one directory to another: the bytes that a reader of
 * the file saw stay the bytes that he sees. -EINVAL where that cannot be. */
static int state_moves(struct entry_state *state, const struct side *from, const struct side *to)
{
    bool from_npy_form = from->place == PLACE_NPY || state->npy_view;

    if (from->place == to->place)
        return 0;
    if (to->place == PLACE_NPY) { /* from tensors/ or staging/ */
        if (!from_npy_form)
            state->draft = true;
        state->npy_view = false;
        return 0;
    }
    if (state->draft) { /* an .npy file that is not understood yet is just bytes elsewhere */
        state->draft = false;
        return 0;
    }
    if (from_npy_form && to->place == PLACE_TENSORS)
        return -EINVAL;
    state->npy_view = from_npy_form;
    return 0;
}

/* The state of `from`'s entry once it bears the name of `to`. */
static int moved_state(struct stage *stage, const struct side *from, const struct side *to,
                       struct entry_state *next)
{
    int r = state_copy(next, &from->entry->state);
    if (r < 0)
        return r;
    if (next->content.kind == CONTENT_SOURCE && !next->content.generation)
        next->content.generation = generation_ref(stage->generation);
    r = state_moves(next, from, to);
    if (r < 0)
        return r;
    if (is_tensor(to) && next->declared.dtype == WFS_DTYPE_COUNT && !next->declared.has_shape)
        r = last_declaration(stage, to->key, &next->declared);
    next->ctime = stage->clock;
    return r;
}

static void entry_place(struct entry *entry, struct slot *slot, struct entry_state *next)
{
    struct stage *stage = entry->stage;

    state_take(&entry->state, next);
    entry->draft_data = 0;
    entry_link(entry, slot);
    if (entry->state.draft)
        draft_peek(entry);
    entry_set_staged(entry, !state_is_clean(stage, slot_key(slot), &entry->state));
    entry->state.ctime = stage->clock;
}

static void edit_put(struct edit *edit, struct key key, const struct entry_state *state)
{
    if (state_is_clean(edit->stage, key, state))
        edit_forget(edit, key);
    else
        edit_live(edit, key, state);
}

static int move(struct stage *stage, struct side *from, struct side *to)
{
    auto_state next = {.declared = DECLARATION_NONE, .by_xattr = DECLARATION_NONE};
    int r = moved_state(stage, from, to, &next);
    if (r < 0)
        return r;
    struct slot *slot = slot_get(&stage->table, to->key);
    if (!slot)
        return -ENOMEM;

    auto_edit edit;
    edit_begin(&edit, stage);
    edit_name_gone(&edit, from->key, &from->entry->state.declared);
    edit_put(&edit, to->key, &next);
    r = edit_commit(&edit);
    if (r < 0) {
        slot_drop_if_empty(&stage->table, slot);
        return r;
    }
    if (to->entry) {
        spool_file_doomed(stage, &to->entry->state);
        entry_unlink(to->entry);
        entry_set_staged(to->entry, false);
    }
    name_gone(from->entry);
    entry_place(from->entry, slot, &next);
    if (is_tensor(from) || is_tensor(to))
        stage_touch(stage, NULL);
    return 0;
}

static int exchange(struct stage *stage, struct side *from, struct side *to)
{
    auto_state next_from = {.declared = DECLARATION_NONE, .by_xattr = DECLARATION_NONE};
    auto_state next_to = {.declared = DECLARATION_NONE, .by_xattr = DECLARATION_NONE};
    int r = moved_state(stage, from, to, &next_from);
    r = r < 0 ? r : moved_state(stage, to, from, &next_to);
    if (r < 0)
        return r;

    auto_edit edit;
    edit_begin(&edit, stage);
    edit_put(&edit, to->key, &next_from);
    edit_put(&edit, from->key, &next_to);
    r = edit_commit(&edit);
    if (r < 0)
        return r;
    struct slot *from_slot = from->entry->slot;
    struct slot *to_slot = to->entry->slot;
    entry_unlink(from->entry);
    entry_unlink(to->entry);
    entry_place(from->entry, to_slot, &next_from);
    entry_place(to->entry, from_slot, &next_to);
    if (is_tensor(from) || is_tensor(to))
        stage_touch(stage, NULL);
    return 0;
}

/* An editor that saves by renaming onto metadata.json: the scratch file's bytes become the document as
 * written. */
static int move_onto_document(struct stage *stage, struct side *from)
{
    struct entry *document = stage->document;
    auto_state next = {.declared = DECLARATION_NONE, .by_xattr = DECLARATION_NONE};

    if (from->entry->state.npy_view || from->entry->state.draft)
        return -EINVAL;
    int r = state_copy(&next, &from->entry->state);
    if (r < 0)
        return r;
    if (next.content.kind == CONTENT_SOURCE && !next.content.generation)
        next.content.generation = generation_ref(stage->generation);
    declaration_clear(&next.declared);

    auto_edit edit;
    edit_begin(&edit, stage);
    edit_name_gone(&edit, from->key, &from->entry->state.declared);
    edit_live(&edit, (struct key){SPACE_DOCUMENT, "", 0}, &next);
    r = edit_commit(&edit);
    if (r < 0)
        return r;
    spool_file_doomed(stage, &document->state);
    state_take(&document->state, &next);
    entry_set_staged(document, true);
    name_gone(from->entry);
    entry_set_staged(from->entry, false);
    stage_touch(stage, document);
    return 0;
}

/* An editor that keeps a backup: what metadata.json showed becomes a scratch file, and the document is as
 * before. */
static int move_document_away(struct stage *stage, const struct side *to, const char *to_name)
{
    struct entry *backup = to->entry;
    struct image *image;
    int r = to->key.space == SPACE_ROOT ? 0 : -EINVAL;
    {
        auto_lock(&stage->lock);
        image = entry_image(stage->document, PLACE_ROOT);
        if (r == 0 && !image)
            r = -ENOMEM;
        if (r == 0 && backup)
            backup->refs++;
        else if (r == 0)
            r = entry_create(stage, PLACE_ROOT, to_name, 0600, &backup);
    }
    if (r == 0) {
        pthread_mutex_lock(&backup->content_lock);
        r = content_replace(backup, image);
        pthread_mutex_unlock(&backup->content_lock);
        entry_unref(backup);
    }
    image_unref(image);
    if (r < 0)
        return r;
    auto_lock(&stage->document->content_lock);
    auto_lock(&stage->lock);
    return document_reset(stage);
}

static int rename_locked(struct stage *stage, struct side *from, struct side *to, unsigned flags)
{
    bool from_document = from->key.space == SPACE_DOCUMENT;
    bool to_document = to->key.space == SPACE_DOCUMENT;

    if (!from->entry || !entry_shows(from->entry, from->place))
        return -ENOENT;
    if (is_tensor(from) && is_tensor(to) && from->place != to->place)
        return -EINVAL;
    if (to->entry && (flags & RENAME_NOREPLACE))
        return -EEXIST;
    if (flags & RENAME_EXCHANGE) {
        if (!to->entry)
            return -ENOENT;
        if (from_document || to_document)
            return -EINVAL;
        return to->entry == from->entry ? 0 : exchange(stage, from, to);
    }
    if (to->entry == from->entry)
        return 0;
    return to_document ? move_onto_document(stage, from) : move(stage, from, to);
}

static int rename_document(struct stage *stage, const struct side *to, const char *to_name, unsigned flags)
{
    {
        auto_lock(&stage->lock);
        if (flags & RENAME_EXCHANGE)
            return -EINVAL;
        if (to->entry && (flags & RENAME_NOREPLACE))
            return -EEXIST;
    }
    return move_document_away(stage, to, to_name);
}

/* Both sides, found; what they hold is let go of by side_done(). */
static int find_sides(struct stage *stage, enum stage_place from_place, const char *from_name,
                      struct side *from, enum stage_place to_place, const char *to_name, struct side *to)
{
    auto_lock(&stage->lock);
    to->entry = NULL;
    int r = side_find(stage, from_place, from_name, from);
    if (r < 0)
        return r == -EINVAL ? -ENOENT : r;
    return side_find(stage, to_place, to_name, to);
}

static int rename_sides(struct stage *stage, struct side *from, struct side *to, const char *to_name,
                        unsigned flags)
{
    if (from->key.space == SPACE_DOCUMENT && to->key.space != SPACE_DOCUMENT)
        return rename_document(stage, to, to_name, flags);
    bool onto_document = to->key.space == SPACE_DOCUMENT;
    if (onto_document)
        pthread_mutex_lock(&stage->document->content_lock);
    pthread_mutex_lock(&stage->lock);
    int r = rename_locked(stage, from, to, flags);
    pthread_mutex_unlock(&stage->lock);
    if (onto_document)
        pthread_mutex_unlock(&stage->document->content_lock);
    return r;
}

/* A file that took a tensor's name, or the document's, is understood now unless somebody still writes it. */
static void settle_renamed(struct stage *stage, const struct side *from, const struct side *to,
                           unsigned flags)
{
    if (to->key.space == SPACE_DOCUMENT)
        (void)document_settle(stage);
    else
        entry_settle(from->entry);
    if (flags & RENAME_EXCHANGE)
        entry_settle(to->entry);
}

int stage_rename(struct stage *stage, enum stage_place from_place, const char *from_name,
                 enum stage_place to_place, const char *to_name, unsigned flags)
{
    struct side from = {.entry = NULL};
    struct side to = {.entry = NULL};

    if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE))
        return -EINVAL;
    int r = change_begin(stage);
    if (r < 0)
        return r;
    auto_change struct stage *gate = stage;
    r = find_sides(stage, from_place, from_name, &from, to_place, to_name, &to);
    if (r == 0)
        r = rename_sides(stage, &from, &to, to_name, flags);
    if (r == 0)
        settle_renamed(stage, &from, &to, flags);
    auto_lock(&stage->lock);
    side_done(&to);
    side_done(&from);
    return r;
}
