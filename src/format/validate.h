/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules that a header whose JSON is right can still break, in the official order (docs/format.md 2).
 */
#ifndef FORMAT_VALIDATE_H
#define FORMAT_VALIDATE_H

#include "format/problems.h"
#include "format/storage.h"

/* Sorts and indexes the tensors, then checks names, offsets and sizes. 0, or what stopped it; -ENOMEM. */
int validate(struct wfs_header *header, uint64_t file_size, unsigned mode, struct problems *problems);

#endif
