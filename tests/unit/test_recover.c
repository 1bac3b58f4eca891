/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/record.h"
#include "unit/staging.h"

#define T PLACE_TENSORS

static const char sixteen[] = "0123456789abcdef";

static const struct stage_options plain = {.link_dirfd = -1};
static const struct stage_options discarding = {.discard = true, .link_dirfd = -1};
static const struct stage_options accepting = {.accept_unsynced = true, .link_dirfd = -1};

static int ignore(void *context, const unsigned char *payload, size_t length, struct wfs_error *err)
{
    (void)context, (void)payload, (void)length, (void)err;
    return 0;
}

/* Appends what a test makes up to the journal that lies there. */
static void append_to_journal(const struct bytes *payload)
{
    struct journal *journal = NULL;
    uint64_t cut;
    int fd = openat(model.scratch.fd, STAGING, O_RDONLY | O_DIRECTORY);
    ck_assert_int_eq(journal_open(fd, ignore, NULL, &journal, &cut, NULL), 0);
    ck_assert_int_eq(journal_append(journal, payload->data, payload->length), 0);
    journal_close(journal);
    close(fd);
}

static struct base_identity identity_now(void)
{
    struct generation *generation = NULL;
    ck_assert_int_eq(generation_open(model.scratch.fd, MODEL, 0, 1, &generation, NULL), 0);
    struct base_identity identity = base_identity_of(generation);
    generation_unref(generation);
    return identity;
}

static void pretend_another_boot(void)
{
    auto_bytes payload = BYTES_EMPTY;
    struct record_base base = {identity_now(), "another boot", MODEL};
    record_put_base(&payload, &base);
    append_to_journal(&payload);
}

static void edit_a(void)
{
    put(T, "a", sixteen, 16);
}

/* --- resuming --- */

START_TEST(edits_of_a_killed_process_are_taken_up)
{
    killed_while(edit_a);
    open_with(&plain);
    ck_assert(holds(T, "a", sixteen, 16));
    ck_assert_has(model.stage->resumed, "resumed 1 staged change from ");
    ck_assert_str_eq(problems(), "");
    commit_as_previewed();
}

END_TEST

START_TEST(every_kind_of_edit_is_taken_up)
{
    killed_while(edit_everything);
    open_with(&plain);
    ck_assert_edited_everything();
    commit_as_previewed();
    memcpy(model.data + 5000, "patched", 7);
    ck_assert(holds(T, "big", model.data, BIG_SIZE));
}

END_TEST

static void discard_all(void)
{
    edit_everything();
    ck_assert_int_eq(stage_discard(model.stage, NULL, 0, NULL), 0);
    ck_assert(exists(T, "a"));
}

static void discard_some(void)
{
    char name[] = "b";
    char *names[] = {name};
    edit_everything();
    ck_assert_int_eq(stage_discard(model.stage, names, 1, NULL), 0);
}

START_TEST(what_was_discarded_stays_discarded)
{
    killed_while(discard_all);
    open_with(&plain);
    ck_assert_uint_eq(stage_change_total(model.stage), 0);
    ck_assert_int_eq(staging_count("", 0), -1);
    killed_while(discard_some);
    open_with(&plain);
    ck_assert(exists(T, "b") && !exists(T, "z") && !exists(T, "a"));
}

END_TEST

static void leave_a_drop(void)
{
    edit_everything();
    auto_bytes payload = BYTES_EMPTY;
    record_put_drop(&payload);
    ck_assert_int_eq(journal_append(spool_journal(model.stage->spool), payload.data, payload.length), 0);
    _exit(0);
}

START_TEST(a_crash_in_a_discard_leaves_all_edits_or_none)
{
    killed_while(leave_a_drop);
    open_with(&plain);
    ck_assert_uint_eq(stage_change_total(model.stage), 0);
    ck_assert(exists(T, "a") && !exists(T, "new") && !exists(PLACE_ROOT, "notes.txt"));
    ck_assert_int_eq(staging_count(DATA_FILE_END, 0), -1);
}

END_TEST

static void leave_unsettled(void)
{
    size_t length;
    char *npy = content_of(PLACE_NPY, "b.npy", &length);
    write_all(open_file(PLACE_NPY, "new.npy", O_WRONLY | O_CREAT), npy, length, 0);
    write_all(open_file(PLACE_NPY, "half.npy", O_WRONLY | O_CREAT), npy, length - 1, 0);
    struct stage_handle *document = open_file(PLACE_ROOT, "metadata.json", O_WRONLY | O_TRUNC);
    write_all(document, "{\"a\":{\"dtype\":\"I32\"}}", 21, 0);
    free(npy);
}

