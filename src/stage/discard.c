/* SPDX-License-Identifier: Apache-2.0
 *
 * Dropping edits: all of them, or those of some names.
 */
#include "base/error.h"
#include "base/fault.h"
#include "stage/pending.h"

#include <fnmatch.h>
#include <string.h>

static int drop_everything(struct stage *stage, struct wfs_error *err)
{
    int r = 0;

    pthread_rwlock_wrlock(&stage->gate);
    {
        auto_lock(&stage->lock);
        if (stage->spool && spool_journal(stage->spool)) {
            auto_edit edit;
            edit_begin(&edit, stage);
            edit_everything_gone(&edit);
            r = fault(FAULT_DISCARD_RECORD) ? 0 : edit_commit_durably(&edit);
        }
        if (r == 0)
            stage_clear(stage);
    }
    pthread_rwlock_unlock(&stage->gate);
    return r < 0 ? error_journal(stage, r, err) : 0;
}

/* --- single names --- */

struct drop_list {
    struct slot **slots; /* each once: those whose `drop` says so */
    size_t count, capacity;
    bool document;
    bool failed;
};

static void drop_list_add(struct drop_list *list, struct slot *slot, enum drop drop)
{
    bool is_new = slot->drop == DROP_NOT;

    slot->drop = drop > slot->drop ? drop : slot->drop;
    if (!is_new)
        return;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 16;
        struct slot **slots = realloc(list->slots, capacity * sizeof(struct slot *));
        if (!slots) {
            list->failed = true;
            return;
        }
        list->slots = slots;
        list->capacity = capacity;
    }
    list->slots[list->count++] = slot;
}

static bool is_droppable(const struct stage *stage, const struct slot *slot)
{
    return slot->removed || (slot->entry && slot->entry->staged) || slot_is_only_declared(stage, slot);
}

static bool select_literal(struct stage *stage, enum space space, const char *name, struct drop_list *list)
{
    struct slot *slot = slot_find(&stage->table, (struct key){space, name, strlen(name)});

    if (!slot || !is_droppable(stage, slot))
        return false;
    drop_list_add(list, slot, DROP_MATCHED);
    return true;
}

static bool select_glob(struct stage *stage, const char *glob, struct drop_list *list)
{
    size_t bucket = 0;
    bool found = false;

    for (struct slot *slot = slot_next(&stage->table, &bucket, NULL); slot;
         slot = slot_next(&stage->table, &bucket, slot)) {
        if (!is_droppable(stage, slot) || fnmatch(glob, slot->name, 0) != 0)
            continue;
        drop_list_add(list, slot, DROP_MATCHED);
        found = true;
    }
    return found;
}

/* One that is none matches its own name only, in whichever space. */
static bool is_glob(const char *name)
{
    return strpbrk(name, "*?[\\") != NULL;
}

/* A tensor's literal name wins over what it would match as a glob. */
static bool select_name(struct stage *stage, const char *name, struct drop_list *list)
{
    static const enum space scratch[] = {SPACE_HASHED, SPACE_RAW, SPACE_NPY, SPACE_ROOT};

    bool is_tensor = select_literal(stage, SPACE_TENSOR, name, list);
    bool found = is_tensor;

    for (size_t i = 0; i < sizeof(scratch) / sizeof(scratch[0]); i++)
        found |= select_literal(stage, scratch[i], name, list);
    if (!is_tensor && is_glob(name))
        found |= select_glob(stage, name, list);
    return found;
}

/* Dropping one name of a rename drops both. */
static void select_partners(struct stage *stage, struct drop_list *list)
{
    size_t bucket = 0;

    for (struct slot *slot = slot_next(&stage->table, &bucket, NULL); slot;
         slot = slot_next(&stage->table, &bucket, slot)) {
        const struct entry *entry = slot->entry;
        if (!entry || !entry->state.origin)
            continue;
        struct key origin = {SPACE_TENSOR, entry->state.origin, entry->state.origin_length};
        struct slot *other = slot_find(&stage->table, origin);
        if (!other || other == slot || !other->removed)
            continue;
        if (other->drop == DROP_MATCHED && entry->staged) {
            drop_list_add(list, slot, DROP_TOO);
            other->drop = DROP_PAIRED;
        }
        if (slot->drop >= DROP_MATCHED)
            drop_list_add(list, other, DROP_TOO);
    }
}

