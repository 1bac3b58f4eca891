/* SPDX-License-Identifier: Apache-2.0
 *
 * Open files. A handle of the read-only tree holds the generation it was opened in, so that it goes on
 * reading the same bytes when a commit has made another one.
 */
#ifndef MOUNT_HANDLE_H
#define MOUNT_HANDLE_H

#include "mount/number.h"
#include "mount/session.h"

enum handle_kind {
    HANDLE_IMAGE,   /* a file of the read-only tree, or a rendering of the status */
    HANDLE_PREVIEW, /* what a commit would write: good until the next change */
    HANDLE_STAGED,  /* a file of staging/ */
    HANDLE_CONTROL,
};

struct handle {
    enum handle_kind kind;
    uint64_t number;
    struct image *image;           /* IMAGE, PREVIEW */
    struct current origin;         /* IMAGE of a model's file: where it comes from */
    uint64_t change;               /* PREVIEW: what it is good for */
    struct stage_handle *staged;   /* STAGED */
    struct entry *entry;           /* STAGED */
    enum stage_place place;        /* STAGED */
    bool append;                   /* STAGED: opened with O_APPEND */
    pthread_mutex_t lock;          /* of the next one */
    struct stage_handle *position; /* STAGED with append: a second one, for mapped pages */
    bool is_backed;                /* counted by passthrough.c */
    pid_t pid;                     /* who opened it */
    unsigned tells_end;            /* status.json: of which commit; 0: of none */
    atomic_bool wrote;             /* since the last flush; with the next two: closing.c */
    bool is_closing;
    struct timespec closing_until;
    LIST_ENTRY(handle) link; /* session->handles */
};

/* Opens the file of a number; `flags` are open(2)'s. Negative errno. */
int handle_open(struct session *session, uint64_t number, int flags, pid_t pid, struct handle **ret_handle);

/* Opens a file of staging/ by its entry. */
int handle_open_entry(struct session *session, uint64_t number, struct entry *entry, int flags, pid_t pid,
                      struct handle **ret_handle);

void handle_close(struct session *session, struct handle *handle);

/* Closes what the kernel never closed, because the mount went away first: a release may be lost, an edit must
 * not be. */
void handle_close_all(struct session *session);

/* The bytes as they are now, counted for the caller; -ESTALE, -ENOMEM. */
int handle_image(struct session *session, struct handle *handle, struct image **ret_image);

/* The generation that an open handle of that number holds, counted; its .generation is NULL when there is
 * none. */
struct current handle_origin(struct session *session, uint64_t number);

/* A stage handle that writes where it is told even if the file was opened to append. */
int handle_positional(struct session *session, struct handle *handle, struct stage_handle **ret_staged);

/* Which directory of staging/ a view belongs to. */
enum stage_place place_of_view(enum view view);

#endif
