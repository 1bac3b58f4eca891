/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/cleanup.h"
#include "stage/journal.h"
#include "unit/scratch.h"

#include <signal.h>
#include <sys/resource.h>

static struct scratch scratch;
static struct journal *journal;
static struct bytes replayed; /* the payloads, each followed by a comma */

static void setup(void)
{
    scratch = scratch_open();
    replayed = BYTES_EMPTY;
    ck_assert_int_eq(journal_create(scratch.fd, &journal, NULL), 0);
}

static void teardown(void)
{
    journal_close(journal);
    bytes_clear(&replayed);
    scratch_close(&scratch);
}

static int replay(void *context, const unsigned char *payload, size_t length, struct wfs_error *err)
{
    (void)context;
    (void)err;
    bytes_append(&replayed, payload, length);
    bytes_char(&replayed, ',');
    return length == 4 && memcmp(payload, "stop", 4) == 0 ? -ECANCELED : 0;
}

static void append(const char *payload)
{
    ck_assert_int_eq(journal_append(journal, payload, strlen(payload)), 0);
}

static size_t size_of_journal(void)
{
    struct stat st;
    ck_assert_int_eq(fstatat(scratch.fd, JOURNAL_NAME, &st, 0), 0);
    return (size_t)st.st_size;
}

/* Closes and opens again; the payloads found, or the refusal's code. */
static const char *reopen(uint64_t *ret_cut)
{
    struct wfs_error err = {0};
    journal_close(journal);
    journal = NULL;
    bytes_clear(&replayed);
    *ret_cut = 0;
    int r = journal_open(scratch.fd, replay, NULL, &journal, ret_cut, &err);
    if (r < 0) {
        ck_assert_int_eq(r, -EIO);
        return wfs_code_name(err.code);
    }
    bytes_char(&replayed, '\0');
    return replayed.data;
}

