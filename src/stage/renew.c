/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal written anew, to another file, with what is true now and nothing of how it came to be: when it
 * has grown long, and when it failed to be synced, because asking again would not tell what the disk has.
 */
#include "base/error.h"
#include "stage/record.h"
#include "stage/witness.h"

#include <stdio.h>

#define RECORD_BYTES (1u << 20)

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

/* How far the new journal is written. */
struct renewal {
    struct stage *stage;

    enum renewal_step {
        RENEW_BASE,
        RENEW_WITNESSES,
        RENEW_SLOTS,
        RENEW_REST,
        RENEW_DONE
    } step;

    size_t witness; /* the next one */
    size_t bucket;
    const struct slot *slot; /* the last one */
};

static void put_rest(struct stage *stage, struct bytes *out)
{
    witness_put_map(stage, out);
    if (stage->metadata_staged)
        record_put_metadata(out, true, &stage->metadata);
    if (stage->document->staged)
        record_put_live(out, (struct key){SPACE_DOCUMENT, "", 0}, &stage->document->state);
    if (stage->intent)
        record_put_intent(out, stage->intent);
}

/* One item, or that there are no more of its kind. */
static void put_next(struct renewal *renewal, struct bytes *out)
{
    struct stage *stage = renewal->stage;

    switch (renewal->step) {
    case RENEW_BASE:
        record_put_notes(out);
        put_base(stage, out);
        renewal->step = RENEW_WITNESSES;
        break;
    case RENEW_WITNESSES:
        if (!witness_put_next(stage, &renewal->witness, out))
            renewal->step = RENEW_SLOTS;
        break;
    case RENEW_SLOTS:
        renewal->slot = slot_next(&stage->table, &renewal->bucket, renewal->slot);
        if (renewal->slot)
            put_slot(out, renewal->slot);
        else
            renewal->step = RENEW_REST;
        break;
    case RENEW_REST:
        put_rest(stage, out);
        renewal->step = RENEW_DONE;
        break;
    case RENEW_DONE:
    default:
        break;
    }
}

/* In records of some size, not in one: memory for all of it may be what is short. */
static int next_record(void *context, struct bytes *out)
{
    struct renewal *renewal = context;

    while (renewal->step != RENEW_DONE && out->length < RECORD_BYTES && !out->failed)
        put_next(renewal, out);
    return 0;
}

int stage_rewrite_journal(struct stage *stage)
{
    struct renewal renewal = {.stage = stage};

    return journal_rewrite(spool_journal(stage->spool), spool_dirfd(stage->spool), next_record, &renewal);
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
