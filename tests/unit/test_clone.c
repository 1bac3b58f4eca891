/* SPDX-License-Identifier: Apache-2.0
 *
 * WEIGHTFS_CLONE_DIR names a directory on a file system that shares blocks (XFS, btrfs); without it those
 * claims are tested on what can be seen elsewhere.
 */
#include "base/clone.h"
#include "base/io.h"
#include "unit/scratch.h"

#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>

#define KIB 1024u
#define MIB (1024u * KIB)

static struct scratch scratch;
static int refuse_kernel_copy; /* what copy_file_range() answers instead of copying */

static bool on_server; /* whether files are on a server, which copies within itself */

/* Stand in for the C library's: what some file systems say. */
int fstatfs(int fd, struct statfs *fs)
{
    (void)fd;
    memset(fs, 0, sizeof(*fs));
    fs->f_type = on_server ? NFS_SUPER_MAGIC : EXT4_SUPER_MAGIC;
    return 0;
}

ssize_t copy_file_range(int from, off_t *from_offset, int to, off_t *to_offset, size_t length, unsigned flags)
{
    (void)flags;
    if (refuse_kernel_copy) {
        errno = refuse_kernel_copy;
        return -1;
    }
    char buffer[5000]; /* short counts */
    size_t step = length < sizeof buffer ? length : sizeof buffer;
    ssize_t count = pread(from, buffer, step, *from_offset);
    if (count <= 0)
        return count;
    count = pwrite(to, buffer, (size_t)count, *to_offset);
    *from_offset += count;
    *to_offset += count;
    return count;
}

static void setup(void)
{
    refuse_kernel_copy = 0;
    on_server = true;
    scratch = scratch_open();
}

static void teardown(void)
{
    scratch_close(&scratch);
}

static int source_of(size_t length)
{
    int fd = scratch_open_file(&scratch, "source");
    char *bytes = malloc(length);
    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < length; i++)
        bytes[i] = (char)(i * 7 + i / 251);
    ck_assert_int_eq(io_write_at(fd, bytes, length, 0), 0);
    free(bytes);
    return fd;
}

static void assert_same(int a, uint64_t a_offset, int b, uint64_t b_offset, size_t length)
{
    char *left = malloc(length + 1);
    char *right = malloc(length + 1);
    ck_assert_int_eq(io_read_at(a, left, length, a_offset), 0);
    ck_assert_int_eq(io_read_at(b, right, length, b_offset), 0);
    ck_assert_mem_eq(left, right, length);
    free(left);
    free(right);
}

static void assert_copies(int from, uint64_t from_offset, uint64_t to_offset, size_t length)
{
    int to = scratch_open_file(&scratch, "target");
    ck_assert_int_eq(ftruncate(to, 0), 0);
    struct clone_cost cost = {0, 0};
    ck_assert_int_eq(clone_range(from, from_offset, to, to_offset, length, NULL, NULL, &cost), 0);
    ck_assert_uint_eq(cost.cloned + cost.copied, length);
    struct stat st;
    ck_assert_int_eq(fstat(to, &st), 0);
    ck_assert_uint_eq((uint64_t)st.st_size, length ? to_offset + length : 0);
    assert_same(from, from_offset, to, to_offset, length);
    close(to);
}

static void assert_copies_all_sorts(void)
{
    static const struct {
        uint64_t from;
        uint64_t to;
        size_t length;
    } ranges[] = {
        {0,    0,    0     },
        {0,    0,    1     },
        {0,    0,    4096  },
        {0,    4096, 8192  },
        {100,  100,  3996  },
        {100,  4196, 20000 },
        {100,  100,  8092  },
        {4095, 8191, 4098  },
        {1,    0,    100000},
        {0,    3,    300000},
    };

    int from = source_of(300000);
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        assert_copies(from, ranges[i].from, ranges[i].to, ranges[i].length);
    close(from);
}

START_TEST(every_range_arrives_whole)
{
    assert_copies_all_sorts();
}

END_TEST

START_TEST(every_range_arrives_where_the_kernel_cannot_copy)
{
    static const int refusals[] = {EXDEV, EOPNOTSUPP, ENOSYS, EINVAL};
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        refuse_kernel_copy = refusals[i];
        assert_copies_all_sorts();
    }
}

END_TEST

START_TEST(every_range_arrives_on_a_local_disk_without_being_copied_in_the_kernel)
{
    on_server = false;
    refuse_kernel_copy = EIO;
    assert_copies_all_sorts();
}

END_TEST

START_TEST(a_full_disk_is_not_tried_again)
{
    refuse_kernel_copy = ENOSPC;
    int from = source_of(10000);
    int to = scratch_open_file(&scratch, "target");
    ck_assert_int_eq(clone_range(from, 1, to, 0, 5000, NULL, NULL, NULL), -ENOSPC);
    close(from);
    close(to);
}

END_TEST

START_TEST(a_source_that_ends_too_early_is_no_data)
{
    int from = source_of(10000);
    int to = scratch_open_file(&scratch, "target");
    ck_assert_int_eq(clone_range(from, 1, to, 0, 10000, NULL, NULL, NULL), -ENODATA);
    ck_assert_int_eq(clone_range(from, 0, to, 0, 100000, NULL, NULL, NULL), -ENODATA);
    refuse_kernel_copy = EXDEV;
    ck_assert_int_eq(clone_range(from, 1, to, 0, 10000, NULL, NULL, NULL), -ENODATA);
    close(from);
    close(to);
}

