/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/staging.h"

#include <signal.h>
#include <sys/resource.h>

#define T PLACE_TENSORS

static const char sixteen[] = "0123456789abcdef";

static bool model_is_untouched(void)
{
    auto_bytes bytes = BYTES_EMPTY;
    uint64_t header = strlen(model_json);
    bytes_append(&bytes, &header, sizeof header);
    bytes_string(&bytes, model_json);
    bytes_append(&bytes, model.data, MODEL_DATA);
    return scratch_holds(&model.scratch, MODEL, bytes.data, bytes.length);
}

/* A commit that must fail and leave file and staging as they were. */
static struct wfs_error refused(const struct commit_options *options, int errnum)
{
    struct wfs_error err;
    int files = scratch_count(&model.scratch);
    size_t changes = stage_change_total(model.stage);
    int r = commit_with(options, &err);
    ck_assert_msg(r == -errnum, "%d: %s", r, err.text);
    ck_assert_int_eq(err.errnum, errnum);
    ck_assert_int_eq(scratch_count(&model.scratch), files);
    ck_assert_uint_eq(stage_change_total(model.stage), changes);
    return err;
}

START_TEST(a_commit_writes_what_the_preview_showed)
{
    put(T, "a", sixteen, 16);
    patch(T, "big", "patched", 7, 4000);
    put(T, "new", "1234", 4);
    declare("new", "U8", "[4]");
    ck_assert_int_eq(unlink_tensor("c"), 0);
    ck_assert_int_eq(rename_tensor("b", "z", 0), 0);
    write_document("{\"__metadata__\":{\"format\":\"pt\",\"k\":\"v\"}}");
    commit_as_previewed();
    ck_assert_uint_eq(stage_change_total(model.stage), 0);
    ck_assert_int_eq(staging_count("", 0), -1);
    ck_assert(holds(T, "a", sixteen, 16));
    ck_assert(holds(T, "z", model.data + BIG_SIZE + 16, 12));
    ck_assert(!exists(T, "c") && !exists(T, "b"));
    memcpy(model.data + 4000, "patched", 7);
    model_reopen();
    ck_assert(holds(T, "big", model.data, BIG_SIZE));
    ck_assert_str_eq(declared("new"), "U8 [4]");
}

END_TEST

START_TEST(nothing_staged_touches_nothing)
{
    struct stat before;
    struct stat after;
    ck_assert_int_eq(fstatat(model.scratch.fd, MODEL, &before, 0), 0);
    commit();
    ck_assert_int_eq(fstatat(model.scratch.fd, MODEL, &after, 0), 0);
    ck_assert_uint_eq(after.st_ino, before.st_ino);
    ck_assert(model_is_untouched());
    ck_assert_int_eq(model.stage->commit_state, COMMIT_DONE);
}

END_TEST

START_TEST(a_target_that_changed_is_replaced_only_by_force)
{
    put(T, "a", sixteen, 16);
    scratch_write(&model.scratch, MODEL, "other", 5);
    struct wfs_error err = refused(&(struct commit_options){0}, ESTALE);
    ck_assert_has(err.text, "--force");
    ck_assert(scratch_holds(&model.scratch, MODEL, "other", 5));
    unlinkat(model.scratch.fd, MODEL, 0);
    err = refused(&(struct commit_options){0}, ESTALE);
    ck_assert_has(err.text, "removed");
    model_write(MODEL, model_json, model.data, MODEL_DATA);
    (void)refused(&(struct commit_options){0}, ESTALE); /* equal, but of another time */
}

END_TEST

START_TEST(force_replaces_a_target_that_was_replaced)
{
    struct wfs_error err;
    put(T, "a", sixteen, 16);
    unlinkat(model.scratch.fd, MODEL, 0);
    scratch_write(&model.scratch, MODEL, "other", 5);
    size_t length;
    char *shown = preview(&length);
    ck_assert_int_eq(commit_with(&(struct commit_options){.force = true}, &err), 0);
    ck_assert(scratch_holds(&model.scratch, MODEL, shown, length));
    free(shown);
    ck_assert(holds(T, "big", model.data, BIG_SIZE));
}

END_TEST

