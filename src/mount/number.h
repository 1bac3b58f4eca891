/* SPDX-License-Identifier: Apache-2.0
 *
 * Inode numbers. Never reused with other bytes behind them:
 *
 *   fixed nodes        1 to 15
 *   all others         (id + 1) << 4 | view, which is 16 at least
 *
 * The id of a tensor follows its content (model/generation.h), so a tensor that a commit left alone keeps its
 * number, and with it its pages in the kernel's cache. What belongs to a generation as a whole has the
 * generation's number as id; the preview, the count of changes; every lookup of `control` makes a new one.
 */
#ifndef MOUNT_NUMBER_H
#define MOUNT_NUMBER_H

#include <stdint.h>

enum fixed_node {
    NODE_ROOT = 1,
    NODE_TENSORS,
    NODE_NPY,
    NODE_STAGING,
    NODE_STAGING_TENSORS,
    NODE_STAGING_NPY,
    NODE_WEIGHTFS,
    NODE_STATUS,
    NODE_STATUS_JSON,
};

enum view {
    VIEW_FIXED,
    VIEW_TENSOR,        /* tensors/NAME */
    VIEW_NPY,           /* npy/NAME.npy */
    VIEW_DOCUMENT,      /* metadata.json */
    VIEW_WHOLE,         /* model.safetensors */
    VIEW_STAGED_TENSOR, /* a file of staging/tensors, scratch files included */
    VIEW_STAGED_NPY,
    VIEW_STAGED_FILE, /* directly in staging/ */
    VIEW_PREVIEW,     /* staging/model.safetensors */
    VIEW_CONTROL,
};

/* An id is never 0: the number would be a fixed node's. Counts that begin at 0 are raised by one. */
static inline uint64_t number_of(enum view view, uint64_t id)
{
    return (id + 1) << 4 | (uint64_t)view;
}

static inline enum view number_view(uint64_t number)
{
    return number < 16 ? VIEW_FIXED : (enum view)(number & 15);
}

static inline uint64_t number_id(uint64_t number)
{
    return (number >> 4) - 1;
}

#endif
