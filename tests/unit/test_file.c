/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "base/io.h"
#include "unit/scratch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

static struct scratch scratch;
static struct file_pool *pool;
static atomic_int fsync_count;
static atomic_int fsync_failures; /* how many of the next calls fail */
static atomic_bool fsync_is_held; /* it does not end before this does */
static atomic_int fsync_finished;

/* Stands in for the C library's, so that calls are counted and disks fail. */
int fsync(int fd)
{
    atomic_fetch_add(&fsync_count, 1);
    if (atomic_load(&fsync_failures) > 0) {
        atomic_fetch_sub(&fsync_failures, 1);
        errno = EIO;
        return -1;
    }
    while (atomic_load(&fsync_is_held))
        usleep(1000);
    atomic_fetch_add(&fsync_finished, 1);
    return (int)syscall(SYS_fdatasync, fd);
}

static void setup(void)
{
    fsync_count = 0;
    fsync_failures = 0;
    fsync_finished = 0;
    fsync_is_held = false;
    scratch = scratch_open();
    ck_assert_int_eq(file_pool_new(scratch.fd, 4, &pool), 0);
}

static void teardown(void)
{
    file_pool_free(pool);
    scratch_close(&scratch);
}

static int count_descriptors(void)
{
    struct scratch self = {.path = "/proc/self/fd"};
    return scratch_count(&self);
}

static struct file *open_source(const char *name)
{
    struct file *file = NULL;
    struct wfs_error err = {0};
    ck_assert_msg(file_open(scratch.fd, name, 0, &file, &err) == 0, "%s", err.text);
    return file;
}

static struct file *open_spool(const char *name, bool create)
{
    struct file *file = NULL;
    struct wfs_error err = {0};
    ck_assert_msg(file_pool_open(pool, name, create, &file, &err) == 0, "%s", err.text);
    return file;
}

static void write_through(struct file *file, const char *text)
{
    int fd = file_acquire(file);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(io_write_at(fd, text, strlen(text), 0), 0);
    file_mark_dirty(file);
    file_release(file);
}

/* --- source files --- */

START_TEST(only_a_regular_file_is_opened)
{
    struct file *file = NULL;
    struct wfs_error err = {0};
    ck_assert_int_eq(file_open(scratch.fd, ".", 0, &file, &err), -EINVAL);
    ck_assert_str_eq(err.text, ".: is a directory, expected a regular file");
    ck_assert_int_eq(err.errnum, EINVAL);
    ck_assert_int_eq(mkfifoat(scratch.fd, "fifo", 0600), 0);
    ck_assert_int_eq(file_open(scratch.fd, "fifo", 0, &file, &err), -EINVAL); /* and does not hang */
    ck_assert_str_eq(err.text, "fifo: is a FIFO, expected a regular file");
    ck_assert_int_eq(file_open(AT_FDCWD, "/dev/null", 0, &file, NULL), -EINVAL);
    ck_assert_int_eq(file_open(scratch.fd, "none\n", 0, &file, &err), -ENOENT);
    ck_assert_str_eq(err.text, "none\\n: No such file or directory");
    ck_assert_ptr_null(file);
}

END_TEST

START_TEST(a_symlink_is_followed_unless_told_not_to)
{
    struct file *file = NULL;
    scratch_write(&scratch, "model", "x", 1);
    ck_assert_int_eq(symlinkat("model", scratch.fd, "link"), 0);
    ck_assert_int_eq(file_open(scratch.fd, "link", O_NOFOLLOW, &file, NULL), -ELOOP);
    ck_assert_int_eq(file_open(scratch.fd, "link", 0, &file, NULL), 0);
    file_unref(file);
}

END_TEST

START_TEST(a_refused_descriptor_is_closed)
{
    int before = count_descriptors();
    struct file *file = NULL;
    ck_assert_int_eq(file_adopt(open("/", O_RDONLY | O_DIRECTORY), &file, NULL), -EINVAL);
    ck_assert_int_eq(count_descriptors(), before);
}

END_TEST

START_TEST(the_last_reference_closes_the_descriptor)
{
    int before = count_descriptors();
    scratch_write(&scratch, "model", "x", 1);
    struct file *file = open_source("model");
    ck_assert_ptr_eq(file_ref(file), file);
    file_unref(file);
    ck_assert_int_eq(count_descriptors(), before + 1);
    file_unref(file);
    ck_assert_int_eq(count_descriptors(), before);
    file_unref(NULL);
}

END_TEST

