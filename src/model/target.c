/* SPDX-License-Identifier: Apache-2.0 */
#include "model/target.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* Splits `path` (which is changed) into directory and last component; an empty name when it ends in a slash.
 */
static void split_path(char *path, const char **ret_directory, const char **ret_name)
{
    char *slash = strrchr(path, '/');

    *ret_directory = slash == path ? "/" : slash ? path : ".";
    *ret_name = slash ? slash + 1 : path;
    if (slash)
        *slash = '\0';
}

/* Whether the name is one that a content-addressed store gives: 40 or 64 hex digits. */
static bool is_digest(const char *name)
{
    size_t length = strlen(name);

    return (length == 40 || length == 64) && strspn(name, "0123456789abcdef") == length;
}

static bool is_in_blobs(int dirfd)
{
    char link[64];
    char real[PATH_MAX];

    snprintf(link, sizeof link, "/proc/self/fd/%d", dirfd);
    ssize_t length = readlink(link, real, sizeof real - 1);
    if (length < 0)
        return false;
    real[length] = '\0';
    const char *slash = strrchr(real, '/');
    return slash && strcmp(slash, "/blobs") == 0;
}

static int look_at_old(struct target *target, const char *path, struct wfs_error *err)
{
    struct printable shown = printable_string(path);

    if (fstatat(target->dirfd, target->name, &target->old, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : error_errno(err, errno, "%s: cannot be looked at", shown.text);
    target->exists = true;
    if (S_ISLNK(target->old.st_mode))
        return error_rule(err, WFS_CODE_NOT_PERMITTED,
                          "%s: is a symbolic link: name the file that it points to", shown.text);
    if (!S_ISREG(target->old.st_mode))
        return error_rule(err, WFS_CODE_TARGET_EXISTS, "%s: exists and is no regular file", shown.text);
    if (is_digest(target->name) && is_in_blobs(target->dirfd))
        return error_rule(
            err, WFS_CODE_NOT_PERMITTED,
            "%s: is a blob of a download cache, whose name is the hash of its bytes: write elsewhere",
            shown.text);
    target->old_fd = openat(target->dirfd, target->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    return 0;
}

int target_open(const char *path, struct target *ret_target, struct wfs_error *err)
{
    auto_free char *copy = strdup(path);
    struct target target = TARGET_NONE;
    const char *directory = NULL;
    const char *name = NULL;

    if (!copy)
        return error_no_memory(err);
    split_path(copy, &directory, &name);
    if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return error_rule(err, WFS_CODE_USAGE, "%s: is not the name of a file", printable_string(path).text);
    target.name = strdup(name);
    if (!target.name)
        return error_no_memory(err);
    target.dirfd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = target.dirfd < 0
                ? error_errno(err, errno, "%s: its directory cannot be opened", printable_string(path).text)
                : look_at_old(&target, path, err);
    if (r < 0)
        target_close(&target);
    else
        *ret_target = target;
    return r;
}

void target_close(struct target *target)
{
    if (target->dirfd >= 0)
        close(target->dirfd);
    if (target->old_fd >= 0)
        close(target->old_fd);
    free(target->name);
    *target = TARGET_NONE;
}
