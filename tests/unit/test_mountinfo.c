/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mountinfo.h"
#include "unit/scratch.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

START_TEST(the_root_covers_everything)
{
    auto_mountinfo mount = MOUNTINFO_NONE;
    ck_assert_int_eq(mountinfo_find("/no-such-directory/below", false, &mount), 0);
    ck_assert_str_eq(mount.point, "/");
}

END_TEST

START_TEST(the_deepest_mount_wins)
{
    struct stat st;
    auto_mountinfo mount = MOUNTINFO_NONE;
    ck_assert_int_eq(stat("/proc/self", &st), 0);
    ck_assert_int_eq(mountinfo_find("/proc/self", false, &mount), 0);
    ck_assert_str_eq(mount.point, "/proc");
    ck_assert_str_eq(mount.type, "proc");
    ck_assert_uint_eq(mount.major, major(st.st_dev));
    ck_assert_uint_eq(mount.minor, minor(st.st_dev));
}

END_TEST

START_TEST(an_exact_search_finds_mount_points_only)
{
    auto_mountinfo mount = MOUNTINFO_NONE;
    ck_assert_int_eq(mountinfo_find("/proc/self", true, &mount), -ENOENT);
    ck_assert_int_eq(mountinfo_find("/proc", true, &mount), 0);
    ck_assert_int_eq(mountinfo_find("/pro", true, &mount), -ENOENT);
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        the_root_covers_everything,
        the_deepest_mount_wins,
        an_exact_search_finds_mount_points_only,
    };
    return RUN_TESTS("mountinfo", tests);
}