START_TEST(a_change_in_place_is_noticed)
{
    scratch_write(&scratch, "model", "abc", 3);
    struct file *file = open_source("model");
    ck_assert_int_eq(file_check(file), 0);
    ck_assert_uint_eq(file_identity(file)->size, 3);
    int fd = openat(scratch.fd, "model", O_WRONLY);
    ck_assert_int_eq(ftruncate(fd, 2), 0);
    ck_assert_int_eq(file_check(file), -ESTALE);
    file_unref(file);

    file = open_source("model");
    struct timespec times[2] = {
        {1, 0},
        {1, 1}
    };
    ck_assert_int_eq(futimens(fd, times), 0);
    ck_assert_int_eq(file_check(file), -ESTALE);
    file_unref(file);
    close(fd);
}

END_TEST

START_TEST(what_leaves_the_bytes_alone_is_no_change)
{
    scratch_write(&scratch, "model", "abc", 3);
    scratch_write(&scratch, "other", "defg", 4);
    struct file *file = open_source("model");
    ck_assert_int_eq(fchmodat(scratch.fd, "model", 0600, 0), 0);
    ck_assert_int_eq(linkat(scratch.fd, "model", scratch.fd, "second", 0), 0);
    ck_assert_int_eq(file_check(file), 0);
    ck_assert_int_eq(renameat(scratch.fd, "other", scratch.fd, "model"), 0);
    ck_assert_int_eq(file_check(file), 0);
    char bytes[3];
    ck_assert_int_eq(io_read_at(file_acquire(file), bytes, 3, 0), 0);
    ck_assert_mem_eq(bytes, "abc", 3);
    file_release(file);
    file_unref(file);
}

END_TEST

/* --- the pool --- */

START_TEST(a_new_spool_file_is_empty_and_private)
{
    struct file *file = open_spool("new", true);
    struct stat st;
    ck_assert_int_eq(fstatat(scratch.fd, "new", &st, 0), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0600);
    ck_assert_int_eq(st.st_size, 0);
    ck_assert_str_eq(file_name(file), "new");
    file_unref(file);
    ck_assert(scratch_holds(&scratch, "new", "", 0));
}

END_TEST

START_TEST(creating_and_expecting_are_different)
{
    struct file *file = NULL;
    struct wfs_error err = {0};
    ck_assert_int_eq(file_pool_open(pool, "none", false, &file, &err), -ENOENT);
    scratch_write(&scratch, "old", "x", 1);
    ck_assert_int_eq(file_pool_open(pool, "old", true, &file, &err), -EEXIST);
    ck_assert_int_eq(symlinkat("old", scratch.fd, "link"), 0);
    ck_assert_int_eq(file_pool_open(pool, "link", false, &file, &err), -EINVAL);
    ck_assert_str_eq(err.text, "link: is a symbolic link, expected a regular file");
    file = open_spool("old", false);
    ck_assert_int_eq(unlinkat(scratch.fd, "old", 0), 0);
    ck_assert_int_eq(file_acquire(file), -ENOENT);
    file_unref(file);
}

END_TEST

START_TEST(fifty_files_share_four_descriptors)
{
    struct file *files[50];
    char name[16];
    int before = count_descriptors();
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof name, "%d", i);
        files[i] = open_spool(name, true);
        write_through(files[i], name);
        ck_assert_int_le(count_descriptors(), before + 4);
    }
    for (int i = 49; i >= 0; i--) {
        char found[16] = "";
        snprintf(name, sizeof name, "%d", i);
        ck_assert_int_ge(io_read_some(file_acquire(files[i]), found, sizeof found - 1, 0), 1);
        ck_assert_str_eq(found, name);
        ck_assert_int_le(count_descriptors(), before + 4);
        file_release(files[i]);
        ck_assert_int_le(count_descriptors(), before + 4);
    }
    for (int i = 0; i < 50; i++)
        file_unref(files[i]);
    ck_assert_int_eq(count_descriptors(), before);
}

END_TEST

START_TEST(a_written_descriptor_is_synced_before_it_is_closed)
{
    struct file *files[6];
    for (int i = 0; i < 6; i++) {
        char name[2] = {(char)('a' + i), '\0'};
        files[i] = open_spool(name, true);
        if (i < 2)
            write_through(files[i], "x");
    }
    ck_assert_int_eq(fsync_count, 2); /* a and b had to go, c to f were not written */
    ck_assert_int_eq(file_sync(files[0]), 0);
    ck_assert_int_eq(fsync_count, 2); /* nothing was written since */
    for (int i = 0; i < 6; i++)
        file_unref(files[i]);
    ck_assert_int_eq(fsync_count, 2);
}

END_TEST

