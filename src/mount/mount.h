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
    bool create;            /* a new model */
    bool read_only;
    bool discard_staging;
    bool rebase;
    bool accept_unsynced;
    bool follow, replace_link;
    bool tolerate_stsw;
    bool no_passthrough;
    const char *staging;      /* where staged edits are kept; NULL: beside what a commit replaces */
    const char *output;       /* what a commit writes; NULL: the source */
    const char *fuse_options; /* comma-separated, for libfuse: allow_other, ...; NULL */
    unsigned max_threads;     /* 0: default */
    unsigned staging_mode;    /* permission bits that staging/ and .weightfs/ have beyond 0700 and 0600 */
    bool drop_behind;         /* the model file does not stay in the page cache for what was read here */
    bool debug;
    char *storage; /* of the strings that mount_options_parse() set */
};

/* What happens meanwhile. Members may be NULL. */
struct mount_listener {
    void *context;
    void (*ready)(void *context); /* the mount is usable */
    void (*note)(void *context,
                 const char *sentence); /* for the person: what was resumed, what stays staged */
};

/* Reads a list as given after -o, `\,` and `\\` standing for themselves in values; -EOPNOTSUPP with a
 * sentence. Once for each struct; mount_options_clear() frees what it kept. */
int mount_options_parse(const char *list, struct mount_options *options, struct wfs_error *err);
void mount_options_clear(struct mount_options *options);

/* Makes sure that descriptors 0 to 2 are open, so that no file of ours gets one of these numbers. */
void mount_reserve_stdio(void);

/* Mounts, serves until it is unmounted or a signal (INT, TERM, HUP) comes, and cleans up. Returns 0, or a
 * negative errno with a sentence; the code tells a broken model (its rule), a refusal, or -EIO and the like
 * where the system is at fault. */
int mount_serve(const struct mount_options *options, const struct mount_listener *listener,
                struct wfs_error *err);

#endif
