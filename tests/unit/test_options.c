/* SPDX-License-Identifier: Apache-2.0 */
#include "mount/mount.h"
#include "unit/scratch.h"

static struct mount_options parse(const char *list)
{
    struct mount_options options = {0};
    struct wfs_error err = {0};
    int r = mount_options_parse(list, &options, &err);
    ck_assert_msg(r == 0, "'%s': %s", list, err.text);
    return options;
}

static void ck_assert_refused(const char *list, const char *named)
{
    struct mount_options options = {0};
    struct wfs_error err = {0};
    ck_assert_int_eq(mount_options_parse(list, &options, &err), -EOPNOTSUPP);
    ck_assert_int_eq(err.code, WFS_CODE_USAGE);
    ck_assert_msg(strstr(err.text, named), "'%s' does not name %s", err.text, named);
    mount_options_clear(&options);
}

START_TEST(switches_and_values_are_set)
{
    struct mount_options options =
        parse("ro,create,follow,replace_link,discard_staging,rebase,accept_unsynced,"
              "drop_behind,debug,tolerate=stsw,max_threads=3,"
              "staging_mode=0770,staging=/s,output=o.safetensors");
    ck_assert(options.read_only && options.create && options.follow && options.replace_link);
    ck_assert(options.discard_staging && options.rebase && options.accept_unsynced && options.drop_behind &&
              options.debug && options.tolerate_stsw);
    ck_assert_uint_eq(options.max_threads, 3);
    ck_assert_uint_eq(options.staging_mode, 0770);
    ck_assert_str_eq(options.staging, "/s");
    ck_assert_str_eq(options.output, "o.safetensors");
    ck_assert_ptr_null(options.fuse_options);
    mount_options_clear(&options);
}

END_TEST

START_TEST(what_mount_and_fstab_say_to_all_means_nothing)
{
    struct mount_options options =
        parse("rw,defaults,_netdev,noauto,user,user=me,nofail,relatime,x-systemd.automount,"
              "comment=a b,nonempty,,subtype=other,max_read=4096");
    ck_assert(!options.read_only);
    ck_assert_ptr_null(options.fuse_options);
    mount_options_clear(&options);
}

END_TEST

START_TEST(options_of_fuse_are_handed_on)
{
    struct mount_options options = parse("allow_other,ro,nosuid,fsname=here,noatime");
    ck_assert_str_eq(options.fuse_options, "allow_other,nosuid,fsname=here,noatime");
    ck_assert(options.read_only);
    mount_options_clear(&options);
}

END_TEST

START_TEST(an_escaped_comma_is_part_of_a_value)
{
    struct mount_options options = parse("staging=/a\\,b\\\\c,fsname=x\\,y\\\\,ro");
    ck_assert_str_eq(options.staging, "/a,b\\c");
    ck_assert_str_eq(options.fuse_options, "fsname=x\\,y\\\\");
    ck_assert(options.read_only);
    mount_options_clear(&options);
}

END_TEST

START_TEST(a_list_of_nothing_but_escapes_fits)
{
    struct mount_options options = parse("fsname=\\,\\,\\,\\,\\,\\,\\\\\\\\");
    ck_assert_str_eq(options.fuse_options, "fsname=\\,\\,\\,\\,\\,\\,\\\\\\\\");
    mount_options_clear(&options);
}

END_TEST

START_TEST(unknown_options_are_named)
{
    ck_assert_refused("ro,bogus", "'bogus'");
    ck_assert_refused("bogus=1", "'bogus=1'");
    ck_assert_refused("ro=1", "'ro=1'");
    ck_assert_refused("staging=", "'staging='");
    ck_assert_refused("a\033b", "a\\");
}

END_TEST

START_TEST(values_out_of_range_are_refused)
{
    ck_assert_refused("max_threads=0", "max_threads");
    ck_assert_refused("max_threads=65", "max_threads");
    ck_assert_refused("max_threads=-1", "max_threads");
    ck_assert_refused("max_threads=1x", "max_threads");
    ck_assert_refused("max_threads=", "max_threads");
    ck_assert_refused("staging_mode=1000", "staging_mode");
    ck_assert_refused("staging_mode=9", "staging_mode");
    ck_assert_refused("tolerate=all", "tolerate");
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        switches_and_values_are_set,        what_mount_and_fstab_say_to_all_means_nothing,
        options_of_fuse_are_handed_on,      an_escaped_comma_is_part_of_a_value,
        a_list_of_nothing_but_escapes_fits, unknown_options_are_named,
        values_out_of_range_are_refused,
    };
    return RUN_TESTS("options", tests);
}
