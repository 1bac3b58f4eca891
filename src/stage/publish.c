/* SPDX-License-Identifier: Apache-2.0
 *
 * One commit, on one page: commit_steps() is semantics of docs/staging.md 8, step by step. Until
 * replace_commit() nothing that a reader of the model could see has changed, and leaving early is the
 * rollback.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/io.h"
#include "model/checksum.h"
#include "stage/commit.h"
#include "stage/witness.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static void set_phase(struct stage *stage, enum commit_phase phase)
{
    auto_lock(&stage->lock);
    stage->commit_phase = phase;
}

static int check_cancelled(struct stage *stage, struct wfs_error *err)
{
    if (!atomic_load(&stage->cancelled))
        return 0;
    return error_rule(err, WFS_CODE_CANCELLED, "the commit was cancelled; nothing was changed");
}

/* --- 4: the plan --- */

static int make_plan(struct commit *commit, struct wfs_error *err)
{
    struct stage *stage = commit->stage;
    auto_lock(&stage->lock);

    if (commit->options->has_layout) {
        stage->layout = commit->options->layout;
        stage_touch(stage, NULL); /* the preview shows it */
    }
    int r = plan_build(stage, commit->options->allow_empty, &commit->plan, &commit->problems);
    if (r == 0) {
        stage->commit_total = image_length(commit->plan.image);
        commit->header_size = commit->plan.header_size;
        commit->clonable = plan_cost(&commit->plan, true).cloned;
    }
    if (r == -ENOMEM)
        return error_no_memory(err);
    if (r < 0)
        return error_problems(err, &commit->problems);
    return 0;
}

/* --- 5 to 7: the new file --- */

/* Whatever ends this process, the next one finds the file by this. */
static int journal_intent(struct commit *commit, struct base_identity identity)
{
    struct stage *stage = commit->stage;
    auto_edit edit;
    auto_lock(&stage->lock);

    commit->intent = identity;
    stage->intent = &commit->intent;
    edit_begin(&edit, stage);
    if (!fault(FAULT_INTENT))
        edit_intent(&edit, &identity);
    return edit_commit(&edit);
}

static int report_progress(void *context, uint64_t done)
{
    struct stage *stage = context;
    auto_lock(&stage->lock);
    stage->commit_done += done;
    return atomic_load(&stage->cancelled) ? -ECANCELED : 0;
}

static int begin_replacing(struct commit *commit, struct stat *keep, struct wfs_error *err)
{
    struct stage *stage = commit->stage;
    struct file *source = generation_file(stage->generation);
    bool keeps =
        source && !stage->create && fstatat(stage->dirfd, stage->name, keep, AT_SYMLINK_NOFOLLOW) == 0;
    int source_fd = keeps ? file_acquire(source) : -1;
    struct replace_options options = {
        .keep = keeps ? keep : NULL,
        .keep_fd = source_fd,
        .exclusive = stage->create && !commit->options->force && !fault(FAULT_TARGET_EXISTS),
        .backup_suffix = stage->create ? NULL : commit->options->backup_suffix,
    };
    int r = replace_begin(commit->target_dirfd, commit->target_name, &options, &commit->replace, err);

    if (source_fd >= 0)
        file_release(source);
    if (r < 0 || !replace_is_named(commit->replace))
        return r;
    r = journal_intent(commit, (struct base_identity){.file = replace_unfinished(commit->replace)});
    return r < 0 ? error_journal(stage, r, err) : 0;
}

static int write_new_file(struct commit *commit, struct wfs_error *err)
{
    struct image_observer observer = {.context = commit->stage, .progress = report_progress};
    const struct image *image = commit->plan.image;
    int fd = replace_fd(commit->replace);
    int r = io_truncate(fd, image_length(image)); /* before its bytes, as in content.c */

    if (r < 0)
        return error_errno(err, -r, "%s: cannot write a file of %" PRIu64 " bytes",
                           printable_string(commit->target_name).text, image_length(image));
    r = image_write(image, fd, 0, &observer, &commit->cost, err);
    if (r == -ECANCELED)
        return check_cancelled(commit->stage, err);
    if (r == 0)
        commit->cost.copied -= commit->header_size; /* made, not copied: told apart in the report */
    return r;
}

/* Tensors that nobody touched keep id and time; the others get new ones. */
static struct generation_version *make_versions(struct commit *commit)
{
    struct stage *stage = commit->stage;
    struct generation_version *versions = calloc(commit->plan.count + 1, sizeof(*versions));
    auto_lock(&stage->lock);

