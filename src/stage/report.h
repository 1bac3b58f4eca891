/* SPDX-License-Identifier: Apache-2.0
 *
 * What the report tells, for its two forms: report.c writes JSON, report_text.c the text. With stage->lock
 * held.
 */
#ifndef STAGE_REPORT_H
#define STAGE_REPORT_H

#include "stage/pending.h"

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
};

/* In natural order; *ret_changes is malloc'd. */
int report_changes(struct stage *stage, struct change **ret_changes, size_t *ret_count);

/* Scratch files: the directory ("tensors/", "npy/", "") and the file name. */
void report_scratch(const struct stage *stage,
                    void (*tell)(void *context, const char *directory, const char *file_name), void *context);

#endif
