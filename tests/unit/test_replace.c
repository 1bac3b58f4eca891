/* SPDX-License-Identifier: Apache-2.0 */
#include "base/io.h"
#include "base/replace.h"
#include "unit/scratch.h"

#include <stdarg.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

static struct scratch scratch;

/* What the file system under test does not have, or does wrong. */
static struct {
    bool tmpfile;
    bool empty_path;
    bool noreplace;
    int rename; /* errno of a rename onto "model" */
    int fsync;
} broken;

int openat(int dirfd, const char *name, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    unsigned mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, unsigned) : 0;
    va_end(arguments);
    if (broken.tmpfile && (flags & O_TMPFILE) == O_TMPFILE) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return (int)syscall(SYS_openat, dirfd, name, flags, mode);
}

int linkat(int from_dirfd, const char *from, int to_dirfd, const char *to, int flags)
{
    if (broken.empty_path && (flags & AT_EMPTY_PATH)) {
        errno = ENOENT;
        return -1;
    }
    return (int)syscall(SYS_linkat, from_dirfd, from, to_dirfd, to, flags);
}

int renameat(int from_dirfd, const char *from, int to_dirfd, const char *to)
{
    if (broken.rename && strcmp(to, "model") == 0) {
        errno = broken.rename;
        return -1;
    }
    return (int)syscall(SYS_renameat2, from_dirfd, from, to_dirfd, to, 0);
}

int renameat2(int from_dirfd, const char *from, int to_dirfd, const char *to, unsigned flags)
{
    if (broken.noreplace && (flags & RENAME_NOREPLACE)) {
        errno = EINVAL;
        return -1;
    }
    return (int)syscall(SYS_renameat2, from_dirfd, from, to_dirfd, to, flags);
}

