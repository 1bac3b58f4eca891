/* SPDX-License-Identifier: Apache-2.0
 *
 * When the staging directory comes and goes, and how all of it is made durable.
 */
#include "base/error.h"
#include "base/fault.h"
#include "stage/pending.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* Somebody else may have come and gone since this stage was opened, and left edits. */
static bool has_journal(const struct spool *spool)
{
    struct stat st;
    return fstatat(spool_dirfd(spool), JOURNAL_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size > 0;
}

int stage_ensure_spool(struct stage *stage)
{
    const struct spool_place place = {stage->spool_parent, stage->spool_name};
    struct wfs_error err = {0};

    if (stage->spool)
        return spool_journal(stage->spool) ? stage_renew_journal(stage) : stage_start_journal(stage);
    int r = spool_create(&place, stage->mountpoint, &stage->spool, &err);
    if (r == 0 && has_journal(stage->spool)) {
        spool_close(stage->spool);
        stage->spool = NULL;
        r = error_rule(&err, WFS_CODE_BUSY,
                       "%s holds edits that somebody else staged; mount the model again to take them up",
                       printable_string(stage->spool_path).text);
    }
    if (r < 0) {
        free(stage->last_note);
        stage->last_note = strdup(err.text);
        return r;
    }
    r = stage_start_journal(stage);
    if (r < 0) {
        (void)spool_remove(stage->spool);
        spool_close(stage->spool);
        stage->spool = NULL;
    }
    return r;
}

void stage_drop_spool_if_unused(struct stage *stage)
{
    if (!stage->spool || stage_has_changes(stage) || stage_has_scratch(stage) || stage_has_declared(stage))
        return;
    if (!spool_remove(stage->spool))
        return;
    spool_close(stage->spool);
    stage->spool = NULL;
}

void stage_tidy_up(struct stage *stage, bool is_committer)
{
    if (pthread_rwlock_trywrlock(&stage->gate) != 0)
        return; /* changes are under way */
    {
        auto_lock(&stage->lock);
        if (is_committer || stage->commit_state != COMMIT_RUNNING)
            stage_drop_spool_if_unused(stage);
    }
    pthread_rwlock_unlock(&stage->gate);
}

/* An editor's swap file is none of a commit's business while the editor has it open. */
static bool is_open_scratch(const struct slot *slot)
{
    const struct entry *entry = slot->entry;
    return entry && entry->handles > 0 && !entry_is_part_of_model(entry) &&
           entry->state.content.kind != CONTENT_SOURCE;
}

static void forget_slot(struct stage *stage, struct slot *slot)
{
    if (is_open_scratch(slot))
        return;
    slot->removed = false;
    declaration_clear(&slot->last);
    if (slot->entry && slot->entry->staged)
        entry_retire(slot->entry);
    else
        slot_drop_if_empty(&stage->table, slot);
}

void stage_forget(struct stage *stage)
{
    for (size_t bucket = 0; bucket < stage->table.bucket_count; bucket++) {
        struct slot *next;
        for (struct slot *slot = stage->table.buckets[bucket]; slot; slot = next) {
            next = slot->next;
            forget_slot(stage, slot);
        }
    }
    metadata_clear(&stage->metadata);
    stage->metadata_staged = false;
    document_drop(stage);
}

static void restart_journal(struct stage *stage)
{
    size_t bucket = 0;
    auto_edit edit;

    edit_begin(&edit, stage);
    if (stage_start_journal(stage) < 0)
        return;
    for (const struct slot *slot = slot_next(&stage->table, &bucket, NULL); slot;
         slot = slot_next(&stage->table, &bucket, slot)) {
        if (slot->entry && slot->entry->staged)
            edit_live(&edit, slot_key(slot), &slot->entry->state);
    }
    (void)edit_commit(&edit);
}

void stage_clear(struct stage *stage)
{
    stage_forget(stage);
    stage_touch(stage, stage->document);
    preview_drop(stage);
    if (!stage->spool)
        return;
    stage_drop_spool_if_unused(stage);
    if (stage->spool) /* readers of what was staged still hold files in it, or scratch is left */
        restart_journal(stage);
}

/* --- making it durable --- */

struct entry_list {
    struct entry **items;
    size_t count;
};

static void list_unsynced(struct stage *stage, struct entry_list *list)
{
    size_t bucket = 0;
    auto_lock(&stage->lock);

    list->items = calloc(stage->table.count + 2, sizeof(struct entry *));
    for (struct slot *slot = slot_next(&stage->table, &bucket, NULL); list->items && slot;
         slot = slot_next(&stage->table, &bucket, slot)) {
        if (slot->entry && slot->entry->staged && !slot->entry->state.synced) {
            slot->entry->refs++;
            list->items[list->count++] = slot->entry;
        }
    }
    if (list->items && stage->document->staged && !stage->document->state.synced) {
        stage->document->refs++;
        list->items[list->count++] = stage->document;
    }
}

static int sync_bytes(struct entry *entry)
{
    struct file *spool = NULL;
    {
        auto_lock(&entry->stage->lock);
        if (entry->state.content.kind == CONTENT_SPOOL)
            spool = file_ref(entry->state.content.spool);
    }

    int r = spool ? file_sync(spool) : 0;
    file_unref(spool);
    return r;
}

/* With the bytes on disk, says so in the journal. */
static int mark_synced(struct entry *entry)
{
    auto_state next = {.declared = DECLARATION_NONE, .by_xattr = DECLARATION_NONE};
    auto_lock(&entry->stage->lock);

    if (entry->state.synced)
        return 0;
    int r = state_copy(&next, &entry->state);
    next.synced = true;
    return r < 0 ? r : entry_update(entry, &next);
}

static int sync_one(struct entry *entry)
{
    auto_lock(&entry->content_lock);
    int r = fault(FAULT_MARK_EARLY) ? mark_synced(entry) : 0;
    r = r < 0 ? r : sync_bytes(entry);
    if (r < 0)
        entry_note_damage(entry);
    return r < 0 ? r : mark_synced(entry);
}

int stage_sync_entry(struct stage *stage, struct entry *entry)
{
    int r = sync_one(entry);
    return r < 0 ? r : stage_sync_names(stage);
}

int stage_sync_all(struct stage *stage)
{
    struct entry_list list = {0};
    int result = 0;

    list_unsynced(stage, &list);
    if (!list.items)
        return -ENOMEM;
    for (size_t i = 0; i < list.count; i++) {
        int r = sync_one(list.items[i]);
        result = result < 0 ? result : r;
        entry_unref(list.items[i]);
    }
    free(list.items);
    int r = stage_sync_names(stage);
    return result < 0 ? result : r;
}

/* The spool cannot go away meanwhile: it goes with the last change, and then there is nothing to sync. */
int stage_sync_names(struct stage *stage)
{
    change_begin_late(stage);
    auto_change struct stage *gate = stage;

    struct spool *spool;
    int r = 0;
    {
        auto_lock(&stage->lock);
        spool = stage->spool;
        if (spool)
            r = stage_renew_journal(stage);
    }

    if (!spool)
        return 0;
    r = r < 0 ? r : journal_sync(spool_journal(spool));
    return r < 0 ? r : spool_sync_names(spool);
}
