/* SPDX-License-Identifier: Apache-2.0
 *
 * Creating and removing names in staging/.
 */
#include "format/npy.h"
#include "stage/pending.h"

#include <limits.h>

/* --- creating --- */

static bool is_tensor_space(enum space space)
{
    return space == SPACE_TENSOR || space == SPACE_HASHED;
}

/* A new entry under a key that has none. With stage->lock held. */
static int create_entry(struct stage *stage, struct key key, bool draft, mode_t mode,
                        struct entry **ret_entry)
{
    auto_state next = {.declared = DECLARATION_NONE, .by_xattr = DECLARATION_NONE};

    if (is_tensor_space(key.space)) {
        int r = last_declaration(stage, key, &next.declared);
        if (r < 0)
            return r;
    }
    struct slot *slot = slot_get(&stage->table, key);
    struct entry *entry = slot ? entry_new(stage, stage->next_id) : NULL;
    if (!entry) {
        if (slot)
            slot_drop_if_empty(&stage->table, slot);
        return -ENOMEM;
    }
    next.draft = draft;
    next.synced = true;
    next.mode = mode & 0777;
    next.atime = next.mtime = next.ctime = stage->clock;

    auto_edit edit;
    edit_begin(&edit, stage);
    edit_live(&edit, key, &next);
    int r = edit_commit(&edit);
    if (r < 0) {
        entry_unref_locked(entry);
        slot_drop_if_empty(&stage->table, slot);
        return r;
    }
    stage->next_id++;
    state_clear(&entry->state);
    entry->state = next;
    next = (struct entry_state){.declared = DECLARATION_NONE, .by_xattr = DECLARATION_NONE};
    entry_link(entry, slot);
    entry_set_staged(entry, true);
    stage_touch(stage, entry);
    *ret_entry = entry;
    return 0;
}

/* To the one who unlinked metadata.json it was gone: it is made again, as an empty draft. */
static int create_document(struct stage *stage, mode_t mode, struct entry **ret_entry)
{
    auto_state next = {.declared = DECLARATION_NONE, .by_xattr = DECLARATION_NONE};
    auto_lock(&stage->document->content_lock);
    auto_lock(&stage->lock);
    int r = state_copy(&next, &stage->document->state);
    if (r < 0)
        return r;
    content_clear(&next.content);
    next.synced = true;
    next.mode = mode & 0777;
    r = entry_update(stage->document, &next);
    if (r < 0)
        return r;
    stage_touch(stage, stage->document);
    stage->document->refs++;
    *ret_entry = stage->document;
    return 0;
}

/* A tensor that has no file in npy/ (sub-byte, undeclared) gets one by arriving as .npy. */
static int create_over_invisible(struct entry *entry, struct entry **ret_entry)
{
    entry->refs++;
    *ret_entry = entry;
    return 1;
}

int entry_create(struct stage *stage, enum stage_place place, const char *file_name, mode_t mode,
                 struct entry **ret_entry)
{
    char buffer[PATH_MAX];
    struct key key;
    int r = key_of_file(stage, place, file_name, buffer, &key);

    if (r < 0)
        return r;
    struct entry *present = entry_of_key(stage, key);
    if (!present)
        return create_entry(stage, key, place == PLACE_NPY, mode, ret_entry);
    r = entry_shows(present, place) ? -EEXIST : create_over_invisible(present, ret_entry);
    entry_unref_locked(present);
    return r;
}

int stage_create(struct stage *stage, enum stage_place place, const char *file_name, mode_t mode,
                 struct entry **ret_entry)
{
    int r = change_begin(stage);
    if (r < 0)
        return r;
    auto_change struct stage *gate = stage;
    if (is_document_name(place, file_name))
        return create_document(stage, mode, ret_entry);
    {
        auto_lock(&stage->lock);
        r = entry_create(stage, place, file_name, mode, ret_entry);
    }
    if (r != 1)
        return r;
    r = entry_truncate(*ret_entry, place, 0);
    if (r < 0)
        entry_unref(*ret_entry);
    return r;
}

/* --- removing --- */

/* What is left of a name whose file goes: the model's tensors stay known as removed, declarations stay with
 * the name. */
void edit_name_gone(struct edit *edit, struct key key, const struct declaration *last)
{
    if (is_tensor_space(key.space))
        edit_removed(edit, key, last);
    else
        edit_forget(edit, key);
}

/* After the journal has it: the entry lives on without a name while somebody holds it. */
void name_gone(struct entry *entry)
{
    struct stage *stage = entry->stage;
    struct slot *slot = entry->slot;
    size_t index;

    entry_unlink(entry);
    if (is_tensor_space(slot->space)) {
        if (!declaration_is_models(stage, slot_key(slot), &entry->state.declared))
            (void)declaration_copy(&slot->last, &entry->state.declared);
        slot->removed = base_find(stage, slot_key(slot), &index);
    }
    slot_drop_if_empty(&stage->table, slot);
}

/* What somebody wrote and did not see applied is gone; the document is rendered as ever. */
int document_reset(struct stage *stage)
{
    auto_edit edit;
    edit_begin(&edit, stage);
    if (stage->document->staged)
        edit_forget(&edit, (struct key){SPACE_DOCUMENT, "", 0});
    int r = edit_commit(&edit);
    if (r < 0)
        return r;
    document_drop(stage);
    stage_touch(stage, stage->document);
    return 0;
}

static int remove_entry(struct stage *stage, struct entry *entry)
{
    auto_edit edit;
    edit_begin(&edit, stage);
    edit_name_gone(&edit, slot_key(entry->slot), &entry->state.declared);
    int r = edit_commit(&edit);
    if (r < 0)
        return r;
    spool_file_doomed(stage, &entry->state);
    stage_touch(stage, is_tensor_space(entry->slot->space) ? NULL : entry);
    name_gone(entry);
    entry_set_staged(entry, false);
    return 0;
}

static int unlink_document(struct stage *stage)
{
    auto_lock(&stage->document->content_lock);
    auto_lock(&stage->lock);
    return document_reset(stage);
}

int stage_unlink(struct stage *stage, enum stage_place place, const char *file_name)
{
    char buffer[PATH_MAX];
    struct key key;
    int r = change_begin(stage);
    if (r < 0)
        return r;
    auto_change struct stage *gate = stage;
    if (is_document_name(place, file_name))
        return unlink_document(stage);
    auto_lock(&stage->lock);

    r = key_of_file(stage, place, file_name, buffer, &key);
    if (r < 0)
        return r == -EINVAL ? -ENOENT : r;
    struct entry *entry = entry_of_key(stage, key);
    if (!entry)
        return -ENOENT;
    r = entry_shows(entry, place) ? remove_entry(stage, entry) : -ENOENT;
    entry_unref_locked(entry);
    return r;
}