START_TEST(the_last_reference_syncs_what_was_written)
{
    struct file *file = open_spool("a", true);
    write_through(file, "x");
    file_unref(file);
    ck_assert_int_eq(fsync_count, 1);
}

END_TEST

START_TEST(the_descriptor_longest_unused_goes_first)
{
    struct file *files[5];
    const char *names[] = {"a", "b", "c", "d", "e"};
    for (int i = 0; i < 4; i++)
        files[i] = open_spool(names[i], true);
    int kept = file_acquire(files[0]);
    file_release(files[0]);
    files[4] = open_spool(names[4], true); /* instead of b */
    ck_assert_int_eq(unlinkat(scratch.fd, "a", 0), 0);
    ck_assert_int_eq(unlinkat(scratch.fd, "b", 0), 0);
    ck_assert_int_eq(file_acquire(files[0]), kept);
    file_release(files[0]);
    ck_assert_int_eq(file_acquire(files[1]), -ENOENT);
    for (int i = 0; i < 5; i++)
        file_unref(files[i]);
}

END_TEST

START_TEST(held_descriptors_stay_and_may_exceed_the_limit)
{
    struct file *files[10];
    int fds[10];
    int before = count_descriptors();
    for (int i = 0; i < 10; i++) {
        char name[2] = {(char)('a' + i), '\0'};
        files[i] = open_spool(name, true);
        fds[i] = file_acquire(files[i]);
    }
    ck_assert_int_eq(count_descriptors(), before + 10);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(file_acquire(files[i]), fds[i]);
        file_release(files[i]);
        file_release(files[i]);
    }
    ck_assert_int_eq(count_descriptors(), before + 4);
    for (int i = 0; i < 10; i++)
        file_unref(files[i]);
}

END_TEST

START_TEST(a_failed_sync_is_never_forgotten)
{
    struct file *file = open_spool("a", true);
    write_through(file, "x");
    fsync_failures = 1;
    ck_assert_int_eq(file_sync(file), -EIO);
    ck_assert_int_eq(file_error(file), -EIO);
    ck_assert_int_eq(file_sync(file), -EIO);
    write_through(file, "y");
    ck_assert_int_eq(file_sync(file), -EIO);
    file_unref(file);
}

END_TEST

START_TEST(a_sync_that_fails_while_another_file_is_opened_is_latched)
{
    struct file *files[5];
    const char *names[] = {"a", "b", "c", "d", "e"};
    files[0] = open_spool("a", true);
    write_through(files[0], "x");
    fsync_failures = 1;
    for (int i = 1; i < 5; i++)
        files[i] = open_spool(names[i], true);
    ck_assert_int_eq(file_error(files[0]), -EIO);
    ck_assert_int_eq(file_sync(files[0]), -EIO);
    ck_assert_int_eq(file_sync(files[4]), 0);
    for (int i = 0; i < 5; i++)
        file_unref(files[i]);
}

END_TEST

START_TEST(the_first_latched_error_stays)
{
    struct file *file = open_spool("a", true);
    ck_assert_int_eq(file_error(file), 0);
    file_latch(file, ENOSPC);
    file_latch(file, EIO);
    ck_assert_int_eq(file_error(file), -ENOSPC);
    ck_assert_int_eq(file_sync(file), -EIO);
    file_unref(file);
}

END_TEST

START_TEST(a_file_to_be_unlinked_goes_with_its_last_reference)
{
    struct file *file = open_spool("a", true);
    file_ref(file);
    file_unlink_on_last(file);
    file_unref(file);
    ck_assert_int_eq(scratch_count(&scratch), 1);
    write_through(file, "x");
    file_unref(file);
    ck_assert_int_eq(scratch_count(&scratch), 0);
    ck_assert_int_eq(fsync_count, 0); /* nobody will read it */
}

END_TEST

START_TEST(a_file_may_outlive_its_pool)
{
    int before = count_descriptors();
    int dirfd = fcntl(scratch.fd, F_DUPFD_CLOEXEC, 0);
    struct file_pool *short_lived = NULL;
    struct file *file = NULL;
    ck_assert_int_eq(file_pool_new(dirfd, 1, &short_lived), 0);
    ck_assert_int_eq(file_pool_open(short_lived, "a", true, &file, NULL), 0);
    file_pool_free(short_lived);
    close(dirfd);
    write_through(file, "x");
    file_unlink_on_last(file);
    file_unref(file);
    ck_assert_int_eq(scratch_count(&scratch), 0);
    ck_assert_int_eq(count_descriptors(), before);
}

END_TEST

/* --- many threads --- */

