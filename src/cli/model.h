/* SPDX-License-Identifier: Apache-2.0
 *
 * A model as `status`, `check`, `commit` and `discard` take it: a mounted one, or a file with what is staged
 * for it on disk. The verbs are the same for both.
 */
#ifndef CLI_MODEL_H
#define CLI_MODEL_H

#include "base/mountinfo.h"
#include "stage/target.h"

struct json_object;

struct model {
    bool is_mounted;
    struct mountinfo mount; /* when mounted; else: */
    struct stage_target target;
    struct generation *generation;
    struct stage *stage;
};

#define MODEL_NONE ((struct model){.mount = MOUNTINFO_NONE, .target = STAGE_TARGET_NONE})
#define auto_model __attribute__((cleanup(model_close))) struct model

/* What to do with edits that lie there for a file. */
struct model_edits {
    bool discard; /* they go unseen, whatever they were made against */
    bool rebase;  /* those made against another version are taken over to this one */
};

/* `path` is in a mount, or a file; prints the sentence when it is neither, or when it is locked. EXIT_DONE or
 * the exit code. `edits` NULL: they are taken as they are. */
int model_open(const char *path, const struct model_edits *edits, struct model *ret_model);
void model_close(struct model *model);

/* status on stdout, as text or as the object; or that in *ret_status (outcome_free() it). Negative errno with
 * a sentence. */
int model_print_status(struct model *model, bool json, struct wfs_error *err);
int model_status(struct model *model, struct json_object **ret_status, struct wfs_error *err);

int model_check(struct model *model, struct wfs_error *err);
int model_discard(struct model *model, char **names, size_t count, struct wfs_error *err);

/* Commits, shows progress, and tells the outcome: problems on stderr, with `json` the object on stdout.
 * `arguments` are those of the command `commit`, NULL-terminated. Returns the exit code. */
int model_commit(struct model *model, const char *const *arguments, bool json);

#endif