    stage_touch(stage, NULL);
    for (size_t i = 0; versions && i < commit->plan.count; i++) {
        const struct plan_source *source = &commit->plan.sources[commit->plan.items[i].tag];
        versions[i] = source->entry ? (struct generation_version){stage->next_id++, stage->clock}
                                    : generation_version(stage->generation, source->index);
    }
    return versions;
}

/* What was written is read with the parser that mounts. */
static int validate(struct commit *commit, struct wfs_error *err)
{
    struct generation_version *versions = make_versions(commit);
    int fd = io_reopen_for_reading(replace_fd(commit->replace)); /* a model is never held open for writing */

    if (!versions || fd < 0) {
        free(versions);
        if (fd >= 0)
            close(fd);
        return error_no_memory(err);
    }
    uint64_t expected = image_length(commit->plan.image);
    uint32_t hash = checksum_crc32(0, image_part(commit->plan.image, 0)->memory, commit->header_size);
    plan_clear(&commit->plan); /* as large as the new generation, which takes its room */
    int r = generation_adopt(fd, commit->stage->path, HEADER_OFFICIAL, 0, versions, &commit->next, err);
    if (r < 0)
        return r;
    uint64_t found = file_identity(generation_file(commit->next))->size;
    bool is_as_planned = found == expected && generation_header_hash(commit->next) == hash;
    if (is_as_planned || fault(FAULT_VALIDATION))
        return 0;
    return error_rule(err, WFS_CODE_IO_FAILED,
                      "%s: what was written is not what was planned: %" PRIu64 " bytes, expected %" PRIu64
                      "; nothing was changed",
                      printable_string(commit->stage->path).text, found, expected);
}

/* --- 8 and 9: publishing --- */

static int publish(struct commit *commit, struct wfs_error *err)
{
    struct stage *stage = commit->stage;
    auto_close int lock = -1;

    int r = commit_lock_target(commit, &lock, err);
    if (r == 0 && !fault(FAULT_IDENTITY_AFTER))
        r = commit_check_target(commit, err);
    if (r < 0)
        return r;
    r = journal_intent(commit, base_identity_of(commit->next));
    r = r < 0 ? r : stage_sync_names(stage);
    r = r < 0 ? error_journal(stage, r, err) : check_cancelled(stage, err);
    if (r == 0 && fault(FAULT_CLEAR_EARLY))
        (void)unlinkat(spool_dirfd(stage->spool), JOURNAL_NAME, 0);
    if (r == 0)
        r = replace_commit(commit->replace, err);
    if (r == 0 && fault(FAULT_CANCEL_LATE))
        r = check_cancelled(stage, err);
    commit->unsure = r > 0;
    return r < 0 ? r : 0;
}

/* --- 10: the new generation takes over --- */

/* A tensor that nobody touched is the same bytes in the new file: open handles move over, so that the old
 * file can go. */
static void rebase_clean(struct stage *stage, struct slot *slot)
{
    struct entry *entry = slot->entry;
    struct content *content = &entry->state.content;
    size_t index;

    if (!base_find(stage, slot_key(slot), &index)) {
        entry_retire(entry);
        return;
    }
    content->index = index;
    if (content->generation) {
        generation_unref(content->generation);
        content->generation = generation_ref(stage->generation);
    }
}

static void rebase_entries(struct stage *stage)
{
    for (size_t bucket = 0; bucket < stage->table.bucket_count; bucket++) {
        struct slot *next;
        for (struct slot *slot = stage->table.buckets[bucket]; slot; slot = next) {
            next = slot->next;
            if (slot->entry && !slot->entry->staged)
                rebase_clean(stage, slot);
        }
    }
}

static void take_over(struct commit *commit)
{
    struct stage *stage = commit->stage;
    struct generation *before;

    pthread_rwlock_wrlock(&stage->gate);
    {
        auto_lock(&stage->lock);
        before = stage->generation;
        stage_forget(stage);
        witness_clear(stage);
        stage->generation = generation_ref(commit->next);
        stage->generation_number++;
        stage->create = false;
        stage->layout = (struct layout){.kind = LAYOUT_KEEP};
        rebase_entries(stage);
        stage_clear(stage);
        if (stage->link && commit->target_name == stage->link_name)
            commit_move_to_link(stage);
    }
    pthread_rwlock_unlock(&stage->gate);
    if (commit->observer && commit->observer->published)
        commit->observer->published(commit->observer->context, before, commit->next);
    generation_unref(before);
}

/* --- the whole --- */

