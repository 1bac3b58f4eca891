/* SPDX-License-Identifier: Apache-2.0
 *
 * A journal that failed to be synced cannot be trusted, and asking again would not tell what the disk has.
 * All that it should say is in memory: it is written anew, to another file.
 */
#include "base/error.h"
#include "stage/record.h"

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
    if (slot->entry && slot->entry->staged)
        record_put_live(out, slot_key(slot), &slot->entry->state);
    else if (!slot->entry)
        record_put_removed(out, slot_key(slot), &slot->last);
}

static void put_everything(struct stage *stage, struct bytes *out)
{
    size_t bucket = 0;

    put_base(stage, out);
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

int stage_renew_journal(struct stage *stage)
{
    auto_bytes payload = BYTES_EMPTY;
    struct journal *journal = spool_journal(stage->spool);

    if (!journal || !journal_error(journal))
        return 0;
    put_everything(stage, &payload);
    if (payload.failed)
        return -ENOMEM;
    return journal_rewrite(journal, spool_dirfd(stage->spool), payload.data, payload.length);
}

int error_journal(const struct stage *stage, int r, struct wfs_error *err)
{
    (void)error_errno(err, -r, "%s: the journal of staged edits could not be written",
                      printable_string(stage->spool_path).text);
    error_suffix(err, "; nothing was changed, and the next try writes it anew");
    return r;
}
