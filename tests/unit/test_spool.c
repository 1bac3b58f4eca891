/* SPDX-License-Identifier: Apache-2.0
 *
 * The staging directory and its lock.
 */
#include "base/cleanup.h"
#include "base/io.h"
#include "stage/lock.h"
#include "unit/scratch.h"

#include <sys/wait.h>

static struct scratch scratch;
static struct spool *spool;
static struct spool_place place;

static void setup(void)
{
    struct wfs_error err = {0};
    scratch = scratch_open();
    place = (struct spool_place){scratch.fd, "staging"};
    ck_assert_int_eq(spool_create(&place, "/mnt/x", &spool, &err), 0);
}

static void teardown(void)
{
    spool_close(spool);
    struct scratch inside = {.fd = openat(scratch.fd, "staging", O_RDONLY | O_DIRECTORY)};
    if (inside.fd >= 0) {
        snprintf(inside.path, sizeof inside.path, "%.200s/staging", scratch.path);
        scratch_close(&inside);
    }
    scratch_close(&scratch);
}

static bool is_there(const char *name)
{
    return faccessat(spool_dirfd(spool), name, F_OK, 0) == 0;
}

static void reopen(void)
{
    struct wfs_error err = {0};
    spool_close(spool);
    spool = NULL;
    ck_assert_int_eq(spool_open(&place, NULL, &spool, &err), 0);
}

START_TEST(a_staging_directory_is_private_and_ignored_by_git)
{
    struct stat st;
    char text[8] = "";
    ck_assert_int_eq(fstatat(scratch.fd, "staging", &st, 0), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0700);
    int fd = openat(spool_dirfd(spool), ".gitignore", O_RDONLY);
    ck_assert_int_eq(read(fd, text, sizeof text), 2);
    ck_assert_str_eq(text, "*\n");
    close(fd);
}

END_TEST

START_TEST(the_name_is_hidden_and_never_too_long)
{
    auto_free char *name = spool_directory_name("m.safetensors");
    ck_assert_str_eq(name, ".m.safetensors.staging");
    char target[256];
    memset(target, 'x', 255);
    target[255] = '\0';
    auto_free char *longest = spool_directory_name(target);
    ck_assert_uint_le(strlen(longest), 255);
    target[254] = 'y';
    auto_free char *other = spool_directory_name(target);
    ck_assert_str_ne(longest, other);
}

END_TEST

static bool is_even(void *context, uint32_t number)
{
    (void)context;
    return number % 2 == 0;
}

START_TEST(a_sweep_deletes_what_is_not_used_and_numbers_go_on_behind)
{
    struct file *file = NULL;
    uint32_t number = 0;
    for (uint32_t i = 1; i <= 4; i++) {
        ck_assert_int_eq(spool_new_file(spool, &file, &number, NULL), 0);
        ck_assert_uint_eq(number, i);
        file_unref(file);
    }
    ck_assert_int_eq(close(openat(spool_dirfd(spool), "3.bytes", O_CREAT | O_WRONLY, 0600)), 0);
    reopen();
    spool_sweep(spool, is_even, NULL);
    ck_assert(!is_there("00000001.bytes") && is_there("00000002.bytes"));
    ck_assert(!is_there("00000003.bytes") && is_there("00000004.bytes") && is_there("3.bytes"));
    ck_assert_int_eq(spool_new_file(spool, &file, &number, NULL), 0);
    ck_assert_uint_eq(number, 5);
    file_unref(file);
    ck_assert_int_eq(spool_open_file(spool, 4, &file, NULL), 0);
    file_unref(file);
    ck_assert_int_eq(spool_open_file(spool, 9, &file, NULL), -ENOENT);
}

END_TEST

START_TEST(a_directory_with_data_in_it_stays)
{
    struct file *file = NULL;
    uint32_t number;
    ck_assert_int_eq(spool_new_file(spool, &file, &number, NULL), 0);
    ck_assert(!spool_remove(spool));
    ck_assert(is_there("lock") && is_there(".gitignore"));
    file_unlink_on_last(file);
    file_unref(file);
    ck_assert(spool_remove(spool));
    ck_assert_int_eq(faccessat(scratch.fd, "staging", F_OK, 0), -1);
}

END_TEST

START_TEST(names_are_synced_once)
{
    struct file *file = NULL;
    uint32_t number;
    ck_assert_int_eq(spool_sync_names(spool), 0);
    ck_assert_int_eq(spool_sync_names(spool), 0);
    ck_assert_int_eq(spool_new_file(spool, &file, &number, NULL), 0);
    ck_assert_int_eq(spool_sync_names(spool), 0);
    file_unref(file);
}

END_TEST

