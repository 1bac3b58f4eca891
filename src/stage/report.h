/* SPDX-License-Identifier: Apache-2.0
 *
 * What the report tells (report_changes.c, remedy.c), for its two forms: report.c writes JSON, report_text.c
 * the text. With stage->lock held.
 */
#ifndef STAGE_REPORT_H
#define STAGE_REPORT_H

#include "stage/plan.h"

/* One staged change; strings are borrowed. */
struct change {
    const char *name;
    size_t name_length;
    const char *kind; /* added replaced patched renamed removed declared */
    const char *from; /* renamed: the model's name; else NULL */
    size_t from_length;
    bool has_dtype, has_shape;
    struct wfs_tensor tensor;
    uint64_t size; /* bytes */
    bool has_before;
    struct wfs_tensor before; /* the model's tensor that it was */
};

/* In natural order; *ret_changes is malloc'd. */
int report_changes(struct stage *stage, struct change **ret_changes, size_t *ret_count);

/* The file that is served: a commit may have put it elsewhere than it was. */
const char *report_source(const struct stage *stage, const struct stage_face *face);

/* What status counts: a rename is one change. */
size_t report_count(struct stage *stage);

/* Scratch files, in natural order: the directory ("tensors/", "npy/", "") and the file name. 0 or -ENOMEM. */
int report_scratch(const struct stage *stage,
                   void (*tell)(void *context, const char *directory, const char *file_name), void *context);

/* Keys of __metadata__ whose value changes, in natural order; NULL: not there. */
typedef void report_pair(void *context, const struct metadata_pair *from, const struct metadata_pair *to);
int report_map(struct stage *stage, report_pair *tell, void *context);

/* Where the data section begins, and how many tensors that nobody touched get another place in it. */
struct layout_change {
    uint64_t from, to;
    size_t moved;
};

/* False: there is no new layout, or nothing to compare it with. */
bool report_layout(const struct stage *stage, const struct plan *plan, struct layout_change *ret_change);

/* --- remedy.c --- */

/* The command that mends a problem, or shows what is in the way; nothing for a code that is no problem of
 * staging. `mountpoint` NULL: DIR stands for where it would be mounted. */
void remedy_print(struct bytes *out, const struct problem *problem, const char *mountpoint,
                  const char *source);

#endif
