/* SPDX-License-Identifier: Apache-2.0
 *
 * What keeps one staged entry from being committed.
 */
#ifndef STAGE_INSPECT_H
#define STAGE_INSPECT_H

#include "stage/pending.h"

/* Adds every problem of a staged tensor. True when its declaration gives it a size, so that it can take its
 * place in a layout. With stage->lock held. */
bool entry_inspect(const struct entry *entry, struct problem_list *problems);

/* The key of the map in the header: no tensor can be called that. */
bool name_is_reserved(struct key key);

/* Whether what was written to metadata.json may be believed: not when the disk may not have it, or had it not
 * before a power loss. With its content_lock held. */
int document_trust(const struct entry *document, struct wfs_error *err);

#endif
