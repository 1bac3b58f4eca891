/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands written to .weightfs/control:
 *
 *     commit [--force] [--allow-empty] [--backup[=SUFFIX]] [--layout L]
 *     commit-start ...      the same, answered once staging is frozen
 *     check
 *     discard [NAME...]
 *     cancel
 *
 * A word may stand in double quotes, where a backslash takes the next byte as it is. The write is answered
 * with the outcome. A commit runs on a thread of its own and answers from there, so that no thread of the
 * session waits for it.
 */
#ifndef MOUNT_CONTROL_H
#define MOUNT_CONTROL_H

#include "mount/session.h"

#include <fuse_lowlevel.h>

struct control;

int control_new(struct session *session, struct control **ret_control);

/* Waits for a running commit. NULL allowed. */
void control_free(struct control *control);

/* Obeys one write, and replies to it now or later. */
void control_write(struct control *control, fuse_req_t req, const char *data, size_t size);

/* The mount is ending: asks a running commit to stop, waits until it has ended one way or the other, and
 * begins no other. */
void control_cancel(struct control *control);

/* The same without asking it to stop. */
void control_wait(struct control *control);

#endif