END_TEST

START_TEST(a_target_that_cannot_be_written_is_an_error)
{
    int from = source_of(10000);
    scratch_write(&scratch, "target", "", 0);
    int to = openat(scratch.fd, "target", O_RDONLY);
    ck_assert_int_lt(clone_range(from, 0, to, 0, 10000, NULL, NULL, NULL), 0);
    close(from);
    close(to);
}

END_TEST

struct watcher {
    uint64_t done;
    uint64_t largest;
    uint64_t stop_at;
};

static int watch(void *context, uint64_t done)
{
    struct watcher *watcher = context;
    watcher->done += done;
    if (done > watcher->largest)
        watcher->largest = done;
    return watcher->stop_at && watcher->done >= watcher->stop_at ? -ECANCELED : 0;
}

START_TEST(progress_adds_up_in_small_pieces)
{
    refuse_kernel_copy = EXDEV;
    int from = source_of(40 * MIB + 1);
    int to = scratch_open_file(&scratch, "target");
    struct watcher watcher = {0, 0, 0};
    ck_assert_int_eq(clone_range(from, 0, to, 1, 40 * MIB + 1, watch, &watcher, NULL), 0);
    ck_assert_uint_eq(watcher.done, 40 * MIB + 1);
    ck_assert_uint_le(watcher.largest, 16 * MIB);
    close(from);
    close(to);
}

END_TEST

START_TEST(progress_stops_the_copy_with_its_value)
{
    for (refuse_kernel_copy = 0; refuse_kernel_copy <= EXDEV; refuse_kernel_copy += EXDEV) {
        int from = source_of(40 * MIB);
        int to = scratch_open_file(&scratch, "target");
        struct watcher watcher = {0, 0, 10};
        struct clone_cost cost = {0, 0};
        ck_assert_int_eq(clone_range(from, 0, to, 1, 40 * MIB, watch, &watcher, &cost), -ECANCELED);
        ck_assert_uint_eq(watcher.done, cost.copied);
        ck_assert_uint_le(cost.copied, 16 * MIB);
        close(from);
        close(to);
    }
}

END_TEST

START_TEST(asking_whether_cloning_is_possible_leaves_the_target_empty)
{
    int from = source_of(10000);
    int to = scratch_open_file(&scratch, "target");
    clone_possible(from, to);
    struct stat st;
    ck_assert_int_eq(fstat(to, &st), 0);
    ck_assert_int_eq(st.st_size, 0);
    close(from);
    close(to);
}

END_TEST

START_TEST(what_must_be_shared_is_not_copied_instead)
{
    int from = source_of(20000);
    int to = scratch_open_file(&scratch, "target");
    bool possible = clone_possible(from, to);
    int r = clone_only(from, 4096, to, 10000);

    ck_assert_int_eq(r == 0, possible);
    if (possible)
        assert_same(from, 4096, to, 0, 10000);
    close(from);
    close(to);
}

END_TEST

START_TEST(where_blocks_can_be_shared_only_the_edges_are_copied)
{
    setenv("TMPDIR", getenv("WEIGHTFS_CLONE_DIR"), 1);
    struct scratch on_disk = scratch;
    scratch = scratch_open();
    int from = source_of(100000);
    int to = scratch_open_file(&scratch, "target");
    ck_assert(clone_possible(from, to));
    close(to);
    assert_copies_all_sorts();

    to = scratch_open_file(&scratch, "target");
    ck_assert_int_eq(clone_only(from, 8192, to, 50001), 0);
    assert_same(from, 8192, to, 0, 50001);
    struct stat st;
    ck_assert_int_eq(fstat(to, &st), 0);
    ck_assert_int_eq(st.st_size, 50001);
    close(to);

    to = scratch_open_file(&scratch, "target");
    struct clone_cost cost = {0, 0};
    ck_assert_int_eq(clone_range(from, 100, to, 4196, 99900, NULL, NULL, &cost), 0);
    ck_assert_uint_eq(cost.copied, 3996 + 100000 % 4096);
    ck_assert_uint_eq(cost.cloned, 99900 - cost.copied);
    cost = (struct clone_cost){0, 0};
    ck_assert_int_eq(clone_range(from, 100, to, 101, 99900, NULL, NULL, &cost), 0);
    ck_assert_uint_eq(cost.cloned, 0);
    close(from);
    close(to);
    scratch_close(&scratch);
    scratch = on_disk;
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        every_range_arrives_whole,
        every_range_arrives_where_the_kernel_cannot_copy,
        every_range_arrives_on_a_local_disk_without_being_copied_in_the_kernel,
        a_full_disk_is_not_tried_again,
        a_source_that_ends_too_early_is_no_data,
        a_target_that_cannot_be_written_is_an_error,
        progress_adds_up_in_small_pieces,
        progress_stops_the_copy_with_its_value,
        asking_whether_cloning_is_possible_leaves_the_target_empty,
        what_must_be_shared_is_not_copied_instead,
    };
    const TTest *const sharing_tests[] = {where_blocks_can_be_shared_only_the_edges_are_copied};
    int status = RUN_TESTS_WITH("clone", tests, setup, teardown);
    if (getenv("WEIGHTFS_CLONE_DIR"))
        status |= RUN_TESTS_WITH("clone on a file system that shares blocks", sharing_tests, setup, teardown);
    else
        puts("not tested: sharing blocks (WEIGHTFS_CLONE_DIR is not set)");
    return status;
}