START_TEST(a_backup_keeps_the_old_model)
{
    struct wfs_error err;
    put(T, "a", sixteen, 16);
    ck_assert_int_eq(commit_with(&(struct commit_options){.backup_suffix = "~"}, &err), 0);
    ck_assert_int_eq(renameat(model.scratch.fd, MODEL "~", model.scratch.fd, MODEL), 0);
    ck_assert(model_is_untouched());
}

END_TEST

START_TEST(an_output_must_not_exist_at_the_first_commit)
{
    struct wfs_error err;
    const struct stage_options options = {.output = true, .link_dirfd = -1};
    model_close();
    ck_assert_int_eq(model_open_with(&options, &err), 0);
    scratch_write(&model.scratch, "out.safetensors", "mine", 4);
    put(T, "a", sixteen, 16);
    (void)refused(&(struct commit_options){0}, EEXIST);
    ck_assert(scratch_holds(&model.scratch, "out.safetensors", "mine", 4));
    unlinkat(model.scratch.fd, "out.safetensors", 0);
    ck_assert_int_eq(commit_with(&(struct commit_options){0}, &err), 0);
    ck_assert(model_is_untouched());
    put(T, "a", "fedcba9876543210", 16);
    ck_assert_int_eq(commit_with(&(struct commit_options){0}, &err), 0);
    ck_assert(holds(T, "a", "fedcba9876543210", 16));
    unlinkat(model.scratch.fd, ".out.safetensors.staging", AT_REMOVEDIR);
}

END_TEST

START_TEST(a_new_model_is_created_by_its_first_commit)
{
    struct wfs_error err;
    model_close();
    unlinkat(model.scratch.fd, MODEL, 0);
    ck_assert_int_eq(model_open_with(&(struct stage_options){.create = true, .link_dirfd = -1}, &err), 0);
    ck_assert_int_eq(commit_with(&(struct commit_options){0}, &err), 0);
    ck_assert_int_eq(faccessat(model.scratch.fd, MODEL, F_OK, 0), -1);
    put(T, "w", sixteen, 16);
    declare("w", "F32", "[4]");
    model_close();
    ck_assert_int_eq(model_open_with(&(struct stage_options){.create = true, .link_dirfd = -1}, &err), 0);
    commit_as_previewed();
    model_reopen();
    ck_assert(holds(T, "w", sixteen, 16));
}

END_TEST

START_TEST(a_model_without_tensors_must_be_meant)
{
    struct wfs_error err;
    static const char *const all[] = {"big", "a", "b", "c", "none"};
    for (size_t i = 0; i < 5; i++)
        ck_assert_int_eq(unlink_tensor(all[i]), 0);
    err = refused(&(struct commit_options){0}, EINVAL);
    ck_assert_int_eq(err.code, WFS_CODE_NO_TENSORS);
    ck_assert_int_eq(commit_with(&(struct commit_options){.allow_empty = true}, &err), 0);
    ck_assert(!exists(T, "a"));
}

END_TEST

START_TEST(problems_stop_a_commit)
{
    put(T, "a", "short", 5);
    struct wfs_error err = refused(&(struct commit_options){0}, EINVAL);
    ck_assert_int_eq(err.code, WFS_CODE_SIZE_MISMATCH);
    ck_assert_has(err.text, "'a'");
    ck_assert(model_is_untouched());
    ck_assert_uint_eq(stage_preview_size(model.stage), 0);
    put(T, "new", "x", 1);
    err = refused(&(struct commit_options){0}, EINVAL);
    ck_assert_has(err.text, "2 problems");
}

END_TEST

/* --- while a commit runs --- */

static int during;

static void try_everything(void *context)
{
    struct entry *entry = context;
    struct stage_handle *handle = NULL;
    ck_assert(stage_is_committing(model.stage));
    ck_assert_int_eq(stage_create(model.stage, T, "new", 0600, &entry), -EBUSY);
    ck_assert_int_eq(unlink_tensor("a"), -EBUSY);
    ck_assert_int_eq(rename_tensor("a", "z", 0), -EBUSY);
    ck_assert_int_eq(stage_open_entry(model.stage, entry, T, O_WRONLY, &handle), -EBUSY);
    ck_assert_int_eq(stage_truncate(model.stage, entry, T, 0), -EBUSY);
    ck_assert_int_eq(stage_set_mode(model.stage, entry, 0644), -EBUSY);
    ck_assert_int_eq(stage_set_times(model.stage, entry, NULL, NULL), -EBUSY);
    ck_assert_int_eq(stage_xattr_set(model.stage, entry, "user.safetensors.dtype", "F32", 3), -EBUSY);
    ck_assert_int_eq(stage_xattr_remove(model.stage, entry, "user.safetensors.dtype"), -EBUSY);
    ck_assert_int_eq(stage_discard(model.stage, NULL, 0, NULL), -EBUSY);
    ck_assert_int_eq(stage_commit(model.stage, &(struct commit_options){0}, NULL, NULL), -EBUSY);
    ck_assert(holds(T, "a", sixteen, 16));
    during++;
}

