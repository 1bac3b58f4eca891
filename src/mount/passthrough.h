/* SPDX-License-Identifier: Apache-2.0
 *
 * Kernel passthrough: the kernel reads an open file from another one, its backing file, and asks the daemon
 * for no byte of it. That is possible where a view is a file on disk as it is: the whole-file view of one
 * model file, and a tensor whose blocks can be cloned into a file of its own. It needs root, libfuse 3.17 and
 * Linux 6.9. Whatever else is opened, and everything where one of these is missing, is read through the
 * daemon (docs/performance.md, Passthrough: what it gains, and why nothing of staging/ is read so).
 *
 * The kernel takes either cached or backed opens of an inode, and one backing file for all of them. So an
 * inode is decided upon at its first open, and the decision lasts until the last close.
 */
#ifndef MOUNT_PASSTHROUGH_H
#define MOUNT_PASSTHROUGH_H

#include "mount/session.h"

struct fuse_conn_info;
struct fuse_file_info;
struct passthrough;

/* -ENOMEM. */
int passthrough_new(struct session *session, struct passthrough **ret_passthrough);
void passthrough_free(struct passthrough *passthrough); /* NULL allowed; after every handle is closed */

/* There is a mount, and no request yet. */
void passthrough_begin(struct passthrough *passthrough);

/* At INIT: asks for it where it may be had. */
void passthrough_ask(struct passthrough *passthrough, struct fuse_conn_info *connection);

/* Once the kernel has heard of that: finds out whether it is allowed here. */
void passthrough_try(struct passthrough *passthrough);

/* Decides for a handle whose open will be answered with `info`, and says so there. 0; -ENOMEM. */
int passthrough_open(struct passthrough *passthrough, struct handle *handle, struct fuse_file_info *info);

/* The handle is closed. */
void passthrough_release(struct passthrough *passthrough, struct handle *handle);

/* The session has a new generation: clones that would keep the space of the file before are given up. */
void passthrough_published(struct passthrough *passthrough);

/* The mount is going: the kernel is told nothing any more. */
void passthrough_end(struct passthrough *passthrough);

#endif