START_TEST(what_nobody_is_left_to_close_is_settled)
{
    killed_while(leave_unsettled);
    open_with(&plain);
    ck_assert_str_eq(declared("new"), "BF16 [2,3]");
    ck_assert_str_eq(declared("a"), "I32 [4]");
    ck_assert_has(problems(), "NpyIncomplete");
}

END_TEST

START_TEST(a_torn_journal_is_told_of)
{
    killed_while(edit_a);
    int fd = openat(model.scratch.fd, STAGING "/journal", O_WRONLY | O_APPEND);
    ck_assert_int_eq(write(fd, "rec\ntorn", 8), 8);
    close(fd);
    open_with(&plain);
    ck_assert_has(model.stage->resumed, "(cut a torn tail of 8 bytes)");
}

END_TEST

START_TEST(a_staged_file_that_is_gone_is_one_problem)
{
    put(T, "a", sixteen, 16);
    put(T, "c", "another.", 8);
    model_close();
    ck_assert_int_eq(unlinkat(model.scratch.fd, STAGING "/00000001.bytes", 0), 0);
    open_with(&plain);
    ck_assert_has(problems(), "SpoolDamaged");
    ck_assert(holds(T, "c", "another.", 8));
    ck_assert_int_eq(unlink_tensor("a"), 0);
    put(T, "a", sixteen, 16);
    ck_assert_str_eq(problems(), "");
    commit_as_previewed();
}

END_TEST

START_TEST(staged_files_that_are_gone_stay_problems)
{
    put(T, "a", sixteen, 16);
    put(T, "b", "abcdefghijkl", 12);
    put(T, "c", "another.", 8);
    model_close();
    ck_assert_int_eq(unlinkat(model.scratch.fd, STAGING "/00000002.bytes", 0), 0);
    ck_assert_int_eq(unlinkat(model.scratch.fd, STAGING "/00000003.bytes", 0), 0);
    for (int i = 0; i < 3; i++) {
        open_with(&plain);
        ck_assert_str_eq(problems(), "SpoolDamaged SizeMismatch SpoolDamaged SizeMismatch");
        ck_assert(holds(T, "a", sixteen, 16));
        put(PLACE_ROOT, "notes.txt", "scratch", 7); /* gets a file of its own */
        model_close();
    }
    model_open();
}

END_TEST

START_TEST(a_failed_write_is_not_forgotten_by_the_next_mount)
{
    put(T, "a", sixteen, 16);
    put(T, "c", "another.", 8);
    struct entry *entry = find(T, "a");
    file_latch(entry->state.content.spool, EIO);
    ck_assert_int_eq(stage_sync_entry(model.stage, entry), -EIO);
    entry_unref(entry);
    for (int i = 0; i < 3; i++) {
        model_reopen();
        ck_assert_str_eq(problems(), "SpoolDamaged");
        ck_assert_str_eq(model.stage->last.problems.items[0].tensor, "a");
        entry = find(T, "a");
        ck_assert_int_eq(stage_sync_entry(model.stage, entry), -EIO);
        entry_unref(entry);
    }
    ck_assert_int_eq(unlink_tensor("a"), 0);
    put(T, "a", sixteen, 16);
    model_reopen();
    ck_assert_str_eq(problems(), "");
    commit_as_previewed();
}

END_TEST

START_TEST(a_document_of_which_a_write_failed_says_nothing)
{
    struct stage_handle *handle = open_file(PLACE_ROOT, "metadata.json", O_WRONLY | O_TRUNC);
    write_all(handle, "{\"__metadata__\":{\"a\":\"b\"}}", 26, 0);
    file_latch(model.stage->document->state.content.spool, EIO);
    stage_release(handle);
    ck_assert_str_eq(problems(), "DocumentInvalid");
    model_reopen();
    ck_assert_str_eq(problems(), "DocumentInvalid");
    ck_assert_int_eq(stage_unlink(model.stage, PLACE_ROOT, "metadata.json"), 0);
    ck_assert_str_eq(problems(), "");
}

END_TEST

/* --- whose edits they are --- */

