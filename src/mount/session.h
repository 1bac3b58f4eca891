/* SPDX-License-Identifier: Apache-2.0
 *
 * One mount while it lives: what every operation needs. Opened before the mount, closed after it; its parts
 * lock for themselves, and no lock is held while the kernel is spoken to.
 */
#ifndef MOUNT_SESSION_H
#define MOUNT_SESSION_H

#include "mount/mount.h"
#include "mount/node.h"
#include "stage/target.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>
#include <sys/statvfs.h>

struct fuse_session;
struct notifier;
struct control;
struct handle;
struct listing;
struct watch;
struct passthrough;
struct behind;

/* The current generation, as an operation holds it. */
struct current {
    struct generation *generation;
    uint64_t number; /* 1, 2, 3 ...: of the generation, for the life of the mount */
};

#define SESSION_NOTES 6

/* How long a report was when it was made last. */
struct report_size {
    uint64_t bytes;
    struct timespec changed; /* when a file of staging/ had changed then */
    struct timespec until;   /* good for attributes */
};

struct session {
    /* fixed before the first request */
    const struct mount_options *options;
    struct stage_target target;
    char *mountpoint; /* absolute, resolved */
    char *view_name;  /* of the whole-file view */
    struct stage *stage;
    struct node_table *nodes;
    struct control *control;
    struct passthrough *passthrough;
    struct behind *behind;     /* NULL: nothing is dropped */
    struct notifier *notifier; /* NULL before the mount */
    struct watch *watch;       /* NULL before the mount */
    struct fuse_session *fuse; /* NULL before the mount */
    uid_t owner;               /* who mounted */
    gid_t group;
    struct timespec begun;

    _Atomic uint64_t control_lookups;
    atomic_uint commits;             /* begun so far */
    atomic_uint end_told;            /* which of them somebody read the end of, in status.json */
    _Atomic pid_t document_unlinker; /* who unlinked staging/metadata.json, or renamed it away, last */

    pthread_mutex_t lock;
    struct current current;
    LIST_HEAD(, handle) handles;   /* open files */
    LIST_HEAD(, listing) listings; /* and directories */
    atomic_uint closing;           /* files between FLUSH and RELEASE (closing.h) */
    pthread_cond_t closed;
    char *notes[SESSION_NOTES];         /* further lines of the status file, each about its own matter */
    struct report_size report_sizes[2]; /* of the text; of the JSON */
};

/* What a line of the status file is about; a later line on the same matter replaces the earlier. */
enum note {
    NOTE_READ_AHEAD,
    NOTE_SOURCE,
    NOTE_WATCH,
    NOTE_PASSTHROUGH,
};

/* Opens source, target and staged edits; resolves names. `listener` is told what was resumed. */
int session_open(const struct mount_options *options, const struct mount_listener *listener,
                 struct session **ret_session, struct wfs_error *err);
void session_close(struct session *session); /* NULL allowed */

/* Counted for the caller. */
struct current session_current(struct session *session);
void current_done(struct current *current);
#define auto_current __attribute__((cleanup(current_done))) struct current

/* From now on `generation` (referenced) is the current one. */
void session_publish(struct session *session, struct generation *generation);

void session_note(struct session *session, enum note note, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The text of status, or the object of status.json; -ENOMEM. */
int session_status(struct session *session, bool json, struct bytes *out);

/* How long it is, for attributes. A kernel asks several times before somebody reads: what took long to make
 * is not made for every question, unless something was staged since. Reads get what was made at open. */
int session_status_size(struct session *session, bool json, uint64_t *ret_size);

void session_statvfs(struct session *session, struct statvfs *ret_statvfs);

#endif
