/* SPDX-License-Identifier: Apache-2.0
 *
 * The staged model as one image, or every reason why it is none. A plan borrows names and shapes from the
 * stage: use it with stage->lock held, or while staging is frozen.
 */
#ifndef STAGE_PLAN_H
#define STAGE_PLAN_H

#include "stage/pending.h"

/* Where the bytes of an item come from; the item's tag is its index. */
struct plan_source {
    const struct entry *entry; /* NULL: a tensor of the model that nobody touched */
    size_t index;              /* of that tensor */
};

struct plan {
    struct layout_item *items; /* in file order once placed */
    size_t count;
    size_t capacity;
    struct plan_source *sources;
    struct layout used;
    uint64_t header_size; /* prefix and header */
    struct image *image;
};

#define PLAN_EMPTY ((struct plan){0})
#define auto_plan  __attribute__((cleanup(plan_clear))) struct plan

void plan_clear(struct plan *plan);

/* Fills in the items and tells what keeps any of them from being committed. Items that have no size are left
 * out. */
int plan_collect(struct stage *stage, struct plan *plan, struct problem_list *problems);

/* Orders the items and gives them offsets. */
int plan_place(struct stage *stage, struct plan *plan, struct wfs_error *err);

/* All of it: 0 with plan->image, -EINVAL when `problems` has errors, -ENOMEM. */
int plan_build(struct stage *stage, bool allow_empty, struct plan *plan, struct problem_list *problems);

/* What writing the plan's image to the target's directory would cost, before anything is written. */
struct clone_cost plan_cost(const struct plan *plan, bool can_clone);

#endif
