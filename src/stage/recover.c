/* SPDX-License-Identifier: Apache-2.0
 *
 * Taking up edits that lie on disk. A crash at any point of an edit or a commit leaves one of three
 * situations, told apart by the model's identity: the model that the edits were made against (they are taken
 * up), the one that the last commit was about to publish (it was published: they are cleaned up), or another
 * (they are kept and refused).
 */
#include "base/error.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/replace.h"
#include "stage/orphan.h"
#include "stage/rebase.h"
#include "stage/report.h"
#include "stage/witness.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int append_base(struct stage *stage, bool is_new)
{
    auto_bytes payload = BYTES_EMPTY;

    if (is_new)
        record_put_notes(&payload);
    put_base(stage, &payload);
    if (payload.failed)
        return -ENOMEM;
    return journal_append(spool_journal(stage->spool), payload.data, payload.length);
}

int stage_start_journal(struct stage *stage)
{
    struct journal *journal = NULL;
    int r = journal_create(spool_dirfd(stage->spool), &journal, NULL);

    /* the old one tells of another model: without a new one there is none, until the next change tries again
     */
    spool_set_journal(stage->spool, journal);
    witness_forget_notes(stage);
    r = r < 0 ? r : append_base(stage, true);
    if (r < 0)
        spool_set_journal(stage->spool, NULL);
    return r;
}

/* A file that is gone is a damaged entry, not a refusal: the others must come back. It gets an empty one for
 * now; the journal goes on naming the one that is missing. */
int recover_open_file(struct stage *stage, struct entry *entry, struct wfs_error *err)
{
    struct content *content = &entry->state.content;
    struct stat st;

    if (content->kind != CONTENT_SPOOL || content->spool)
        return 0;
    int r = spool_open_file(stage->spool, content->spool_number, &content->spool, err);

    if (r == -ENOENT) {
        uint32_t number;
        r = spool_new_file(stage->spool, &content->spool, &number, err);
        if (r == 0)
            file_latch(content->spool, ENOENT);
        content->size = 0;
        content->lead_in = 0;
        return r;
    }
    if (r < 0)
        return r;
    int fd = file_acquire(content->spool);
    if (fd < 0)
        return error_errno(err, -fd, "cannot open a staged file");
    r = fstat(fd, &st) < 0 ? -errno : 0;
    file_release(content->spool);
    if (r < 0)
        return error_errno(err, -r, "cannot look at a staged file");
    if (content->damaged)
        file_latch(content->spool, EIO);
    uint64_t size = (uint64_t)st.st_size;
    content->size = size > content->lead_in ? size - content->lead_in : 0;
    return 0;
}

/* After another boot, bytes without a durable mark may be zeros of the right length. */
bool recover_is_lost(const struct entry *entry, bool other_boot, bool accept)
{
    const struct entry_state *state = &entry->state;
    bool is_new = other_boot && !state->synced && state->content.kind == CONTENT_SPOOL;

    return (state->unsynced_lost || is_new) && !accept;
}

static int judge_trust(struct entry *entry, bool other_boot, bool accept)
{
    struct entry_state *state = &entry->state;
    bool lost = recover_is_lost(entry, other_boot, accept);

    if (fault(FAULT_UNSYNCED) || lost == state->unsynced_lost)
        return 0;
    auto_state next = {.declared = DECLARATION_NONE, .by_xattr = DECLARATION_NONE};
    int r = state_copy(&next, state);
    next.unsynced_lost = lost;
    return r < 0 ? r : entry_update(entry, &next);
}

static int take_up_entry(struct entry *entry, bool other_boot, bool accept, struct wfs_error *err)
{
    int r = recover_open_file(entry->stage, entry, err);

    if (r == 0) {
        r = judge_trust(entry, other_boot, accept);
        if (r < 0)
            (void)error_errno(err, -r, "cannot note what was found in the journal of staged edits");
    }
    if (r == 0 && entry->state.draft)
        draft_peek(entry);
    return r;
}

struct used_numbers {
    uint32_t *numbers;
    size_t count;
};