#define SHARED 12

static struct file *shared[SHARED];

static void *use_shared_files(void *seed)
{
    unsigned state = (unsigned)(uintptr_t)seed;
    for (int i = 0; i < 400; i++) {
        struct file *file = file_ref(shared[rand_r(&state) % SHARED]);
        int fd = file_acquire(file);
        ck_assert_int_ge(fd, 0);
        uint64_t byte = (uint64_t)(rand_r(&state) % 64);
        ck_assert_int_eq(io_write_at(fd, file_name(file), 1, byte), 0);
        file_mark_dirty(file);
        file_release(file);
        if (i % 16 == 0)
            ck_assert_int_eq(file_sync(file), 0);
        file_unref(file);
    }
    return NULL;
}

START_TEST(threads_share_a_pool)
{
    int before = count_descriptors();
    for (int i = 0; i < SHARED; i++) {
        char name[2] = {(char)('a' + i), '\0'};
        shared[i] = open_spool(name, true);
        if (i % 2)
            file_unlink_on_last(shared[i]);
    }
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, use_shared_files, (void *)i), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_le(count_descriptors(), before + 4);
    for (int i = 0; i < SHARED; i++)
        file_unref(shared[i]);
    ck_assert_int_eq(count_descriptors(), before);
    ck_assert_int_eq(scratch_count(&scratch), SHARED / 2);
}

END_TEST

static void *sync_file(void *file)
{
    ck_assert_int_eq(file_sync(file), 0);
    return NULL;
}

static void *let_fsync_end(void *context)
{
    usleep(100000);
    fsync_is_held = false;
    return context;
}

START_TEST(who_syncs_a_file_that_is_being_synced_waits_for_it)
{
    struct file *file = open_spool("a", true);
    write_through(file, "x");
    fsync_is_held = true;
    pthread_t thread;
    pthread_t later;
    ck_assert_int_eq(pthread_create(&thread, NULL, sync_file, file), 0);
    while (atomic_load(&fsync_count) == 0)
        usleep(1000);
    ck_assert_int_eq(pthread_create(&later, NULL, let_fsync_end, NULL), 0);
    ck_assert_int_eq(file_sync(file), 0);
    ck_assert_int_eq(fsync_finished, 1);
    pthread_join(thread, NULL);
    pthread_join(later, NULL);
    file_unref(file);
}

END_TEST

START_TEST(a_slow_sync_keeps_nobody_from_other_files)
{
    struct file *file = open_spool("a", true);
    struct file *other = open_spool("b", true);
    write_through(file, "x");
    fsync_is_held = true;
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, sync_file, file), 0);
    while (atomic_load(&fsync_count) == 0)
        usleep(1000);
    write_through(other, "y");
    ck_assert_int_eq(fsync_finished, 0);
    fsync_is_held = false;
    pthread_join(thread, NULL);
    file_unref(file);
    file_unref(other);
}

END_TEST

static void *create_and_drop(void *prefix)
{
    for (int i = 0; i < 100; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s%d", (const char *)prefix, i);
        struct file *file = open_spool(name, true);
        write_through(file, name);
        file_unlink_on_last(file);
        file_unref(file);
    }
    return NULL;
}

START_TEST(threads_create_and_drop_files_at_once)
{
    pthread_t threads[3];
    char prefixes[3][2] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, create_and_drop, prefixes[i]), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(scratch_count(&scratch), 0);
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        only_a_regular_file_is_opened,
        a_symlink_is_followed_unless_told_not_to,
        a_refused_descriptor_is_closed,
        the_last_reference_closes_the_descriptor,
        a_change_in_place_is_noticed,
        what_leaves_the_bytes_alone_is_no_change,
        a_new_spool_file_is_empty_and_private,
        creating_and_expecting_are_different,
        fifty_files_share_four_descriptors,
        a_written_descriptor_is_synced_before_it_is_closed,
        the_last_reference_syncs_what_was_written,
        the_descriptor_longest_unused_goes_first,
        held_descriptors_stay_and_may_exceed_the_limit,
        a_failed_sync_is_never_forgotten,
        a_sync_that_fails_while_another_file_is_opened_is_latched,
        the_first_latched_error_stays,
        a_file_to_be_unlinked_goes_with_its_last_reference,
        a_file_may_outlive_its_pool,
        threads_share_a_pool,
        threads_create_and_drop_files_at_once,
        who_syncs_a_file_that_is_being_synced_waits_for_it,
        a_slow_sync_keeps_nobody_from_other_files,
    };
    return RUN_TESTS_WITH("file", tests, setup, teardown);
}
