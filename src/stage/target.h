/* SPDX-License-Identifier: Apache-2.0
 *
 * Which file a commit will replace, and where edits are kept: names resolved once, before anything is mounted
 * over them (docs/staging.md 7 and 8, Links).
 */
#ifndef STAGE_TARGET_H
#define STAGE_TARGET_H

#include "stage/stage.h"

struct stage_target_request {
    const char *source;  /* as given */
    const char *output;  /* NULL: a commit replaces the source */
    const char *staging; /* NULL: edits are kept beside what a commit replaces */
    bool create;         /* the source does not exist yet */
};

struct stage_target {
    char *source; /* the file read: absolute, links resolved; the path it will have when it does not exist yet
                   */
    int dirfd;    /* of what a commit replaces or makes */
    char *name;
    char *path; /* absolute */
    char *link; /* the symlink that was named; NULL: none was */
    int link_dirfd;
    char *link_name;
    bool is_output; /* another file than the source */
    char *staging;  /* absolute, links resolved, be it there or not; NULL: none was named */
};

#define STAGE_TARGET_NONE ((struct stage_target){.dirfd = -1, .link_dirfd = -1})

/* Errors: -ENOENT and the like with a sentence; -EEXIST when the file to create exists. Clear after 0. */
int stage_target_resolve(const struct stage_target_request *request, struct stage_target *ret_target,
                         struct wfs_error *err);
void stage_target_clear(struct stage_target *target);

/* Sets those members of `options` that tell the target; they borrow from it. */
void stage_target_describe(const struct stage_target *target, struct stage_options *options);

#define auto_stage_target __attribute__((cleanup(stage_target_clear))) struct stage_target

#endif
