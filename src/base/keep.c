/* SPDX-License-Identifier: Apache-2.0 */
#include "base/keep.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <stdbool.h>
#include <string.h>
#include <sys/xattr.h>

#define ACL_XATTR "system.posix_acl_access"

static int keep_owner(int fd, const struct stat *keep, struct wfs_error *err)
{
    struct stat now;
    if (fstat(fd, &now) < 0)
        return error_errno(err, errno, "cannot read the new file's owner");
    if (now.st_uid == keep->st_uid && now.st_gid == keep->st_gid)
        return 0;
    if (fchown(fd, keep->st_uid, keep->st_gid) == 0)
        return 0;
    if (errno != EPERM)
        return error_errno(err, errno, "cannot give the new file the old one's owner");
    return error_rule(err, WFS_CODE_NOT_PERMITTED,
                      "cannot keep its owner and group: found %u:%u, the new file would have %u:%u",
                      (unsigned)keep->st_uid, (unsigned)keep->st_gid, (unsigned)now.st_uid,
                      (unsigned)now.st_gid);
}

/* Errors that say that there is no such attribute, here or any more. */
static bool means_no_xattr(int errnum)
{
    return errnum == EOPNOTSUPP || errnum == ENODATA;
}

static int copy_xattr(int from, int to, const char *name)
{
    ssize_t size = fgetxattr(from, name, NULL, 0);
    if (size < 0)
        return means_no_xattr(errno) ? 0 : -errno;
    auto_free char *value = malloc((size_t)size + 1);
    if (!value)
        return -ENOMEM;
    size = fgetxattr(from, name, value, (size_t)size);
    if (size < 0)
        return means_no_xattr(errno) ? 0 : -errno;
    if (fsetxattr(to, name, value, (size_t)size, 0) < 0)
        return means_no_xattr(errno) ? 0 : -errno;
    return 0;
}

/* The NUL-terminated names of the old file's attributes, malloc'd; *ret_size is 0 where there are none. */
static int list_xattrs(int fd, char **ret_names, size_t *ret_size)
{
    ssize_t size = flistxattr(fd, NULL, 0);
    if (size < 0)
        return means_no_xattr(errno) ? 0 : -errno;
    auto_free char *names = malloc((size_t)size + 1);
    if (!names)
        return -ENOMEM;
    size = flistxattr(fd, names, (size_t)size);
    if (size < 0)
        return -errno;
    *ret_names = take_ptr(names);
    *ret_size = (size_t)size;
    return 0;
}

static int copy_xattrs(int from, int to)
{
    auto_free char *names = NULL;
    size_t size = 0;
    int r = list_xattrs(from, &names, &size);
    for (size_t at = 0; r == 0 && at < size; at += strlen(names + at) + 1)
        if (strncmp(names + at, "user.", 5) == 0 || strcmp(names + at, ACL_XATTR) == 0)
            r = copy_xattr(from, to, names + at);
    return r;
}

int keep_attributes(int fd, const struct stat *keep, int keep_fd, struct wfs_error *err)
{
    int r = keep_owner(fd, keep, err);
    if (r < 0)
        return r;
    /* After the owner, because a change of owner clears set-user-ID. */
    if (fchmod(fd, keep->st_mode & 07777) < 0)
        return error_errno(err, errno, "cannot give the new file the old one's mode");
    /* The directory's default ACL would let in whom the old file kept out. */
    if (fremovexattr(fd, ACL_XATTR) < 0 && !means_no_xattr(errno))
        return error_errno(err, errno, "cannot remove the new file's default ACL");
    r = keep_fd < 0 ? 0 : copy_xattrs(keep_fd, fd);
    if (r < 0)
        return error_errno(err, -r, "cannot give the new file the old one's extended attributes");
    return 0;
}