START_TEST(a_chmod_a_link_and_a_copy_with_its_time_are_the_same_model)
{
    struct stat st;
    put(T, "a", sixteen, 16);
    model_close();
    ck_assert_int_eq(fchmodat(model.scratch.fd, MODEL, 0600, 0), 0);
    ck_assert_int_eq(linkat(model.scratch.fd, MODEL, model.scratch.fd, "other name", 0), 0);
    open_with(&plain);
    ck_assert(holds(T, "a", sixteen, 16));
    model_close();
    ck_assert_int_eq(fstatat(model.scratch.fd, MODEL, &st, 0), 0);
    ck_assert_int_eq(unlinkat(model.scratch.fd, MODEL, 0), 0);
    model_write(MODEL, model_json, model.data, MODEL_DATA);
    struct timespec times[] = {st.st_atim, st.st_mtim};
    ck_assert_int_eq(utimensat(model.scratch.fd, MODEL, times, 0), 0);
    open_with(&plain);
    ck_assert(holds(T, "a", sixteen, 16));
    ck_assert_has(model.stage->resumed, "moved");
    model_reopen();
    ck_assert(holds(T, "a", sixteen, 16));
    ck_assert_ptr_null(strstr(model.stage->resumed, "moved"));
    commit_as_previewed();
}

END_TEST

START_TEST(a_touched_model_is_another_and_its_edits_are_kept)
{
    struct stat st;
    struct wfs_error err;
    put(T, "a", sixteen, 16);
    ck_assert_int_eq(fstatat(model.scratch.fd, MODEL, &st, 0), 0);
    model_close();
    ck_assert_int_eq(utimensat(model.scratch.fd, MODEL, NULL, 0), 0);
    err = model_refusal(&plain, ESTALE);
    ck_assert_has(err.text, "--discard-staging");
    struct timespec times[] = {st.st_atim, st.st_mtim};
    ck_assert_int_eq(utimensat(model.scratch.fd, MODEL, times, 0), 0);
    model_close();
    open_with(&plain);
    ck_assert(holds(T, "a", sixteen, 16));
    model_close();
    ck_assert_int_eq(utimensat(model.scratch.fd, MODEL, NULL, 0), 0);
    open_with(&discarding);
    ck_assert_uint_eq(stage_change_total(model.stage), 0);
    ck_assert(holds(T, "a", model.data + BIG_SIZE, 16));
    ck_assert_int_eq(staging_count("", 0), -1);
}

END_TEST

static void intend(void)
{
    auto_bytes payload = BYTES_EMPTY;
    struct base_identity identity = identity_now();
    record_put_intent(&payload, &identity);
    append_to_journal(&payload);
}

START_TEST(a_crash_after_the_rename_is_a_finished_commit)
{
    killed_while(edit_a);
    model_write(MODEL, model_json, model.data, MODEL_DATA); /* stands for the file that was published */
    intend();
    open_with(&plain);
    ck_assert_uint_eq(stage_change_total(model.stage), 0);
    ck_assert_int_eq(staging_count("", 0), -1);
}

END_TEST

START_TEST(a_crash_before_the_rename_keeps_the_edits)
{
    auto_bytes payload = BYTES_EMPTY;
    struct base_identity other = {.file = {.size = 1}, .header_hash = 2};
    killed_while(edit_a);
    record_put_intent(&payload, &other);
    append_to_journal(&payload);
    open_with(&plain);
    ck_assert(holds(T, "a", sixteen, 16));
    commit_as_previewed();
}

END_TEST

START_TEST(another_model_after_an_intent_is_refused)
{
    auto_bytes payload = BYTES_EMPTY;
    struct base_identity other = {.file = {.size = 1}, .header_hash = 2};
    killed_while(edit_a);
    record_put_intent(&payload, &other);
    append_to_journal(&payload);
    ck_assert_int_eq(utimensat(model.scratch.fd, MODEL, NULL, 0), 0);
    (void)model_refusal(&plain, ESTALE);
}

END_TEST

/* --- a journal that is no good --- */

START_TEST(a_damaged_journal_is_refused_and_can_be_discarded)
{
    put(T, "a", sixteen, 16);
    ck_assert_int_eq(stage_sync_names(model.stage), 0);
    put(T, "c", "another.", 8);
    model_close();
    int fd = openat(model.scratch.fd, STAGING "/journal", O_WRONLY);
    ck_assert_int_eq(pwrite(fd, "X", 1, 40), 1);
    close(fd);
    struct wfs_error err = model_refusal(&plain, EIO);
    ck_assert_int_eq(err.code, WFS_CODE_JOURNAL_DAMAGED);
    model_close();
    open_with(&discarding);
    ck_assert_int_eq(staging_count("", 0), -1);
}

END_TEST

