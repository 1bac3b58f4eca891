/* SPDX-License-Identifier: Apache-2.0
 *
 * The gate that every change passes, and the one way in which names and states change: journal first, then
 * memory.
 */
#include "base/fault.h"
#include "stage/pending.h"
#include "stage/record.h"
#include "stage/witness.h"

/* --- gate --- */

int change_begin(struct stage *stage)
{
    if (stage->read_only_why.errnum)
        return -stage->read_only_why.errnum;
    if (atomic_load(&stage->frozen) && !fault(FAULT_FREEZE))
        return -EBUSY;
    pthread_rwlock_rdlock(&stage->gate);
    if (atomic_load(&stage->frozen) && !fault(FAULT_FREEZE)) {
        pthread_rwlock_unlock(&stage->gate);
        return -EBUSY;
    }
    return 0;
}

void change_begin_late(struct stage *stage)
{
    pthread_rwlock_rdlock(&stage->gate);
}

void change_end(struct stage *stage)
{
    pthread_rwlock_unlock(&stage->gate);
}

/* --- edits --- */

void edit_begin(struct edit *edit, struct stage *stage)
{
    *edit = (struct edit){.stage = stage, .payload = BYTES_EMPTY};
}

void edit_live(struct edit *edit, struct key key, const struct entry_state *state)
{
    witness_name(edit, key);
    witness_state(edit, state);
    record_put_live(&edit->payload, key, state);
}

void edit_removed(struct edit *edit, struct key key, const struct declaration *last)
{
    witness_name(edit, key);
    record_put_removed(&edit->payload, key, last);
}

void edit_forget(struct edit *edit, struct key key)
{
    record_put_forget(&edit->payload, key);
}

void edit_intent(struct edit *edit, const struct base_identity *identity)
{
    record_put_intent(&edit->payload, identity);
}

void edit_everything_gone(struct edit *edit)
{
    record_put_drop(&edit->payload);
}

void edit_metadata(struct edit *edit, bool staged, const struct metadata_map *map)
{
    witness_map(edit);
    record_put_metadata(&edit->payload, staged, map);
}

typedef int append_function(struct journal *, const void *, size_t);

static int append_by(struct edit *edit, append_function *append)
{
    if (edit->payload.failed)
        return -ENOMEM;
    int r = stage_ensure_spool(edit->stage);
    if (r < 0)
        return r;
    if (fault(FAULT_JOURNAL_APPEND))
        return 0;
    witness_noted(edit); /* a journal that was made just now had forgotten it */
    stage_keep_journal_short(edit->stage);
    r = append(spool_journal(edit->stage->spool), edit->payload.data, edit->payload.length);
    return fault(FAULT_JOURNAL_LATE) ? 0 : r;
}

static int commit_by(struct edit *edit, append_function *append)
{
    if (edit->payload.length == 0 && !edit->payload.failed)
        return 0;
    int r = append_by(edit, append);
    if (r < 0)
        witness_undo(edit);
    else
        witness_start(edit->stage);
    return r;
}

int edit_commit(struct edit *edit)
{
    return commit_by(edit, journal_append);
}

int edit_commit_durably(struct edit *edit)
{
    return commit_by(edit, fault(FAULT_DISCARD_SYNC) ? journal_append : journal_append_durably);
}

void edit_end(struct edit *edit)
{
    free(edit->noted);
    bytes_clear(&edit->payload);
}

/* --- one entry --- */

/* A tensor that is just the model's again, or a document that is rendered, has nothing in the journal. */
static bool needs_no_record(const struct stage *stage, struct key key, const struct entry_state *state)
{
    return key.space == SPACE_DOCUMENT ? false : state_is_clean(stage, key, state);
}

static struct key entry_key(const struct entry *entry)
{
    if (entry == entry->stage->document)
        return (struct key){SPACE_DOCUMENT, "", 0};
    return slot_key(entry->slot);
}

static bool has_name(const struct entry *entry)
{
    return entry->slot != NULL || entry == entry->stage->document;
}

void spool_file_doomed(struct stage *stage, const struct entry_state *state)
{
    if (state->content.kind != CONTENT_SPOOL || !state->content.spool)
        return;
    /* bytes that a power loss must not take may go only after the journal stopped naming them; else the next
     * mount sweeps them up */
    if (state->synced && stage->spool && !fault(FAULT_DROP_EARLY) &&
        journal_sync(spool_journal(stage->spool)) < 0)
        return;
    file_unlink_on_last(state->content.spool);
}

/* A clean entry that nobody has open pins no generation, so that a committed-away file can be freed. */
static void settle_generation(struct entry *entry)
{
    struct content *content = &entry->state.content;
    bool needs_it = content->kind == CONTENT_SOURCE && (entry->staged || entry->handles > 0);

    if (needs_it && !content->generation)
        content->generation = generation_ref(entry->stage->generation);
    if (!needs_it && content->generation) {
        generation_unref(content->generation);
        content->generation = NULL;
    }
}

int entry_update(struct entry *entry, struct entry_state *next)
{
    struct stage *stage = entry->stage;
    bool named = has_name(entry);
    bool clean = named && needs_no_record(stage, entry_key(entry), next);

    if (named && (entry->staged || !clean)) {
        auto_edit edit;
        edit_begin(&edit, stage);
        if (next->content.kind == CONTENT_SOURCE && !next->content.generation)
            next->content.generation = generation_ref(stage->generation);
        if (clean)
            edit_forget(&edit, entry_key(entry));
        else
            edit_live(&edit, entry_key(entry), next);
        int r = edit_commit(&edit);
        if (r < 0)
            return r;
    }

    if (entry->state.content.spool != next->content.spool)
        spool_file_doomed(stage, &entry->state);
    if (!named)
        spool_file_doomed(stage, next);
    state_take(&entry->state, next);
    entry->refs++; /* un-staging may drop the table's, which may be the last */
    if (named)
        entry_set_staged(entry, !clean);
    settle_generation(entry);
    entry_unref_locked(entry);
    return 0;
}

void entry_note_damage(struct entry *entry)
{
    auto_state next = {.declared = DECLARATION_NONE, .by_xattr = DECLARATION_NONE};
    auto_lock(&entry->stage->lock);
    const struct content *content = &entry->state.content;

    if (content->kind != CONTENT_SPOOL || content->damaged || file_error(content->spool) == 0)
        return;
    if (state_copy(&next, &entry->state) < 0)
        return;
    next.content.damaged = true;
    next.synced = false;
    (void)entry_update(entry, &next); /* where the journal fails, too, there is nothing to be done */
}
