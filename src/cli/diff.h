/* SPDX-License-Identifier: Apache-2.0
 *
 * What differs between two models, tensor by tensor: two files, or a model and what is staged for it. Told as
 * one object (docs/staging.md 10): changes as in status.json, each with what is known of its bytes.
 */
#ifndef CLI_DIFF_H
#define CLI_DIFF_H

#include "cli/model.h"

#include <weightfs/reader.h>

struct json_object;

/* An object with changes[], metadata[], layout and problems (a number); json_object_put() it. */
int diff_staged(struct model *model, struct json_object **ret_diff, struct wfs_error *err);
int diff_files(const struct wfs_reader *before, const struct wfs_reader *after, struct json_object **ret_diff,
               struct wfs_error *err);

/* Whether there is any difference. */
bool diff_differs(struct json_object *diff);

/* As lines that begin like those of a status. */
void diff_print(struct json_object *diff, struct bytes *out);

#endif