static void damage(size_t at)
{
    int fd = openat(scratch.fd, JOURNAL_NAME, O_RDWR);
    unsigned char byte;
    ck_assert_int_eq(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= 0x40;
    ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
}

static void cut_to(size_t size)
{
    int fd = openat(scratch.fd, JOURNAL_NAME, O_RDWR);
    ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
    close(fd);
}

START_TEST(records_come_back_in_order)
{
    uint64_t cut;
    append("one");
    append("");
    append("three");
    ck_assert_str_eq(reopen(&cut), "one,,three,");
    append("four");
    ck_assert_str_eq(reopen(&cut), "one,,three,four,");
    ck_assert_uint_eq(cut, 0);
}

END_TEST

START_TEST(a_torn_tail_is_cut_wherever_it_was_torn)
{
    uint64_t cut;
    append("one");
    ck_assert_int_eq(journal_sync(journal), 0);
    size_t whole = size_of_journal();
    append("the second record");
    size_t size = size_of_journal();
    for (size_t left = size - 1; left > whole; left--) {
        cut_to(left);
        ck_assert_str_eq(reopen(&cut), "one,");
        ck_assert_uint_eq(cut, left - whole);
        ck_assert_uint_eq(size_of_journal(), whole);
        append("the second record");
    }
    ck_assert_str_eq(reopen(&cut), "one,the second record,");
}

END_TEST

START_TEST(damage_behind_the_durable_mark_is_cut_though_good_records_follow)
{
    uint64_t cut;
    append("one");
    size_t second = size_of_journal();
    append("two");
    append("three");
    damage(second + 21);
    ck_assert_str_eq(reopen(&cut), "one,");
    ck_assert_uint_gt(cut, 20);
    append("four");
    ck_assert_str_eq(reopen(&cut), "one,four,");
}

END_TEST

START_TEST(damage_before_a_durable_mark_is_reported)
{
    uint64_t cut;
    append("one");
    size_t second = size_of_journal();
    append("two");
    ck_assert_int_eq(journal_sync(journal), 0);
    append("three");
    size_t size = size_of_journal();
    for (size_t at = 8; at < size - 48; at++) { /* behind that: the mark itself, and "three" */
        damage(at);
        ck_assert_str_eq(reopen(&cut), "JournalDamaged");
        ck_assert_uint_eq(size_of_journal(), size);
        damage(at);
    }
    ck_assert_uint_gt(size, second);
    ck_assert_str_eq(reopen(&cut), "one,two,three,");
}

END_TEST

START_TEST(a_mark_behind_more_damage_is_found)
{
    uint64_t cut;
    append("one");
    size_t second = size_of_journal();
    append("two");
    size_t third = size_of_journal();
    append("rec\nrec\nrec");
    ck_assert_int_eq(journal_sync(journal), 0);
    append("four");
    damage(second + 21);
    damage(third + 2);
    ck_assert_str_eq(reopen(&cut), "JournalDamaged");
}

END_TEST

START_TEST(what_is_no_journal_is_reported)
{
    uint64_t cut;
    damage(0);
    ck_assert_str_eq(reopen(&cut), "JournalDamaged");
}

END_TEST

START_TEST(a_journal_of_which_nothing_reached_the_disk_is_empty)
{
    uint64_t cut;
    append("one");
    for (size_t left = 0; left < 8; left++) {
        cut_to(left);
        ck_assert_str_eq(reopen(&cut), "");
        append("one");
        ck_assert_str_eq(reopen(&cut), "one,");
    }
}

END_TEST

static void blank(size_t length)
{
    static const char zeros[4096];
    int fd = openat(scratch.fd, JOURNAL_NAME, O_RDWR);
    ck_assert_int_eq(pwrite(fd, zeros, length, 0), (ssize_t)length);
    close(fd);
}

START_TEST(a_journal_whose_length_reached_the_disk_but_not_its_bytes_is_empty)
{
    uint64_t cut;
    append("one");
    size_t size = size_of_journal();
    append("two");
    blank(size);
    ck_assert_str_eq(reopen(&cut), "");
    append("three");
    ck_assert_int_eq(journal_sync(journal), 0);
    ck_assert_str_eq(reopen(&cut), "three,");
    blank(8);
    ck_assert_str_eq(reopen(&cut), "JournalDamaged");
}

END_TEST

START_TEST(no_journal_is_enoent)
{
    uint64_t cut;
    struct journal *none = NULL;
    unlinkat(scratch.fd, JOURNAL_NAME, 0);
    ck_assert_int_eq(journal_open(scratch.fd, replay, NULL, &none, &cut, NULL), -ENOENT);
    ck_assert_int_eq(symlinkat("elsewhere", scratch.fd, JOURNAL_NAME), 0);
    ck_assert_int_eq(journal_open(scratch.fd, replay, NULL, &none, &cut, NULL), -ELOOP);
    ck_assert_int_eq(journal_create(scratch.fd, &none, NULL), -ELOOP);
    ck_assert_ptr_null(none);
}

END_TEST

START_TEST(what_a_replay_returns_is_handed_back)
{
    uint64_t cut;
    struct journal *again = NULL;
    append("one");
    append("stop");
    append("three");
    ck_assert_int_eq(journal_open(scratch.fd, replay, NULL, &again, &cut, NULL), -ECANCELED);
    bytes_char(&replayed, '\0');
    ck_assert_str_eq(replayed.data, "one,stop,");
}

END_TEST

START_TEST(an_append_that_fails_appends_nothing)
{
    uint64_t cut;
    append("one");
    size_t size = size_of_journal();
    struct rlimit old;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit tight = {size + 10, old.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &tight), 0);
    ck_assert_int_eq(journal_append(journal, "too long", 8), -EFBIG);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
    ck_assert_uint_eq(size_of_journal(), size);
    append("two");
    ck_assert_str_eq(reopen(&cut), "one,two,");
}

END_TEST

START_TEST(a_record_beyond_the_limit_is_refused)
{
    char byte = 0;
    ck_assert_int_eq(journal_append(journal, &byte, (size_t)JOURNAL_RECORD_MAX + 1), -EFBIG);
}

END_TEST

START_TEST(syncing_twice_is_syncing_once)
{
    uint64_t cut;
    append("one");
    ck_assert_int_eq(journal_sync(journal), 0);
    ck_assert_int_eq(journal_sync(journal), 0);
    append("two");
    ck_assert_int_eq(journal_sync(journal), 0);
    ck_assert_str_eq(reopen(&cut), "one,two,");
    journal_close(NULL);
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        records_come_back_in_order,
        a_torn_tail_is_cut_wherever_it_was_torn,
        damage_behind_the_durable_mark_is_cut_though_good_records_follow,
        damage_before_a_durable_mark_is_reported,
        a_mark_behind_more_damage_is_found,
        what_is_no_journal_is_reported,
        a_journal_of_which_nothing_reached_the_disk_is_empty,
        a_journal_whose_length_reached_the_disk_but_not_its_bytes_is_empty,
        no_journal_is_enoent,
        what_a_replay_returns_is_handed_back,
        an_append_that_fails_appends_nothing,
        a_record_beyond_the_limit_is_refused,
        syncing_twice_is_syncing_once,
    };
    return RUN_TESTS_WITH("journal", tests, setup, teardown);
}