static int compare_numbers(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static bool number_is_used(void *context, uint32_t number)
{
    const struct used_numbers *used = context;
    return bsearch(&number, used->numbers, used->count, sizeof(number), compare_numbers) != NULL;
}

static void note_number(struct used_numbers *used, const struct entry *entry)
{
    if (!entry || !entry->staged || entry->state.content.kind != CONTENT_SPOOL)
        return;
    used->numbers[used->count++] = entry->state.content.spool_number;
    spool_keep_number(entry->stage->spool, entry->state.content.spool_number);
}

static bool no_number_is_used(void *context, uint32_t number)
{
    (void)context;
    (void)number;
    return false;
}

/* What lies on disk is of no use to anybody. */
static void clear_unseen(struct stage *stage)
{
    spool_sweep(stage->spool, no_number_is_used, NULL);
    stage_clear(stage);
}

int recover_sweep(struct stage *stage, struct wfs_error *err)
{
    size_t bucket = 0;
    struct used_numbers used = {.numbers = calloc(stage->table.count + 2, sizeof(*used.numbers))};
    /* what it no longer names is deleted: a power loss must not bring back a journal that does */
    int r = used.numbers ? journal_sync(spool_journal(stage->spool)) : -ENOMEM;

    if (r < 0) {
        free(used.numbers);
        return error_errno(err, -r, "cannot sync the journal of staged edits");
    }
    for (const struct slot *slot = slot_next(&stage->table, &bucket, NULL); slot;
         slot = slot_next(&stage->table, &bucket, slot))
        note_number(&used, slot->entry);
    note_number(&used, stage->document);
    qsort(used.numbers, used.count, sizeof(*used.numbers), compare_numbers);
    spool_sweep(stage->spool, number_is_used, &used);
    free(used.numbers);
    return 0;
}

static bool has_lost_source(const struct stage *stage)
{
    size_t bucket = 0;

    for (const struct slot *slot = slot_next(&stage->table, &bucket, NULL); slot;
         slot = slot_next(&stage->table, &bucket, slot)) {
        const struct content *content = slot->entry ? &slot->entry->state.content : NULL;
        if (content && content->kind == CONTENT_SOURCE && content->index == INDEX_LOST)
            return true;
    }
    return false;
}

/* The journal of this very model: what it noted need not be noted again. */
static int take_notes(struct stage *stage, const struct replay *replay)
{
    int r = 0;

    for (size_t i = 0; i < replay->witness_count && r == 0; i++) {
        const struct replay_witness *witness = &replay->witnesses[i];
        size_t index;
        if (base_find(stage, (struct key){SPACE_TENSOR, witness->name, witness->name_length}, &index))
            r = witness_known(stage, index, witness->has_digest, witness->digest);
    }
    stage->witnesses.map_is_noted = replay->has_map;
    return r;
}

static int take_up(struct stage *stage, bool other_boot, bool accept, struct wfs_error *err)
{
    size_t bucket = 0;

    if (has_lost_source(stage))
        return error_rule(err, WFS_CODE_JOURNAL_DAMAGED,
                          "the journal of staged edits names a tensor that the model does not have");
    int swept = recover_sweep(stage, err);
    if (swept < 0)
        return swept;
    for (struct slot *slot = slot_next(&stage->table, &bucket, NULL); slot;
         slot = slot_next(&stage->table, &bucket, slot)) {
        int r = slot->entry ? take_up_entry(slot->entry, other_boot, accept, err) : 0;
        if (r < 0)
            return r;
    }
    if (stage->document->staged) {
        int r = take_up_entry(stage->document, other_boot, accept, err);
        if (r < 0)
            return r;
    }
    int r = append_base(stage, false);
    return r < 0 ? error_errno(err, -r, "cannot write the journal of staged edits") : 0;
}

static void say_resumed(struct stage *stage, const struct replay *replay, bool is_same, uint64_t cut)
{
    const struct base_identity *base = &replay->base.identity;
    size_t count = report_count(stage);
    uint64_t inode = base_identity_of(stage->generation).file.inode;
    bool moved = !base->none && base->file.inode != inode;
    const char *note = !is_same ? "; they were taken over to another version of the model"
                       : moved  ? "; the model was moved or copied meanwhile"
                                : "";
    char tail[64] = "";

    if (cut > 0)
        (void)snprintf(tail, sizeof(tail), " (cut a torn tail of %" PRIu64 " bytes)", cut);
    if (stage->adopted)
        note = "; the model was renamed meanwhile";
    if (asprintf(&stage->resumed, "resumed %zu staged change%s from %s%s%s", count, count == 1 ? "" : "s",
                 printable_string(stage->spool_path).text, tail, note) < 0)
        stage->resumed = NULL;
}

static int refuse_other_model(const struct stage *stage, struct wfs_error *err)
{
    return error_rule(err, WFS_CODE_SOURCE_CHANGED,
                      "%s: the staged edits in %s were made against another version of the model; put that "
                      "one back, take them over to this one with --rebase, or drop them with "
                      "--discard-staging",
                      printable_string(stage->name).text, printable_string(stage->spool_path).text);
}

/* The last commit's file is in place: as the model, or as the output that a model was committed to. */
static bool has_published(struct stage *stage, const struct replay *replay, const struct base_identity *now)
{
    if (!replay->has_intent)
        return false;
    if (stage->create)
        return base_identity_check(stage->dirfd, stage->name, &replay->intent) == 1;
    return base_identity_equal(now, &replay->intent) && !base_identity_equal(now, &replay->base.identity);
}

/* What is left of a commit when its cleaning up failed: nothing that belongs to any model. */
static bool is_empty(const struct stage *stage)
{
    return !stage_has_changes(stage) && !stage_has_scratch(stage) && !stage_has_declared(stage);
}

/* Names that a commit gave on its way to the last: to the finished file, and to the old one for a backup. */
static void sweep_hidden(const struct stage *stage, const struct replay *replay,
                         const struct base_identity *now)
{
    if (!replay->has_intent)
        return;
    replace_sweep(stage->dirfd, stage->name, &replay->intent.file);
    if (!now->none && !stage->create)
        replace_sweep(stage->dirfd, stage->name, &now->file);
}

static int judge(struct stage *stage, struct replay *replay, const struct stage_options *options,
                 uint64_t cut, struct wfs_error *err)
{
    struct base_identity now = base_identity_of(stage->generation);
    struct boot_id boot = boot_id_now();
    bool other_boot = !fault(FAULT_BOOT_ID) && strcmp(boot.text, replay->base.boot_id) != 0;
    bool same = replay->has_base && base_identity_equal(&now, &replay->base.identity);

    bool committed = has_published(stage, replay, &now);
    int synced = committed ? io_sync(stage->dirfd) : 0;
    if (synced < 0)
        return error_errno(err, -synced, "cannot sync the directory of a commit that was cut short");
    if (!replay->has_base || committed || is_empty(stage)) {
        sweep_hidden(stage, replay, &now);
        clear_unseen(stage);
        return 0;
    }
    same = same || fault(FAULT_OTHER_MODEL);
    if (!same && !options->rebase)
        return refuse_other_model(stage, err);
    sweep_hidden(stage, replay, &now);
    int r =
        same ? take_notes(stage, replay) : rebase(stage, replay, other_boot, options->accept_unsynced, err);
    if (r == -ENOMEM)
        return error_no_memory(err);
    r = r < 0 ? r : take_up(stage, other_boot, options->accept_unsynced, err);
    if (r < 0)
        return r;
    if (stage_has_changes(stage))
        say_resumed(stage, replay, same, cut);
    else
        stage_drop_spool_if_unused(stage);
    return 0;
}

/* The journal goes first: a crash leaves all edits or none. */
static int discard_unseen(struct stage *stage, struct wfs_error *err)
{
    int r = stage_start_journal(stage);
    r = r < 0 ? r : journal_sync(spool_journal(stage->spool));
    if (r < 0)
        return error_errno(err, -r, "cannot discard the staged edits in %s",
                           printable_string(stage->spool_path).text);
    clear_unseen(stage);
    return 0;
}

static int explain_damage(const struct stage *stage, int r, struct wfs_error *err)
{
    if (err && err->code == WFS_CODE_JOURNAL_DAMAGED)
        return error_rule(err, WFS_CODE_JOURNAL_DAMAGED,
                          "%s: %s; nothing was touched; --discard-staging drops the edits",
                          printable_string(stage->spool_path).text, error_sentence(err));
    return r;
}

static int recover_journal(struct stage *stage, const struct stage_options *options, struct replay *replay,
                           struct wfs_error *err)
{
    struct journal *journal = NULL;
    uint64_t cut = 0;
    int r = journal_open(spool_dirfd(stage->spool), replay_payload, replay, &journal, &cut, err);

    if (r == -ENOENT) {
        clear_unseen(stage);
        return 0;
    }
    if (r < 0)
        return explain_damage(stage, r, err);
    spool_set_journal(stage->spool, journal);
    return judge(stage, replay, options, cut, err);
}

static int open_and_judge(struct stage *stage, const struct stage_options *options, struct wfs_error *err)
{
    const struct spool_place place = {stage->spool_parent, stage->spool_name};
    struct replay replay = {.stage = stage};

    orphan_adopt(stage);
    int r = spool_open(&place, stage->mountpoint, &stage->spool, err);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return r;
    if (options->discard)
        return discard_unseen(stage, err);
    r = recover_journal(stage, options, &replay, err);
    replay_clear(&replay);
    return r;
}

/* What the system refused may go well the next time; nothing that was read so far changed anything. */
static int explain_failure(const struct stage *stage, int r, struct wfs_error *err)
{
    if (r >= 0 || !err ||
        (err->code != WFS_CODE_IO_FAILED && err->code != WFS_CODE_NO_SPACE &&
         err->code != WFS_CODE_READ_ONLY))
        return r;
    error_prefix(err, "%s: ", printable_string(stage->path).text);
    error_suffix(err, "; the staged edits are kept, and the next try takes them up");
    return r;
}

int recover(struct stage *stage, const struct stage_options *options, struct wfs_error *err)
{
    return explain_failure(stage, open_and_judge(stage, options, err), err);
}