static void cancel(void *context)
{
    (void)context;
    stage_cancel(model.stage);
}

static void see_published(void *context, struct generation *before, struct generation *after)
{
    (void)context;
    ck_assert_ptr_ne(before, after);
    ck_assert_uint_eq(stage_change_total(model.stage), 0);
    during++;
}

START_TEST(changes_are_refused_at_once_while_a_commit_runs)
{
    struct wfs_error err = {0};
    put(T, "a", sixteen, 16);
    struct entry *entry = find(T, "a");
    struct commit_observer observer = {entry, try_everything, see_published};
    during = 0;
    ck_assert_int_eq(stage_commit(model.stage, &(struct commit_options){0}, &observer, &err), 0);
    ck_assert_int_eq(during, 2);
    struct stage_attr attr;
    ck_assert_int_eq(entry_attr(model.stage, entry, T, &attr), -ESTALE);
    ck_assert_int_eq(stage_truncate(model.stage, entry, T, 0), -ESTALE);
    ck_assert_int_eq(stage_set_mode(model.stage, entry, 0600), -ESTALE);
    ck_assert_int_eq(stage_set_times(model.stage, entry, NULL, NULL), -ESTALE);
    ck_assert_int_eq(stage_xattr_remove(model.stage, entry, "user.safetensors.dtype"), -ESTALE);
    entry_unref(entry);
    put(T, "a", "fedcba9876543210", 16);
}

END_TEST

START_TEST(a_cancelled_commit_changed_nothing)
{
    struct wfs_error err = {0};
    struct commit_observer observer = {NULL, cancel, see_published};
    during = 0;
    put(T, "a", sixteen, 16);
    ck_assert_int_eq(stage_commit(model.stage, &(struct commit_options){0}, &observer, &err), -ECANCELED);
    ck_assert_int_eq(model.stage->commit_state, COMMIT_CANCELLED);
    ck_assert_int_eq(during, 0);
    ck_assert(model_is_untouched());
    ck_assert(holds(T, "a", sixteen, 16));
    commit_as_previewed();
}

END_TEST

START_TEST(a_file_open_for_writing_stops_a_commit_and_is_named)
{
    struct stage_handle *handle = open_file(T, "a", O_RDWR);
    write_all(handle, sixteen, 16, 0);
    stage_handle_set_pid(handle, getpid());
    struct wfs_error err = refused(&(struct commit_options){0}, EBUSY);
    ck_assert_has(err.text, "tensor 'a': is open for writing by pid ");
    ck_assert_int_eq(stage_discard(model.stage, NULL, 0, &err), -EBUSY);
    stage_release(handle);
    commit_as_previewed();
}

END_TEST

/* --- failures --- */

/* A commit while no file may grow beyond `size`. No assertion in between: it would be written to a file, too.
 */
static int commit_limited(rlim_t size)
{
    struct rlimit before;
    struct wfs_error err;
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit limited = {size, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limited);
    int r = commit_with(&(struct commit_options){0}, &err);
    setrlimit(RLIMIT_FSIZE, &before);
    return r;
}

START_TEST(a_file_that_cannot_be_written_changes_nothing)
{
    put(T, "a", sixteen, 16);
    for (rlim_t size = 600; size < 8400; size += 2600) {
        ck_assert_int_eq(commit_limited(size), -EFBIG);
        ck_assert_uint_eq(stage_change_total(model.stage), 1);
        ck_assert_int_eq(scratch_count(&model.scratch), 2);
    }
    ck_assert(model_is_untouched());
    model_reopen();
    ck_assert(holds(T, "a", sixteen, 16));
    commit_as_previewed();
}

END_TEST

