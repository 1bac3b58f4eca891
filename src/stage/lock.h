/* SPDX-License-Identifier: Apache-2.0
 *
 * The lock of a staging directory: an open-file-description lock on its file `lock`, which tells who holds
 * it.
 */
#ifndef STAGE_LOCK_H
#define STAGE_LOCK_H

#include "stage/spool.h"

#define LOCK_NAME "lock"

/* Takes the lock of the directory `dirfd`. 0 and the descriptor that holds it; -EBUSY when another one does,
 * after waiting up to 5 s for a holder whose mount is gone already; -ESTALE when the file was removed
 * meanwhile. */
int lock_take(int dirfd, const char *mountpoint, int *ret_fd, struct spool_holder *ret_holder);

/* Whether /proc/self/mountinfo lists a weightfs mount at that path. */
bool lock_is_mounted(const char *mountpoint);

#endif
