/* SPDX-License-Identifier: Apache-2.0
 *
 * Staged edits taken over to another version of the model than they were made against (docs/staging.md 7.4).
 */
#ifndef STAGE_REBASE_H
#define STAGE_REBASE_H

#include "stage/replay.h"

/* The journal was replayed upon the new version. Tensor by tensor: what an edit depends on must be as it was.
 * 0 with a journal that belongs to the new version, or -ESTALE naming the tensors that both changed, with
 * nothing touched. `other_boot` and `accept`: what recovery knows of unsynced data. */
int rebase(struct stage *stage, struct replay *replay, bool other_boot, bool accept, struct wfs_error *err);

/* --- recover.c --- */

/* Gives an entry its spool file, unless it has it. */
int recover_open_file(struct stage *stage, struct entry *entry, struct wfs_error *err);
/* Deletes data files that no entry refers to; new numbers begin behind the rest. */
int recover_sweep(struct stage *stage, struct wfs_error *err);
/* Whether its bytes cannot be trusted. */
bool recover_is_lost(const struct entry *entry, bool other_boot, bool accept);

#endif