static void begin_selection(struct stage *stage)
{
    size_t bucket = 0;

    for (struct slot *slot = slot_next(&stage->table, &bucket, NULL); slot;
         slot = slot_next(&stage->table, &bucket, slot))
        slot->drop = DROP_NOT;
}

static int select_names(struct stage *stage, char *const *wanted, size_t count, struct drop_list *list,
                        struct wfs_error *err)
{
    begin_selection(stage);
    for (size_t i = 0; i < count; i++) {
        bool found = false;
        if (strcmp(wanted[i], "metadata.json") == 0 || strcmp(wanted[i], "__metadata__") == 0) {
            found = stage->metadata_staged || stage->document->staged;
            list->document = list->document || found;
        }
        if (!select_name(stage, wanted[i], list) && !found)
            return error_rule(err, WFS_CODE_NOT_FOUND, "nothing is staged under the name '%s'",
                              printable_string(wanted[i]).text);
    }
    select_partners(stage, list);
    return list->failed ? error_no_memory(err) : 0;
}

static int journal_drops(struct stage *stage, const struct drop_list *list, struct wfs_error *err)
{
    auto_edit edit;

    edit_begin(&edit, stage);
    for (size_t i = 0; i < list->count; i++)
        edit_forget(&edit, slot_key(list->slots[i]));
    if (list->document) {
        edit_metadata(&edit, false, &(struct metadata_map){0});
        edit_forget(&edit, (struct key){SPACE_DOCUMENT, "", 0});
    }
    int r = edit_commit_durably(&edit);
    return r < 0 ? error_journal(stage, r, err) : 0;
}

static void apply_drops(struct stage *stage, const struct drop_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct slot *slot = list->slots[i];
        slot->removed = false;
        declaration_clear(&slot->last);
        if (slot->entry && slot->entry->staged)
            entry_retire(slot->entry);
        else
            slot_drop_if_empty(&stage->table, slot);
    }
    if (list->document) {
        metadata_clear(&stage->metadata);
        stage->metadata_staged = false;
        document_drop(stage);
    }
    stage_touch(stage, stage->document);
}

static int drop_names(struct stage *stage, char *const *wanted, size_t count, struct wfs_error *err)
{
    struct drop_list list = {0};
    int r;

    pthread_rwlock_wrlock(&stage->gate);
    {
        auto_lock(&stage->lock);
        r = select_names(stage, wanted, count, &list, err);
        r = r < 0 ? r : journal_drops(stage, &list, err);
        if (r == 0)
            apply_drops(stage, &list);
        if (r == 0)
            stage_drop_spool_if_unused(stage);
    }
    pthread_rwlock_unlock(&stage->gate);
    free(list.slots);
    return r;
}

static void keep_outcome(struct stage *stage, int result, const struct wfs_error *err)
{
    auto_lock(&stage->lock);
    struct outcome outcome = {.verb = "discard", .ok = result == 0, .generation = stage->generation_number};

    if (result < 0)
        problem_add_error(&outcome.problems, err);
    problem_list_clear(&stage->last.problems);
    stage->last = outcome;
}

/* Freezes staging unless a commit or another discard has: who froze it thaws it. */
static bool claim(struct stage *stage)
{
    auto_lock(&stage->lock);
    if (stage->commit_state == COMMIT_RUNNING || atomic_load(&stage->frozen))
        return false;
    atomic_store(&stage->frozen, true);
    return true;
}

int stage_discard(struct stage *stage, char *const *globs, size_t count, struct wfs_error *err)
{
    struct wfs_error own = {0};
    int r = stage_writable(stage, err);

    if (r < 0)
        return r;
    if (!claim(stage))
        return error_rule(err, WFS_CODE_BUSY, "a commit is running");
    r = stage_freeze(stage, &own);
    if (r == 0)
        r = count ? drop_names(stage, globs, count, &own) : drop_everything(stage, &own);
    stage_thaw(stage);
    keep_outcome(stage, r, &own);
    if (r < 0 && err)
        *err = own;
    return r;
}
