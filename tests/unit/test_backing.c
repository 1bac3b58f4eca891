/* SPDX-License-Identifier: Apache-2.0 */
#include "mount/backing.h"
#include "unit/scratch.h"

#include <linux/fuse.h>
#include <stdarg.h>
#include <sys/ioctl.h>

#define FUSE_FD 1000
#define KEPT    2

#ifdef FUSE_DEV_IOC_BACKING_OPEN
#define HAS_HEADERS true
#else
#define HAS_HEADERS false /* they are older than Linux 6.9 */
#endif

static bool known[100]; /* ids that the kernel has */
static int made;

/* Stands in for the C library's, and for the kernel. */
int ioctl(int fd, unsigned long request, ...)
{
    va_list arguments;
    va_start(arguments, request);
    const void *argument = va_arg(arguments, const void *);
    va_end(arguments);
    ck_assert_int_eq(fd, FUSE_FD);
#ifdef FUSE_DEV_IOC_BACKING_OPEN
    if (request == FUSE_DEV_IOC_BACKING_OPEN) {
        if (((const struct fuse_backing_map *)argument)->fd < 0) {
            errno = EPERM;
            return -1;
        }
        known[++made] = true;
        return made;
    }
    ck_assert(request == FUSE_DEV_IOC_BACKING_CLOSE);
    ck_assert(known[*(const uint32_t *)argument]);
    known[*(const uint32_t *)argument] = false;
#endif
    (void)argument;
    return 0;
}

static bool is_even(void *context, uint64_t number)
{
    (void)context;
    return number % 2 == 0;
}

static const struct backing_judge even = {is_even, NULL};

static struct backing_table *new_table(void)
{
    struct backing_table *table = NULL;
    ck_assert_int_eq(backing_table_new(KEPT, &table), 0);
    backing_attach(table, FUSE_FD);
    memset(known, 0, sizeof(known));
    made = 0;
    return table;
}

/* Opens, and decides when it is the first. */
static int open_one(struct backing_table *table, uint64_t number)
{
    struct backing *backing = backing_open(table, number);
    ck_assert_ptr_nonnull(backing);
    if (!backing->is_decided)
        backing->id = backing_make(table, 1);
    backing->is_decided = true;
    backing_keep(table, backing, &even);
    backing_used(table, backing);
    return backing->id;
}

static void open_and_close(struct backing_table *table, uint64_t number)
{
    open_one(table, number);
    backing_close(table, number);
}

START_TEST(all_opens_of_an_inode_have_one_backing_file_until_the_last_close)
{
    struct backing_table *table = new_table();
    ck_assert_int_eq(open_one(table, 7), 1);
    ck_assert_int_eq(open_one(table, 7), 1);
    ck_assert_int_eq(open_one(table, 9), 2);
    backing_close(table, 7);
    ck_assert(known[1]);
    ck_assert_int_eq(open_one(table, 7), 1);
    backing_close(table, 7);
    backing_close(table, 7);
    ck_assert(!known[1] && known[2]);
    ck_assert_int_eq(open_one(table, 7), 3);
    backing_table_free(table);
    ck_assert(!known[2] && !known[3]);
}

END_TEST

START_TEST(what_is_wanted_is_kept_and_the_least_used_goes_first)
{
    struct backing_table *table = new_table();
    open_and_close(table, 2);                /* 1 */
    open_and_close(table, 4);                /* 2 */
    ck_assert_int_eq(open_one(table, 2), 1); /* used again */
    backing_close(table, 2);
    open_and_close(table, 5); /* 3: not wanted */
    ck_assert(known[1] && known[2] && !known[3]);
    open_and_close(table, 6); /* 4: one too many */
    ck_assert(known[1] && !known[2] && known[4]);
    backing_table_free(table);
    ck_assert(!known[1] && !known[4]);
}

END_TEST

static bool is_two(void *context, uint64_t number)
{
    (void)context;
    return number == 2;
}

START_TEST(what_is_not_wanted_any_more_goes_when_it_is_closed)
{
    const struct backing_judge two = {is_two, NULL};
    struct backing_table *table = new_table();
    open_and_close(table, 2);
    open_one(table, 4);
    backing_sift(table, &two);
    ck_assert(known[1] && known[2]);
    backing_close(table, 4);
    ck_assert(known[1] && !known[2]);
    backing_table_free(table);
}

END_TEST

START_TEST(a_refusal_is_an_errno)
{
    struct backing_table *table = new_table();
    ck_assert_int_eq(backing_make(table, -1), -EPERM);
    backing_table_free(table);
}

END_TEST

START_TEST(without_a_mount_the_kernel_is_told_nothing)
{
    struct backing_table *table = new_table();
    open_one(table, 2);
    backing_attach(table, -1);
    ck_assert_int_eq(backing_make(table, 1), -ENOTCONN);
    backing_close(table, 2);
    backing_table_free(table);
}

END_TEST

int main(void)
{
    const TTest *const kernel[] = {
        all_opens_of_an_inode_have_one_backing_file_until_the_last_close,
        what_is_wanted_is_kept_and_the_least_used_goes_first,
        what_is_not_wanted_any_more_goes_when_it_is_closed,
        a_refusal_is_an_errno,
    };
    const TTest *const always[] = {without_a_mount_the_kernel_is_told_nothing};

    int status = RUN_TESTS("backing without a kernel", always);
    if (HAS_HEADERS)
        status |= RUN_TESTS("backing", kernel);
    else
        puts("not tested: ids (the kernel's headers do not know passthrough)");
    return status;
}
