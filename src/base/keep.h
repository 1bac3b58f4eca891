/* SPDX-License-Identifier: Apache-2.0
 *
 * What a new file takes over from the one that it replaces: owner, mode, `user.` attributes and the access
 * ACL. What a file system does not know is left out; anything else that cannot be kept is an error.
 */
#ifndef BASE_KEEP_H
#define BASE_KEEP_H

#include <sys/stat.h>

#include <weightfs/error.h>

/* `keep_fd` is the old file, -1 where there are no attributes to take. -EPERM when the owner cannot be kept.
 */
int keep_attributes(int fd, const struct stat *keep, int keep_fd, struct wfs_error *err);

#endif