START_TEST(a_staging_directory_without_a_journal_is_cleared)
{
    put(T, "a", sixteen, 16);
    model_close();
    unlinkat(model.scratch.fd, STAGING "/journal", 0);
    open_with(&plain);
    ck_assert_int_eq(staging_count("", 0), -1);
    put(T, "a", sixteen, 16);
    model_close();
    int fd = openat(model.scratch.fd, STAGING "/journal", O_WRONLY | O_TRUNC);
    close(fd);
    open_with(&plain);
    ck_assert_int_eq(staging_count("", 0), -1);
}

END_TEST

START_TEST(a_payload_that_makes_no_sense_is_refused)
{
    put(T, "a", sixteen, 16);
    model_close();
    auto_bytes payload = BYTES_EMPTY;
    bytes_string(&payload, "Xnonsense");
    append_to_journal(&payload);
    struct wfs_error err = model_refusal(&plain, EIO);
    ck_assert_int_eq(err.code, WFS_CODE_JOURNAL_DAMAGED);
}

END_TEST

/* --- after a power loss --- */

static void edit_and_sync_one(void)
{
    put(T, "a", sixteen, 16);
    put(T, "c", "another.", 8);
    struct entry *entry = find(T, "c");
    ck_assert_int_eq(stage_sync_entry(model.stage, entry), 0);
    ck_assert_int_eq(rename_tensor("b", "z", 0), 0);
}

START_TEST(what_was_not_synced_before_a_power_loss_is_not_trusted)
{
    killed_while(edit_and_sync_one);
    pretend_another_boot();
    open_with(&plain);
    ck_assert_str_eq(problems(), "UnsyncedData");
    ck_assert_str_eq(model.stage->last.problems.items[0].tensor, "a");
    model_reopen();
    ck_assert_str_eq(problems(), "UnsyncedData");
    patch(T, "a", "0", 1, 0);
    ck_assert_str_eq(problems(), "UnsyncedData");
    model_close();
    open_with(&accepting);
    ck_assert_str_eq(problems(), "");
    model_reopen();
    ck_assert_str_eq(problems(), "");
    commit_as_previewed();
}

END_TEST

START_TEST(a_rewrite_is_trusted_after_a_power_loss)
{
    killed_while(edit_and_sync_one);
    pretend_another_boot();
    open_with(&plain);
    put(T, "a", sixteen, 16);
    ck_assert_str_eq(problems(), "");
}

END_TEST

START_TEST(a_rewrite_is_trusted_where_a_power_loss_left_no_byte)
{
    killed_while(edit_and_sync_one);
    pretend_another_boot();
    int fd = openat(model.scratch.fd, STAGING "/00000001.bytes", O_WRONLY | O_TRUNC);
    close(fd);
    open_with(&plain);
    ck_assert_has(problems(), "UnsyncedData");
    put(T, "a", sixteen, 16);
    ck_assert_str_eq(problems(), "");
    commit_as_previewed();
}

END_TEST

START_TEST(a_discard_ends_distrust)
{
    char name[] = "a";
    char *names[] = {name};
    killed_while(edit_and_sync_one);
    pretend_another_boot();
    open_with(&plain);
    ck_assert_int_eq(stage_discard(model.stage, names, 1, NULL), 0);
    ck_assert_str_eq(problems(), "");
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        edits_of_a_killed_process_are_taken_up,
        every_kind_of_edit_is_taken_up,
        what_was_discarded_stays_discarded,
        a_crash_in_a_discard_leaves_all_edits_or_none,
        what_nobody_is_left_to_close_is_settled,
        a_torn_journal_is_told_of,
        a_staged_file_that_is_gone_is_one_problem,
        staged_files_that_are_gone_stay_problems,
        a_failed_write_is_not_forgotten_by_the_next_mount,
        a_document_of_which_a_write_failed_says_nothing,
        a_chmod_a_link_and_a_copy_with_its_time_are_the_same_model,
        a_touched_model_is_another_and_its_edits_are_kept,
        a_crash_after_the_rename_is_a_finished_commit,
        a_crash_before_the_rename_keeps_the_edits,
        another_model_after_an_intent_is_refused,
        a_damaged_journal_is_refused_and_can_be_discarded,
        a_staging_directory_without_a_journal_is_cleared,
        a_payload_that_makes_no_sense_is_refused,
        what_was_not_synced_before_a_power_loss_is_not_trusted,
        a_rewrite_is_trusted_after_a_power_loss,
        a_rewrite_is_trusted_where_a_power_loss_left_no_byte,
        a_discard_ends_distrust,
    };
    return RUN_STAGE_TESTS("recover", tests);
}
