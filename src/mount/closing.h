/* SPDX-License-Identifier: Apache-2.0
 *
 * Closing a staged file sets things off: a document is applied, an .npy understood. The kernel tells of the
 * last close by RELEASE, which nobody waits for, so what the same process does next could be answered first.
 * FLUSH is waited for and comes just before: after it, requests that would see the difference wait for the
 * release.
 *
 * Whether a FLUSH is the last is not told. One that comes from the process that opened the file, after it
 * wrote, is taken for that; where it was not (a second descriptor is left open), the others wait 50 ms for
 * nothing, once.
 */
#ifndef MOUNT_CLOSING_H
#define MOUNT_CLOSING_H

#include "mount/handle.h"

/* The file was changed through this handle: it is in use. */
void closing_wrote(struct session *session, struct handle *handle);

/* FLUSH by that process. */
void closing_flushed(struct session *session, struct handle *handle, pid_t pid);

/* RELEASE has begun, and is done. */
void closing_release_begins(struct session *session, struct handle *handle);
void closing_release_done(struct session *session, struct handle *handle);

/* Before a request about a node (a name: about its directory) is answered: waits for the releases that are on
 * their way, within bounds, if the answer depends on the pending model. */
void closing_wait(struct session *session, uint64_t number);

#endif