static int commit_steps(struct commit *commit, struct wfs_error *err)
{
    struct stage *stage = commit->stage;
    struct stat keep;

    int r = commit_find_target(commit, err);
    r = r < 0 || fault(FAULT_IDENTITY_BEFORE) ? r : commit_check_target(commit, err);
    if (r < 0)
        return r;
    commit_warn_of_links(commit);
    r = stage_sync_all(stage);
    if (r < 0)
        (void)error_journal(stage, r, err); /* of a staged file the plan names the tensor */
    int planned = make_plan(commit, err);
    r = planned < 0 ? planned : r;
    r = r < 0 ? r : commit_check_space(commit, err);
    r = r < 0 ? r : check_cancelled(stage, err);
    if (r < 0)
        return r;

    set_phase(stage, COMMIT_COPYING);
    r = begin_replacing(commit, &keep, err);
    r = r < 0 ? r : write_new_file(commit, err);
    if (r < 0)
        return r;
    set_phase(stage, COMMIT_VALIDATING);
    r = validate(commit, err);
    if (r < 0)
        return r;
    set_phase(stage, COMMIT_SYNCING);
    r = replace_sync(commit->replace, err);
    if (r < 0)
        return r;
    set_phase(stage, COMMIT_PUBLISHING);
    if (fault(FAULT_SWITCH_EARLY))
        take_over(commit);
    r = publish(commit, err);
    if (r == 0 && !fault(FAULT_SWITCH_EARLY))
        take_over(commit);
    return r;
}

static bool nothing_to_do(struct stage *stage, const struct commit_options *options)
{
    auto_lock(&stage->lock);
    return !stage_has_changes(stage) && !options->has_layout;
}

/* What was done, told when everything that served the commit is cleaned up. */
static void keep_outcome(struct commit *commit, int result, struct outcome *outcome,
                         const struct wfs_error *err)
{
    struct stage *stage = commit->stage;
    auto_lock(&stage->lock);

    if (result < 0 && outcome->problems.errors == 0)
        problem_add_error(&outcome->problems, err);
    outcome->generation = stage->generation_number;
    outcome->size =
        generation_is_empty(stage->generation) ? 0 : file_identity(generation_file(stage->generation))->size;
    problem_list_clear(&stage->last.problems);
    stage->last = *outcome;
    stage->intent = NULL;
    stage->commit_state = result == 0 ? COMMIT_DONE : result == -ECANCELED ? COMMIT_CANCELLED : COMMIT_FAILED;
    free(stage->commit_error);
    stage->commit_error = result < 0 || commit->unsure ? strdup(err->text) : NULL;
}

static int commit_frozen(struct commit *commit, struct wfs_error *err)
{
    struct stage *stage = commit->stage;
    int r = stage_freeze(stage, err);

    if (commit->observer && commit->observer->frozen)
        commit->observer->frozen(commit->observer->context);
    struct layout layout = stage->layout; /* frozen: nobody else changes it */
    if (r == 0 && !nothing_to_do(stage, commit->options))
        r = commit_steps(commit, err);
    if (r < 0 && commit->options->has_layout) {
        auto_lock(&stage->lock);
        stage->layout = layout;
        stage_touch(stage, NULL);
    }
    stage_thaw(stage);
    return commit_explained(r, err);
}

int stage_commit(struct stage *stage, const struct commit_options *options,
                 const struct commit_observer *observer, struct wfs_error *err)
{
    struct wfs_error own = {0};
    struct commit commit = {.stage = stage, .options = options, .observer = observer};
    int r = stage_writable(stage, err);

    if (r < 0)
        return r;

    const struct timespec begun = clock_now();
    {
        auto_lock(&stage->lock);
        if (stage->commit_state == COMMIT_RUNNING || atomic_load(&stage->frozen))
            return error_rule(err, WFS_CODE_BUSY, "a commit is running already");
        stage->commit_state = COMMIT_RUNNING;
        stage->commit_phase = COMMIT_PLANNING;
        stage->commit_done = stage->commit_total = 0;
        atomic_store(&stage->cancelled, false);
    }

    r = commit_frozen(&commit, &own);
    const struct timespec ended = clock_now();
    struct outcome outcome = {
        .verb = "commit",
        .ok = r == 0,
        .problems = commit.problems,
        .cost = commit.cost,
        .clonable = commit.clonable,
        .written = commit.header_size,
        .seconds = clock_seconds(&begun, &ended),
    };
    replace_free(commit.replace);
    plan_clear(&commit.plan);
    generation_unref(commit.next);
    stage_tidy_up(stage, true);
    keep_outcome(&commit, r, &outcome, &own);
    if (err && (r < 0 || commit.unsure))
        *err = own;
    return r < 0 ? r : commit.unsure;
}

void stage_cancel(struct stage *stage)
{
    atomic_store(&stage->cancelled, true);
}
