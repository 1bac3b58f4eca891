/* SPDX-License-Identifier: Apache-2.0
 *
 * A range of one file into another, as cheaply as the file system allows: shared blocks where both offsets
 * are congruent to the block size (XFS, btrfs), else a copy. An unaligned head and tail are always copied.
 */
#ifndef BASE_CLONE_H
#define BASE_CLONE_H

#include <stdbool.h>
#include <stdint.h>

struct clone_cost {
    uint64_t cloned; /* bytes that now share blocks */
    uint64_t copied; /* bytes that were written */
};

/* What to do in between: called after every `done` further bytes (at most 16 MiB of a copy, 1 GiB of a
 * clone); non-zero stops with that value. May be NULL. */
typedef int clone_progress(void *context, uint64_t done);

/* 0, or a negative errno: -ENODATA when the source ends too early. `cost` is added to (may be NULL). */
int clone_range(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t length,
                clone_progress *progress, void *context, struct clone_cost *cost);

/* What XFS and btrfs share by; where a block is bigger, they answer EINVAL. */
#define CLONE_BLOCK 4096u

/* A range that begins at a whole block into an empty file, without copying more than a last part of a block;
 * a negative errno where blocks cannot be shared. */
int clone_only(int from, uint64_t from_offset, int to, uint64_t length);

/* Whether FICLONERANGE works from one to the other, found out on the first block of both without changing a
 * byte that matters: `to` must be empty and is left empty. */
bool clone_possible(int from, int to);

#endif
