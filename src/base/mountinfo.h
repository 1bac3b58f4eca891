/* SPDX-License-Identifier: Apache-2.0
 *
 * What is mounted where, as /proc/self/mountinfo tells it: asking never touches the mount itself, so a dead
 * one cannot hang the one who asks.
 */
#ifndef BASE_MOUNTINFO_H
#define BASE_MOUNTINFO_H

#include <stdbool.h>

struct mountinfo {
    unsigned major, minor; /* its device number */
    char *point;           /* absolute path */
    char *type;            /* "fuse.weightfs" */
    char *source;
};

/* The mount that covers `path` (absolute, resolved), the topmost where several lie upon each other; `exact`:
 * only one whose mount point is `path` itself. 0, -ENOENT, -ENOMEM or the errno of reading. Clear after 0. */
int mountinfo_find(const char *path, bool exact, struct mountinfo *ret_mount);

void mountinfo_clear(struct mountinfo *mount);

#define auto_mountinfo __attribute__((cleanup(mountinfo_clear))) struct mountinfo
#define MOUNTINFO_NONE ((struct mountinfo){0, 0, NULL, NULL, NULL})

#endif
