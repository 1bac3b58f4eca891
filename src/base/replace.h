/* SPDX-License-Identifier: Apache-2.0
 *
 * Replacing a file atomically. Calling sequence:
 *
 * - replace_begin(): a nameless file (O_TMPFILE; a hidden 0600 name where there is none) beside the target
 * - write to replace_fd()
 * - replace_sync(): owner, mode, user xattrs and ACL of the old file; fsync. One error condemns the file
 * - replace_commit(): link, rename, fsync the directory
 * - replace_free(): at any time; before replace_commit() succeeded it is the rollback
 *
 * Readers of the target see the old file or the new one, whole. Names are resolved against a directory
 * descriptor only, so a mount over the directory does not matter.
 */
#ifndef BASE_REPLACE_H
#define BASE_REPLACE_H

#include "base/file.h"

#include <stdbool.h>
#include <sys/stat.h>

#include <weightfs/error.h>

struct replace;

struct replace_options {
    const struct stat *keep;   /* whose owner and mode are kept; NULL: a new file, with the mode of open(2) */
    int keep_fd;               /* the old file, for xattrs and ACL; -1: none */
    bool exclusive;            /* the target must not exist: -EEXIST */
    const char *backup_suffix; /* NULL: none; the old file is linked as NAME + suffix first */
};

int replace_begin(int dirfd, const char *name, const struct replace_options *options,
                  struct replace **ret_replace, struct wfs_error *err);

int replace_fd(const struct replace *replace);

/* Without O_TMPFILE the new file has a hidden name from the beginning, and replace_sweep() finds it by this
 * while it is not finished. */
bool replace_is_named(const struct replace *replace);
struct file_identity replace_unfinished(const struct replace *replace);

/* -EPERM when the owner cannot be kept. */
int replace_sync(struct replace *replace, struct wfs_error *err);

/* 0; or an error with nothing changed; or 1: replaced, but the directory's fsync failed, so that a power loss
 * may bring the old file back (err is filled). */
int replace_commit(struct replace *replace, struct wfs_error *err);

void replace_free(struct replace *replace); /* NULL allowed */

/* After a crash between linking and renaming the finished file lies there under a hidden name. Removes it,
 * and nothing that is not exactly that file. */
void replace_sweep(int dirfd, const char *name, const struct file_identity *finished);

#endif