START_TEST(the_holder_of_the_lock_is_told)
{
    struct spool_holder holder = {0};
    ck_assert_int_eq(spool_holder(&place, &holder), 0);
    ck_assert_int_eq(holder.pid, getpid());
    ck_assert_str_eq(holder.mountpoint, "/mnt/x");
    reopen();
    ck_assert_int_eq(spool_holder(&place, &holder), 0);
    ck_assert_str_eq(holder.mountpoint, "");
    spool_close(spool);
    spool = NULL;
    ck_assert_int_eq(spool_holder(&place, &holder), -ENOENT);
    ck_assert_int_eq(spool_holder(&(struct spool_place){scratch.fd, "nothing"}, &holder), -ENOENT);
}

END_TEST

START_TEST(a_second_one_waits_and_is_told_who_holds_it)
{
    struct spool *second = NULL;
    struct wfs_error err = {0};
    ck_assert_int_eq(spool_create(&place, NULL, &second, &err), -EBUSY);
    ck_assert_int_eq(err.code, WFS_CODE_BUSY);
    ck_assert_ptr_nonnull(strstr(err.text, "mounted at /mnt/x"));
    ck_assert_ptr_null(second);
}

END_TEST

START_TEST(who_waits_gets_the_lock_of_one_that_ends)
{
    int ends[2];
    char said = 0;
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    pid_t pid = fork();
    if (pid == 0) {
        usleep(300000);
        _exit(write(ends[1], "x", 1) != 1);
    }
    spool_close(spool); /* the child holds it on */
    spool = NULL;
    struct wfs_error err = {0};
    ck_assert_int_eq(spool_open(&place, NULL, &spool, &err), 0);
    ck_assert_int_eq(read(ends[0], &said, 1),
                     1); /* not before it ended, though its parent may hear of that later */
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    close(ends[0]);
    close(ends[1]);
}

END_TEST

START_TEST(a_lock_that_was_removed_is_no_lock)
{
    int fd = -1;
    struct spool_holder holder;
    ck_assert(spool_remove(spool));
    ck_assert_int_eq(lock_take(spool_dirfd(spool), NULL, &fd, &holder), -ENOENT);
    ck_assert_int_eq(mkdirat(scratch.fd, "staging", 0700), 0);
    struct spool *second = NULL;
    struct wfs_error err = {0};
    ck_assert_int_eq(spool_open(&place, NULL, &second, &err), 0);
    spool_close(second);
}

END_TEST

START_TEST(who_waited_for_a_lock_that_is_removed_takes_the_one_of_that_name)
{
    struct wfs_error err = {0};
    struct spool_holder holder = {0};
    pid_t pid = fork();
    if (pid == 0) {
        usleep(300000);
        unlinkat(scratch.fd, "staging/lock", 0);
        _exit(0);
    }
    spool_close(spool); /* the child holds it on */
    spool = NULL;
    ck_assert_int_eq(spool_open(&place, NULL, &spool, &err), 0);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    ck_assert_int_eq(spool_holder(&place, &holder), 0);
    ck_assert_int_eq(holder.pid, getpid());
}

END_TEST

START_TEST(what_is_no_directory_is_refused)
{
    struct spool *none = NULL;
    struct wfs_error err = {0};
    scratch_write(&scratch, "file", "x", 1);
    ck_assert_int_eq(spool_create(&(struct spool_place){scratch.fd, "file"}, NULL, &none, &err), -ENOTDIR);
    ck_assert_int_eq(spool_create(&(struct spool_place){scratch.fd, "no/where"}, NULL, &none, &err), -ENOENT);
    ck_assert_int_eq(spool_open(&(struct spool_place){scratch.fd, "nothing"}, NULL, &none, &err), -ENOENT);
    ck_assert_ptr_null(none);
    ck_assert(!lock_is_mounted("/"));
    ck_assert(!lock_is_mounted("/mnt/x"));
    ck_assert_uint_eq(strlen(boot_id_now().text), 36);
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_staging_directory_is_private_and_ignored_by_git,
        the_name_is_hidden_and_never_too_long,
        a_sweep_deletes_what_is_not_used_and_numbers_go_on_behind,
        a_directory_with_data_in_it_stays,
        names_are_synced_once,
        the_holder_of_the_lock_is_told,
        a_second_one_waits_and_is_told_who_holds_it,
        who_waits_gets_the_lock_of_one_that_ends,
        a_lock_that_was_removed_is_no_lock,
        who_waited_for_a_lock_that_is_removed_takes_the_one_of_that_name,
        what_is_no_directory_is_refused,
    };
    return RUN_TESTS_WITH("spool", tests, setup, teardown);
}
