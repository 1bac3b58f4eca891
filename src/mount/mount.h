/* SPDX-License-Identifier: Apache-2.0
 *
 * Serving a model at a mount point: all that the command line needs to know of FUSE.
 */
#ifndef MOUNT_MOUNT_H
#define MOUNT_MOUNT_H

#include <stdbool.h>
#include <weightfs/error.h>

struct mount_options {
    const char *source;     /* as given */
    const char *mountpoint; /* as given; must exist */
    bool foreground;
    bool create;           /* a new model */
    bool read_only;
    bool discard_staging;
    bool accept_unsynced;
    bool follow, replace_link;
    const char *staging;   /* -o staging=DIR */
    const char *output;    /* -o output=PATH */
    const char *tolerate;  /* "stsw" or NULL */
    const char *fuse_options; /* comma-separated, for libfuse: allow_other, ... ; NULL */
    int max_threads;       /* 0: default */
    int staging_mode;      /* extra permission bits for staging/ and .weightfs/ when wider than 0700/0600; 0 */
    bool debug;
};

/* Mounts, tells `ready` (NULL allowed) once the mount is usable, serves until it is unmounted or a signal comes, and cleans up.
 * Returns 0, or a negative errno with a sentence; -EINVAL with a code: the model is broken. */
int mount_serve(const struct mount_options *options, void (*ready)(void *context), void *context,
                struct wfs_error *err);

#endif