START_TEST(a_failed_commit_leaves_the_layout_as_it_was)
{
    struct wfs_error err = {0};
    struct commit_observer observer = {NULL, cancel, NULL};
    struct commit_options options = {
        .has_layout = true, .layout = {.kind = LAYOUT_ALIGN, .align = 4096}
    };
    size_t length;
    size_t length_after;
    put(T, "a", sixteen, 16);
    auto_free char *before = preview(&length);
    ck_assert_int_eq(stage_commit(model.stage, &options, &observer, &err), -ECANCELED);
    auto_free char *after = preview(&length_after);
    ck_assert_uint_eq(length_after, length);
    ck_assert_mem_eq(after, before, length);
    observer.frozen = NULL;
    ck_assert_int_eq(stage_commit(model.stage, &options, &observer, &err), 0);
    free(preview(&length_after));
    ck_assert_uint_gt(length_after, length);
}

END_TEST

static void break_journal(void *context)
{
    (void)context;
    ck_assert_int_eq(unlinkat(model.scratch.fd, STAGING "/journal", 0), 0);
    ck_assert_int_eq(symlinkat("nowhere", model.scratch.fd, STAGING "/journal"), 0);
}

START_TEST(edits_after_a_commit_that_could_not_start_a_journal_are_kept)
{
    struct wfs_error err = {0};
    struct commit_observer observer = {NULL, break_journal, NULL};
    put(T, "a", sixteen, 16);
    struct stage_handle *reader = open_file(T, "a", O_RDONLY);
    ck_assert_int_eq(stage_commit(model.stage, &(struct commit_options){0}, &observer, &err), 0);
    ck_assert_int_eq(unlinkat(model.scratch.fd, STAGING "/journal", 0), 0);
    put(T, "c", "another.", 8);
    stage_release(reader);
    model_reopen();
    ck_assert(holds(T, "a", sixteen, 16));
    ck_assert(holds(T, "c", "another.", 8));
}

END_TEST

START_TEST(a_hard_link_is_told_of)
{
    ck_assert_int_eq(linkat(model.scratch.fd, MODEL, model.scratch.fd, "other name", 0), 0);
    put(T, "a", sixteen, 16);
    commit();
    ck_assert_uint_eq(model.stage->last.problems.count, 1);
    ck_assert_has(model.stage->last.problems.items[0].message, "1 other name");
}

END_TEST

START_TEST(a_link_is_replaced_or_followed_only_when_told)
{
    struct wfs_error err;
    struct stat st;
    struct stage_options options = {
        .link = "link", .link_name = "link", .link_dirfd = model.scratch.fd, .path = "/x/" MODEL};
    ck_assert_int_eq(symlinkat(MODEL, model.scratch.fd, "link"), 0);
    model_close();
    ck_assert_int_eq(model_open_with(&options, &err), 0);
    put(T, "a", sixteen, 16);
    err = refused(&(struct commit_options){0}, EPERM);
    ck_assert_has(err.text, "--follow");
    ck_assert_int_eq(commit_with(&(struct commit_options){.replace_link = true}, &err), 0);
    ck_assert_int_eq(fstatat(model.scratch.fd, "link", &st, AT_SYMLINK_NOFOLLOW), 0);
    ck_assert(S_ISREG(st.st_mode));
    ck_assert(model_is_untouched());
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_commit_writes_what_the_preview_showed,
        nothing_staged_touches_nothing,
        a_target_that_changed_is_replaced_only_by_force,
        force_replaces_a_target_that_was_replaced,
        a_backup_keeps_the_old_model,
        an_output_must_not_exist_at_the_first_commit,
        a_new_model_is_created_by_its_first_commit,
        a_model_without_tensors_must_be_meant,
        problems_stop_a_commit,
        changes_are_refused_at_once_while_a_commit_runs,
        a_cancelled_commit_changed_nothing,
        a_file_open_for_writing_stops_a_commit_and_is_named,
        a_file_that_cannot_be_written_changes_nothing,
        a_failed_commit_leaves_the_layout_as_it_was,
        edits_after_a_commit_that_could_not_start_a_journal_are_kept,
        a_hard_link_is_told_of,
        a_link_is_replaced_or_followed_only_when_told,
    };
    return RUN_STAGE_TESTS("publish", tests);
}
