/* SPDX-License-Identifier: Apache-2.0
 *
 * A commit on its way, and what is looked at before it may write: for publish.c and admit.c.
 */
#ifndef STAGE_COMMIT_H
#define STAGE_COMMIT_H

#include "base/replace.h"
#include "stage/plan.h"

struct commit {
    struct stage *stage;
    const struct commit_options *options;
    const struct commit_observer *observer;
    struct plan plan; /* until the new file is written */
    uint64_t header_size;
    uint64_t clonable; /* bytes */
    struct problem_list problems;
    int target_dirfd;
    const char *target_name;
    struct replace *replace;
    struct generation *next;
    struct base_identity intent; /* what the journal says of the new file */
    struct clone_cost cost;
    bool unsure; /* replaced, but the directory's fsync failed */
};

/* The directory and name that will be replaced: -EPERM when a symlink stands in the way. */
int commit_find_target(struct commit *commit, struct wfs_error *err);

/* -ESTALE when the target is not what the edits were made against, -EEXIST when one that is to be made
 * exists; --force lifts both. */
int commit_check_target(const struct commit *commit, struct wfs_error *err);

/* From the last look at the target to the rename, one commit in a directory at a time: of two that have edits
 * of their own, the second sees what the first did. *ret_lock is to be closed; -1 where a directory cannot be
 * locked. -EBUSY. */
int commit_lock_target(const struct commit *commit, int *ret_lock, struct wfs_error *err);

/* Other hard links keep the old model: a warning. */
void commit_warn_of_links(struct commit *commit);

/* -ENOSPC before anything is written; cloned bytes cost none. */
int commit_check_space(const struct commit *commit, struct wfs_error *err);

/* After a link was replaced by a file: that is the model now, and where its edits belong. stage->lock held.
 */
void commit_move_to_link(struct stage *stage);

/* Returns r; to the sentence of a call that failed it adds what to do. */
int commit_explained(int r, struct wfs_error *err);

#endif
