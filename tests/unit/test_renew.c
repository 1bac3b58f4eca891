/* SPDX-License-Identifier: Apache-2.0
 *
 * An fsync of the journal fails once: who asked hears it, nothing changes, and the next try succeeds, because
 * the journal is written anew. Linked with --wrap=fsync.
 */
#include "unit/staging.h"

#define T PLACE_TENSORS

static const char sixteen[] = "0123456789abcdef";

int __real_fsync(int fd);
int __wrap_fsync(int fd);

static int failing; /* which of the fsyncs to come fails; 0: none */

int __wrap_fsync(int fd)
{
    if (failing > 0 && --failing == 0) {
        errno = EIO;
        return -1;
    }
    return __real_fsync(fd);
}

static void killed_after(void (*edits)(void))
{
    killed_while(edits);
    model_open();
}

/* The next fsync is the journal's: all data is on disk already. */
static void fail_a_sync_of_the_journal(void)
{
    ck_assert_int_eq(stage_sync_all(model.stage), 0);
    ck_assert_int_eq(rename_tensor("c", "d", 0), 0);
    failing = 1;
    ck_assert_int_eq(stage_sync_names(model.stage), -EIO);
    ck_assert_int_eq(failing, 0);
}

START_TEST(the_next_commit_writes_a_failed_journal_anew)
{
    struct wfs_error err;
    edit_everything();
    ck_assert_int_eq(stage_sync_all(model.stage), 0);
    ck_assert_int_eq(rename_tensor("c", "d", 0), 0);
    failing = 1;
    ck_assert_int_eq(commit_with(&(struct commit_options){0}, &err), -EIO);
    ck_assert_has(err.text,
                  "the journal of staged edits could not be written: Input/output error; nothing was "
                  "changed");
    ck_assert_edited_everything();
    commit_as_previewed();
    ck_assert(exists(T, "d"));
}

END_TEST

START_TEST(edits_go_on_after_a_failed_sync)
{
    fail_a_sync_of_the_journal();
    put(T, "a", sixteen, 16);
    ck_assert_int_eq(stage_sync_all(model.stage), 0);
    ck_assert(holds(T, "a", sixteen, 16));
}

END_TEST

static void edit_fail_and_edit(void)
{
    edit_everything();
    fail_a_sync_of_the_journal();
    put(T, "after", sixteen, 16);
}

static void edit_fail_and_fail_again(void)
{
    edit_everything();
    fail_a_sync_of_the_journal();
    failing = 1;
    ck_assert_int_eq(stage_sync_names(model.stage), -EIO); /* nor can the new one be synced */
    put(T, "after", sixteen, 16);
}

START_TEST(every_kind_of_edit_is_in_the_new_journal)
{
    killed_after(_i ? edit_fail_and_fail_again : edit_fail_and_edit);
    ck_assert_edited_everything();
    ck_assert(exists(T, "d") && !exists(T, "c"));
    ck_assert(holds(T, "after", sixteen, 16));
    ck_assert_int_eq(staging_count(".new", 0), 0);
}

END_TEST

static char name_a[] = "a";
static char *const names[] = {name_a};

static void discard_in_vain(size_t count)
{
    struct wfs_error err = {0};
    put(T, "a", sixteen, 16);
    put(T, "other", sixteen, 16);
    ck_assert_int_eq(stage_sync_all(model.stage), 0);
    failing = 1;
    ck_assert_int_eq(stage_discard(model.stage, names, count, &err), -EIO);
    ck_assert_int_eq(err.errnum, EIO);
    ck_assert(holds(T, "a", sixteen, 16) && exists(T, "other"));
}

static void discard_all_in_vain(void)
{
    discard_in_vain(0);
}

static void discard_one_in_vain(void)
{
    discard_in_vain(1);
}

START_TEST(a_discard_that_could_not_be_synced_did_not_happen)
{
    killed_after(_i ? discard_one_in_vain : discard_all_in_vain);
    ck_assert(holds(T, "a", sixteen, 16) && holds(T, "other", sixteen, 16));
}

END_TEST

START_TEST(a_discard_after_one_that_failed_succeeds)
{
    discard_in_vain((size_t)_i);
    ck_assert_int_eq(stage_discard(model.stage, names, (size_t)_i, NULL), 0);
    ck_assert(holds(T, "a", model.data + BIG_SIZE, 16));
    ck_assert_int_eq(exists(T, "other"), _i == 1);
}

END_TEST

START_TEST(no_failing_sync_of_a_commit_is_the_last)
{
    struct wfs_error err;
    int r = -1;
    for (int which = 1; r != 0; which++) {
        put(T, "a", sixteen, 16);
        failing = which;
        r = commit_with(&(struct commit_options){0}, &err);
        if (failing > 0)
            break; /* there are no more */
        ck_assert_msg(r == -EIO || r == 1, "fsync %d: %s", which, err.text);
        if (r == -EIO) {
            ck_assert(holds(T, "a", sixteen, 16));
            if (strstr(err.text,
                       "SpoolDamaged")) /* its bytes may be lost: only a file written anew is good */
                ck_assert_int_eq(unlink_tensor("a"), 0);
            else
                ck_assert_int_eq(commit_with(&(struct commit_options){0}, &err), 0);
        }
        r = -1;
    }
    failing = 0;
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        the_next_commit_writes_a_failed_journal_anew, edits_go_on_after_a_failed_sync,
        every_kind_of_edit_is_in_the_new_journal,     a_discard_that_could_not_be_synced_did_not_happen,
        a_discard_after_one_that_failed_succeeds,     no_failing_sync_of_a_commit_is_the_last,
    };
    return RUN_TESTS_EACH("renew", tests, 2, model_setup, model_teardown);
}
