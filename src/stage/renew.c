/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal written anew, to another file, with what is true now and nothing of how it came to be: when it
 * has grown long, and when it failed to be synced, because asking again would not tell what the disk has.
 */
#include "base/error.h"
#include "stage/record.h"
#include "stage/witness.h"

#include <stdio.h>

void put_base(struct stage *stage, struct bytes *out)
{
    struct record_base base = {.identity = base_identity_of(stage->generation)};
    struct boot_id boot = boot_id_now();

    (void)snprintf(base.boot_id, sizeof(base.boot_id), "%s", boot.text);
    (void)snprintf(base.target, sizeof(base.target), "%s", stage->name);
    record_put_base(out, &base);
}

static void put_slot(struct bytes *out, const struct slot *slot)
{
    bool says_something = slot->removed || slot->last.dtype != WFS_DTYPE_COUNT || slot->last.has_shape;

    if (slot->entry && slot->entry->staged)
        record_put_live(out, slot_key(slot), &slot->entry->state);
    else if (!slot->entry && says_something)
        record_put_removed(out, slot_key(slot), &slot->last);
}

static void put_everything(struct stage *stage, struct bytes *out)
{
    size_t bucket = 0;

    record_put_notes(out);
    put_base(stage, out);
    witness_put_all(stage, out);
    for (const struct slot *slot = slot_next(&stage->table, &bucket, NULL); slot;
         slot = slot_next(&stage->table, &bucket, slot))
        put_slot(out, slot);
    if (stage->metadata_staged)
        record_put_metadata(out, true, &stage->metadata);
    if (stage->document->staged)
        record_put_live(out, (struct key){SPACE_DOCUMENT, "", 0}, &stage->document->state);
    if (stage->intent)
        record_put_intent(out, stage->intent);
}

int stage_rewrite_journal(struct stage *stage)
{
    auto_bytes payload = BYTES_EMPTY;

    put_everything(stage, &payload);
    if (payload.failed)
        return -ENOMEM;
    return journal_rewrite(spool_journal(stage->spool), spool_dirfd(stage->spool), payload.data,
                           payload.length);
}

int stage_renew_journal(struct stage *stage)
{
    struct journal *journal = spool_journal(stage->spool);

    return journal && journal_error(journal) ? stage_rewrite_journal(stage) : 0;
}

void stage_keep_journal_short(struct stage *stage)
{
    struct journal *journal = spool_journal(stage->spool);

    if (stage->is_open && journal_is_long(journal))
        (void)stage_rewrite_journal(stage);
}

int error_journal(const struct stage *stage, int r, struct wfs_error *err)
{
    (void)error_errno(err, -r, "%s: the journal of staged edits could not be written",
                      printable_string(stage->spool_path).text);
    error_suffix(err, "; nothing was changed, and the next try writes it anew");
    return r;
}
