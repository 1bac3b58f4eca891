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
#include "stage/replay.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int append_base(struct stage *stage)
{
    auto_bytes payload = BYTES_EMPTY;

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
    r = r < 0 ? r : append_base(stage);
    if (r < 0)
        spool_set_journal(stage->spool, NULL);
    return r;
}

/* Gives one entry its spool file. A file that is gone is a damaged entry, not a refusal: the others must come
 * back. It gets an empty one for now; the journal goes on naming the one that is missing. */
static int open_spool_file(struct stage *stage, struct entry *entry, struct wfs_error *err)
{
    struct content *content = &entry->state.content;
    struct stat st;
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
    uint64_t size = (uint64_t)st.st_size;
    content->size = size > content->lead_in ? size - content->lead_in : 0;
    return 0;
}

/* After another boot, bytes without a durable mark may be zeros of the right length. */
static int judge_trust(struct entry *entry, bool other_boot, bool accept)
{
    struct entry_state *state = &entry->state;
    bool lost =
        state->unsynced_lost || (other_boot && !state->synced && state->content.kind == CONTENT_SPOOL);

    if (fault(FAULT_UNSYNCED) || (lost == state->unsynced_lost && !(lost && accept)))
        return 0;
    auto_state next = {.declared = DECLARATION_NONE, .by_xattr = DECLARATION_NONE};
    int r = state_copy(&next, state);
    next.unsynced_lost = lost && !accept;
    return r < 0 ? r : entry_update(entry, &next);
}

static int take_up_entry(struct entry *entry, bool other_boot, bool accept, struct wfs_error *err)
{
    int r = 0;

    if (entry->state.content.kind == CONTENT_SPOOL)
        r = open_spool_file(entry->stage, entry, err);
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

/* Data files that nothing refers to are deleted, and new numbers begin behind the rest. */
static int sweep(struct stage *stage)
{
    size_t bucket = 0;
    struct used_numbers used = {.numbers = calloc(stage->table.count + 2, sizeof(*used.numbers))};

    if (!used.numbers)
        return -ENOMEM;
    for (const struct slot *slot = slot_next(&stage->table, &bucket, NULL); slot;
         slot = slot_next(&stage->table, &bucket, slot))
        note_number(&used, slot->entry);
    note_number(&used, stage->document);
    qsort(used.numbers, used.count, sizeof(*used.numbers), compare_numbers);
    spool_sweep(stage->spool, number_is_used, &used);
    free(used.numbers);
    return 0;
}

static int take_up(struct stage *stage, const struct replay *replay, bool accept, struct wfs_error *err)
{
    size_t bucket = 0;
    struct boot_id boot = boot_id_now();
    bool other_boot = !fault(FAULT_BOOT_ID) && strcmp(boot.text, replay->base.boot_id) != 0;

    if (replay->has_lost_source)
        return error_rule(err, WFS_CODE_JOURNAL_DAMAGED,
                          "the journal of staged edits names a tensor that the model does not have");
    /* what it no longer names is deleted: a power loss must not bring back a journal that does */
    int synced = journal_sync(spool_journal(stage->spool));
    if (synced < 0)
        return error_errno(err, -synced, "cannot sync the journal of staged edits");
    if (sweep(stage) < 0)
        return error_no_memory(err);
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
    int r = append_base(stage);
    return r < 0 ? error_errno(err, -r, "cannot write the journal of staged edits") : 0;
}

static void say_resumed(struct stage *stage, const struct base_identity *base, uint64_t cut)
{
    size_t count = count_changes(stage);
    uint64_t inode = base_identity_of(stage->generation).file.inode;
    const char *moved =
        base->none || base->file.inode == inode ? "" : "; the model was moved or copied meanwhile";
    char tail[64] = "";

    if (cut > 0)
        (void)snprintf(tail, sizeof(tail), " (cut a torn tail of %" PRIu64 " bytes)", cut);
    if (asprintf(&stage->resumed, "resumed %zu staged change%s from %s%s%s", count, count == 1 ? "" : "s",
                 printable_string(stage->spool_path).text, tail, moved) < 0)
        stage->resumed = NULL;
}

static int refuse_other_model(const struct stage *stage, struct wfs_error *err)
{
    return error_rule(err, WFS_CODE_SOURCE_CHANGED,
                      "%s: the staged edits in %s were made against another version of the model; put that "
                      "one back, or drop "
                      "them with --discard-staging",
                      printable_string(stage->name).text, printable_string(stage->spool_path).text);
}

static int judge(struct stage *stage, const struct replay *replay, const struct stage_options *options,
                 uint64_t cut, struct wfs_error *err)
{
    struct base_identity now = base_identity_of(stage->generation);
    bool same = replay->has_base && base_identity_equal(&now, &replay->base.identity);

    bool committed = replay->has_intent && !same && base_identity_equal(&now, &replay->intent);
    if (committed && io_sync(stage->dirfd) < 0)
        return error_errno(err, errno, "%s: cannot sync the directory of a commit that was cut short",
                           printable_string(stage->name).text);
    if (!replay->has_base || committed) {
        clear_unseen(stage);
        return 0;
    }
    if (!same && !fault(FAULT_OTHER_MODEL))
        return refuse_other_model(stage, err);
    if (replay->has_intent)
        replace_sweep(stage->dirfd, stage->name, &replay->intent.file);
    int r = take_up(stage, replay, options->accept_unsynced, err);
    if (r < 0)
        return r;
    if (stage_has_changes(stage))
        say_resumed(stage, &replay->base.identity, cut);
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

int recover(struct stage *stage, const struct stage_options *options, struct wfs_error *err)
{
    const struct spool_place place = {stage->spool_parent, stage->spool_name};
    struct replay replay = {.stage = stage};
    struct journal *journal = NULL;
    uint64_t cut = 0;
    int r = spool_open(&place, stage->mountpoint, &stage->spool, err);

    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return r;
    if (options->discard)
        return discard_unseen(stage, err);
    r = journal_open(spool_dirfd(stage->spool), replay_payload, &replay, &journal, &cut, err);
    if (r == -ENOENT) {
        clear_unseen(stage);
        return 0;
    }
    if (r < 0)
        return explain_damage(stage, r, err);
    spool_set_journal(stage->spool, journal);
    return judge(stage, &replay, options, cut, err);
}