int fsync(int fd)
{
    if (broken.fsync) {
        errno = broken.fsync;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

static void setup(void)
{
    memset(&broken, 0, sizeof broken);
    umask(022);
    scratch = scratch_open();
}

static void teardown(void)
{
    scratch_close(&scratch);
}

static const struct replace_options anew = {.keep_fd = -1};
static const struct replace_options exclusive = {.keep_fd = -1, .exclusive = true};
static const struct replace_options with_backup = {.keep_fd = -1, .backup_suffix = "~"};

/* A replacement that holds `text`, ready for replace_sync(). */
static struct replace *begin(const char *name, const struct replace_options *options, const char *text)
{
    struct replace *replace = NULL;
    struct wfs_error err = {0};
    ck_assert_msg(replace_begin(scratch.fd, name, options, &replace, &err) == 0, "%s", err.text);
    ck_assert_int_eq(io_write_at(replace_fd(replace), text, strlen(text), 0), 0);
    return replace;
}

static int finish(struct replace *replace, struct wfs_error *err)
{
    int r = replace_sync(replace, err);
    if (r == 0)
        r = replace_commit(replace, err);
    replace_free(replace);
    return r;
}

static int put(const char *name, const struct replace_options *options, const char *text)
{
    return finish(begin(name, options, text), NULL);
}

static void assert_holds(const char *name, const char *text)
{
    ck_assert_msg(scratch_holds(&scratch, name, text, strlen(text)), "%s does not hold %s", name, text);
}

/* The name of the only file, a hidden one. */
static void only_name(char name[256])
{
    DIR *directory = opendir(scratch.path);
    ck_assert_ptr_nonnull(directory);
    for (struct dirent *entry; (entry = readdir(directory));)
        if (strlen(entry->d_name) > 2)
            strcpy(name, entry->d_name);
    closedir(directory);
    ck_assert_int_eq(scratch_count(&scratch), 1);
}

static struct stat stat_of(const char *name)
{
    struct stat st;
    ck_assert_int_eq(fstatat(scratch.fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
    return st;
}

/* Runs a test on a file system with O_TMPFILE, one where a nameless file is only linked through /proc, and
 * one with neither. */
static void choose(int kind)
{
    broken.empty_path = kind == 1;
    broken.tmpfile = kind == 2;
    broken.noreplace = kind == 3;
    broken.tmpfile |= kind == 3;
}

#define KINDS 4

START_TEST(a_file_is_replaced_whole)
{
    choose(_i);
    scratch_write(&scratch, "model", "old", 3);
    struct replace *replace = begin("model", &anew, "the new one");
    assert_holds("model", "old");
    ck_assert_int_eq(finish(replace, NULL), 0);
    assert_holds("model", "the new one");
    ck_assert_int_eq(scratch_count(&scratch), 1);
}

END_TEST

START_TEST(a_file_that_was_not_there_is_created)
{
    choose(_i);
    ck_assert_int_eq(put("a", &anew, "1"), 0);
    ck_assert_int_eq(put("b", &exclusive, "2"), 0);
    assert_holds("a", "1");
    assert_holds("b", "2");
    ck_assert_int_eq(scratch_count(&scratch), 2);
}

END_TEST

START_TEST(an_exclusive_target_is_never_overwritten)
{
    choose(_i);
    struct wfs_error err = {0};
    struct replace *replace = begin("model", &exclusive, "new");
    scratch_write(&scratch, "model", "old", 3);
    ck_assert_int_eq(finish(replace, &err), -EEXIST);
    ck_assert_int_eq(err.code, WFS_CODE_TARGET_EXISTS);
    ck_assert_str_eq(err.text, "model: exists already, expected no file of that name");
    assert_holds("model", "old");
    ck_assert_int_eq(scratch_count(&scratch), 1);
}

END_TEST

START_TEST(giving_up_leaves_nothing_behind)
{
    choose(_i);
    scratch_write(&scratch, "model", "old", 3);
    struct replace *replace = begin("model", &anew, "new");
    replace_free(replace);
    replace = begin("model", &anew, "new");
    ck_assert_int_eq(replace_sync(replace, NULL), 0);
    replace_free(replace);
    assert_holds("model", "old");
    ck_assert_int_eq(scratch_count(&scratch), 1);
    replace_free(NULL);
}

END_TEST

START_TEST(a_failed_rename_changes_nothing)
{
    choose(_i);
    scratch_write(&scratch, "model", "old", 3);
    broken.rename = EPERM;
    struct wfs_error err = {0};
    ck_assert_int_eq(finish(begin("model", &with_backup, "new"), &err), -EPERM);
    ck_assert_str_eq(err.text, "model: cannot be replaced: Operation not permitted");
    assert_holds("model", "old");
    ck_assert_int_eq(scratch_count(&scratch), 1);
}

END_TEST

START_TEST(a_failed_sync_condemns_the_file)
{
    choose(_i);
    scratch_write(&scratch, "model", "old", 3);
    struct wfs_error err = {0};
    struct replace *replace = begin("model", &anew, "new");
    broken.fsync = EIO;
    ck_assert_int_eq(replace_sync(replace, &err), -EIO);
    ck_assert_str_eq(err.text, "model: cannot sync the new file: Input/output error");
    broken.fsync = 0;
    ck_assert_int_lt(replace_sync(replace, NULL), 0);
    ck_assert_int_lt(replace_commit(replace, NULL), 0);
    replace_free(replace);
    assert_holds("model", "old");
    ck_assert_int_eq(scratch_count(&scratch), 1);
}

END_TEST

START_TEST(a_file_that_was_not_synced_is_not_published)
{
    scratch_write(&scratch, "model", "old", 3);
    struct replace *replace = begin("model", &anew, "new");
    ck_assert_int_lt(replace_commit(replace, NULL), 0);
    replace_free(replace);
    assert_holds("model", "old");
}

END_TEST

START_TEST(a_directory_that_cannot_be_synced_is_told_after_the_replacement)
{
    choose(_i);
    scratch_write(&scratch, "model", "old", 3);
    struct wfs_error err = {0};
    struct replace *replace = begin("model", &anew, "new");
    ck_assert_int_eq(replace_sync(replace, &err), 0);
    broken.fsync = EIO;
    ck_assert_int_eq(replace_commit(replace, &err), 1);
    replace_free(replace);
    ck_assert_int_eq(err.errnum, EIO);
    ck_assert_ptr_nonnull(strstr(err.text, "was replaced"));
    assert_holds("model", "new");
    ck_assert_int_eq(scratch_count(&scratch), 1);
}

END_TEST

START_TEST(a_new_file_gets_the_mode_that_open_would_give_it)
{
    choose(_i);
    umask(027);
    ck_assert_int_eq(put("a", &anew, "1"), 0);
    ck_assert_int_eq(stat_of("a").st_mode & 07777, 0640);
    umask(0);
    ck_assert_int_eq(put("b", &exclusive, "1"), 0);
    ck_assert_int_eq(stat_of("b").st_mode & 07777, 0666);
}

END_TEST

START_TEST(the_old_files_mode_and_attributes_are_kept)
{
    choose(_i);
    scratch_write(&scratch, "model", "old", 3);
    int fd = openat(scratch.fd, "model", O_RDONLY);
    ck_assert_int_eq(fchmod(fd, 0604), 0);
    ck_assert_int_eq(fsetxattr(fd, "user.note", "x\0y", 3, 0), 0);
    ck_assert_int_eq(fsetxattr(fd, "user.empty", "", 0, 0), 0);
    struct stat st = stat_of("model");
    const struct replace_options keeping = {.keep = &st, .keep_fd = fd};
    ck_assert_int_eq(put("model", &keeping, "new"), 0);
    close(fd);
    assert_holds("model", "new");
    ck_assert_int_eq(stat_of("model").st_mode & 07777, 0604);
    fd = openat(scratch.fd, "model", O_RDONLY);
    char value[8];
    ck_assert_int_eq(fgetxattr(fd, "user.note", value, sizeof value), 3);
    ck_assert_mem_eq(value, "x\0y", 3);
    ck_assert_int_eq(fgetxattr(fd, "user.empty", value, sizeof value), 0);
    close(fd);
}

END_TEST

START_TEST(while_it_is_written_the_new_file_is_nobody_elses)
{
    broken.tmpfile = true;
    scratch_write(&scratch, "model", "old", 3);
    struct stat st = stat_of("model");
    const struct replace_options keeping = {.keep = &st, .keep_fd = -1};
    struct replace *replace = begin("model", &keeping, "new");
    ck_assert_int_eq(scratch_count(&scratch), 2);
    ck_assert_int_eq(fstat(replace_fd(replace), &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0600);
    replace_free(replace);
}

END_TEST

/* "system.posix_acl_*": user::rw-, user:12345:r--, group::r--, mask::r--, other::--- */
static const unsigned char acl[] = {
    2,    0, 0, 0,                         /* version */
    0x01, 0, 6, 0, 0xff, 0xff, 0xff, 0xff, /* owner */
    0x02, 0, 4, 0, 0x39, 0x30, 0,    0,    /* user 12345 */
    0x04, 0, 4, 0, 0xff, 0xff, 0xff, 0xff, /* group */
    0x10, 0, 4, 0, 0xff, 0xff, 0xff, 0xff, /* mask */
    0x20, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, /* other */
};

START_TEST(the_old_files_acl_is_kept)
{
    scratch_write(&scratch, "model", "old", 3);
    int fd = openat(scratch.fd, "model", O_RDONLY);
    if (fsetxattr(fd, "system.posix_acl_access", acl, sizeof acl, 0) == 0) {
        struct stat st = stat_of("model");
        const struct replace_options keeping = {.keep = &st, .keep_fd = fd};
        ck_assert_int_eq(put("model", &keeping, "new"), 0);
        int new_fd = openat(scratch.fd, "model", O_RDONLY);
        char value[sizeof acl + 1];
        ck_assert_int_eq(fgetxattr(new_fd, "system.posix_acl_access", value, sizeof value), sizeof acl);
        ck_assert_mem_eq(value, acl, sizeof acl);
        close(new_fd);
    } else {
        ck_assert_int_eq(errno, EOPNOTSUPP);
        puts("not tested: ACLs (the file system has none)");
    }
    close(fd);
}

END_TEST

START_TEST(the_directorys_default_acl_lets_nobody_into_a_kept_file)
{
    scratch_write(&scratch, "model", "old", 3);
    if (fsetxattr(scratch.fd, "system.posix_acl_default", acl, sizeof acl, 0) == 0) {
        struct stat st = stat_of("model");
        const struct replace_options keeping = {.keep = &st, .keep_fd = -1};
        ck_assert_int_eq(put("model", &keeping, "new"), 0);
        int fd = openat(scratch.fd, "model", O_RDONLY);
        ck_assert_int_eq(fgetxattr(fd, "system.posix_acl_access", NULL, 0), -1);
        ck_assert_int_eq(errno, ENODATA);
        ck_assert_int_eq(stat_of("model").st_mode & 07777, 0644);
        close(fd);
    } else {
        ck_assert_int_eq(errno, EOPNOTSUPP);
        puts("not tested: default ACLs (the file system has none)");
    }
}

END_TEST

START_TEST(an_owner_is_kept_or_the_file_refused)
{
    scratch_write(&scratch, "model", "old", 3);
    struct stat st = stat_of("model");
    st.st_uid = 4711;
    st.st_gid = 4712;
    st.st_mode |= S_ISUID;
    const struct replace_options keeping = {.keep = &st, .keep_fd = -1};
    struct wfs_error err = {0};
    int r = finish(begin("model", &keeping, "new"), &err);
    if (geteuid() == 0) {
        ck_assert_int_eq(r, 0);
        ck_assert_uint_eq(stat_of("model").st_uid, 4711);
        ck_assert_uint_eq(stat_of("model").st_gid, 4712);
        ck_assert(stat_of("model").st_mode & S_ISUID);
        ck_assert_int_eq(fchownat(scratch.fd, "", 4711, 4711, AT_EMPTY_PATH), 0);
        ck_assert_int_eq(seteuid(4711), 0);
        st.st_uid = 0;
        r = finish(begin("model", &keeping, "another"), &err);
        assert_holds("model", "new");
        ck_assert_int_eq(scratch_count(&scratch), 1);
        ck_assert_int_eq(seteuid(0), 0);
    }
    ck_assert_int_eq(r, -EPERM);
    ck_assert_int_eq(err.code, WFS_CODE_NOT_PERMITTED);
    ck_assert_ptr_nonnull(strstr(err.text, "model: cannot keep its owner and group"));
}

END_TEST

START_TEST(a_backup_is_the_old_file)
{
    choose(_i);
    scratch_write(&scratch, "model", "1", 1);
    ino_t inode = stat_of("model").st_ino;
    ck_assert_int_eq(put("model", &with_backup, "2"), 0);
    assert_holds("model", "2");
    assert_holds("model~", "1");
    ck_assert_uint_eq(stat_of("model~").st_ino, inode);
    ck_assert_int_eq(scratch_count(&scratch), 2);
    ck_assert_int_eq(put("model", &with_backup, "3"), 0);
    assert_holds("model", "3");
    assert_holds("model~", "2");
    ck_assert_int_eq(scratch_count(&scratch), 2);
}

END_TEST

START_TEST(a_backup_that_is_a_link_of_the_old_file_already_stays)
{
    scratch_write(&scratch, "model", "1", 1);
    ck_assert_int_eq(linkat(scratch.fd, "model", scratch.fd, "model~", 0), 0);
    ck_assert_int_eq(put("model", &with_backup, "2"), 0);
    assert_holds("model", "2");
    assert_holds("model~", "1");
    ck_assert_int_eq(scratch_count(&scratch), 2);
}

END_TEST

START_TEST(no_old_file_needs_no_backup)
{
    ck_assert_int_eq(put("model", &with_backup, "1"), 0);
    ck_assert_int_eq(scratch_count(&scratch), 1);
}

END_TEST

START_TEST(a_backup_that_cannot_be_made_changes_nothing)
{
    scratch_write(&scratch, "model", "1", 1);
    ck_assert_int_eq(mkdirat(scratch.fd, "model~", 0700), 0);
    ck_assert_int_lt(put("model", &with_backup, "2"), 0);
    assert_holds("model", "1");
    ck_assert_int_eq(scratch_count(&scratch), 2);
    ck_assert_int_eq(unlinkat(scratch.fd, "model~", AT_REMOVEDIR), 0);
}

END_TEST

START_TEST(the_longest_name_can_be_replaced)
{
    choose(_i);
    char name[256] = "";
    for (int i = 0; i < 85; i++)
        memcpy(name + 3 * i, "\xe6\xbc\xa2", 3);
    ck_assert_uint_eq(strlen(name), 255);
    scratch_write(&scratch, name, "1", 1);
    ck_assert_int_eq(put(name, &anew, "2"), 0);
    assert_holds(name, "2");
    ck_assert_int_eq(unlinkat(scratch.fd, name, 0), 0);
    ck_assert_int_eq(put(name, &exclusive, "3"), 0);
    assert_holds(name, "3");
    ck_assert_int_eq(scratch_count(&scratch), 1);
}

END_TEST

START_TEST(a_hidden_name_is_utf8_and_ends_in_random_digits)
{
    broken.tmpfile = true;
    for (int shift = 0; shift < 3; shift++) {
        char name[256] = "ab";
        for (int i = shift; i + 3 <= 255; i += 3)
            memcpy(name + i, "\xe6\xbc\xa2", 3);
        struct replace *replace = begin(name, &anew, "2");
        char hidden[256];
        only_name(hidden);
        size_t length = strlen(hidden);
        ck_assert_int_eq(hidden[0], '.');
        ck_assert_mem_eq(hidden + length - 26, ".weightfs-", 10);
        ck_assert_uint_eq(strspn(hidden + length - 16, "0123456789abcdef"), 16);
        ck_assert_uint_eq((length - 27 - (size_t)shift) % 3, 0);
        replace_free(replace);
    }
}

END_TEST

START_TEST(a_name_that_cannot_be_is_refused_at_once)
{
    struct replace *replace = NULL;
    char name[260];
    memset(name, 'n', sizeof name);
    name[256] = '\0';
    ck_assert_int_eq(replace_begin(scratch.fd, name, &anew, &replace, NULL), -ENAMETOOLONG);
    name[255] = '\0';
    ck_assert_int_eq(replace_begin(scratch.fd, name, &with_backup, &replace, NULL), -ENAMETOOLONG);
    ck_assert_int_eq(replace_begin(scratch.fd, "a/b", &anew, &replace, NULL), -EINVAL);
    ck_assert_int_eq(replace_begin(scratch.fd, "", &anew, &replace, NULL), -EINVAL);
    ck_assert_ptr_null(replace);
    ck_assert_int_eq(scratch_count(&scratch), 0);
}

END_TEST

START_TEST(a_symlink_is_replaced_not_followed)
{
    choose(_i);
    scratch_write(&scratch, "elsewhere", "1", 1);
    ck_assert_int_eq(symlinkat("elsewhere", scratch.fd, "model"), 0);
    ck_assert_int_eq(put("model", &anew, "2"), 0);
    assert_holds("elsewhere", "1");
    ck_assert(S_ISREG(stat_of("model").st_mode));
}

END_TEST

START_TEST(the_directory_may_be_moved_meanwhile)
{
    choose(_i);
    scratch_write(&scratch, "model", "1", 1);
    struct replace *replace = begin("model", &anew, "2");
    char moved[sizeof scratch.path + 8];
    snprintf(moved, sizeof moved, "%s-moved", scratch.path);
    ck_assert_int_eq(rename(scratch.path, moved), 0);
    ck_assert_int_eq(finish(replace, NULL), 0);
    assert_holds("model", "2");
    ck_assert_int_eq(rename(moved, scratch.path), 0);
}

END_TEST

START_TEST(the_callers_directory_descriptor_may_be_closed_meanwhile)
{
    int fd = fcntl(scratch.fd, F_DUPFD_CLOEXEC, 0);
    struct replace *replace = NULL;
    ck_assert_int_eq(replace_begin(fd, "model", &anew, &replace, NULL), 0);
    close(fd);
    ck_assert_int_eq(finish(replace, NULL), 0);
    assert_holds("model", "");
}

END_TEST

int main(void)
{
    const TTest *const each_kind[] = {
        a_file_is_replaced_whole,
        a_file_that_was_not_there_is_created,
        an_exclusive_target_is_never_overwritten,
        giving_up_leaves_nothing_behind,
        a_failed_rename_changes_nothing,
        a_failed_sync_condemns_the_file,
        a_directory_that_cannot_be_synced_is_told_after_the_replacement,
        a_new_file_gets_the_mode_that_open_would_give_it,
        the_old_files_mode_and_attributes_are_kept,
        a_backup_is_the_old_file,
        the_longest_name_can_be_replaced,
        a_symlink_is_replaced_not_followed,
        the_directory_may_be_moved_meanwhile,
    };
    const TTest *const tests[] = {
        a_file_that_was_not_synced_is_not_published,
        while_it_is_written_the_new_file_is_nobody_elses,
        the_old_files_acl_is_kept,
        the_directorys_default_acl_lets_nobody_into_a_kept_file,
        an_owner_is_kept_or_the_file_refused,
        a_backup_that_is_a_link_of_the_old_file_already_stays,
        no_old_file_needs_no_backup,
        a_backup_that_cannot_be_made_changes_nothing,
        a_hidden_name_is_utf8_and_ends_in_random_digits,
        a_name_that_cannot_be_is_refused_at_once,
        the_callers_directory_descriptor_may_be_closed_meanwhile,
    };
    int status = RUN_TESTS_EACH("replace on each kind of file system", each_kind, KINDS, setup, teardown);
    return status | RUN_TESTS_WITH("replace", tests, setup, teardown);
}
