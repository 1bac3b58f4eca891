/* SPDX-License-Identifier: Apache-2.0
 *
 * The file that is to be written: its directory, its name in there, and what stands under that name now.
 */
#ifndef MODEL_TARGET_H
#define MODEL_TARGET_H

#include <stdbool.h>
#include <sys/stat.h>

#include <weightfs/error.h>

struct target {
    int dirfd;  /* -1 before target_open() */
    char *name; /* last component, malloc'd */
    bool exists;
    int old_fd;      /* the file there now, for its xattrs; -1 when there is none or it cannot be read */
    struct stat old; /* when it exists */
};

#define TARGET_NONE ((struct target){.dirfd = -1, .old_fd = -1})

/* Resolves `path`. Refuses what must not be replaced: -EPERM for a symlink and for a blob of a Hugging Face
 * cache, -EEXIST for anything that is no regular file. */
int target_open(const char *path, struct target *ret_target, struct wfs_error *err);

void target_close(struct target *target);

#endif
