/* SPDX-License-Identifier: Apache-2.0
 *
 * The entries of an open directory: a snapshot taken when it was opened. Knows no FUSE.
 */
#ifndef MOUNT_LISTING_H
#define MOUNT_LISTING_H

#include "mount/tree.h"

struct listing;

struct listing_entry {
    const char *name; /* good until the next call */
    uint64_t number;
    mode_t type; /* S_IFREG or S_IFDIR */
    char buffer[256 + 8];
};

/* -ENOTDIR, -ENOMEM, or what the stage answers. */
int listing_open(struct session *session, uint64_t directory, struct listing **ret_listing);
void listing_close(struct session *session, struct listing *listing);
void listing_close_all(struct session *session);

uint64_t listing_directory(const struct listing *listing);

/* The first entry at position `*position` (0 to begin) or behind it; *position is moved behind what was
 * found. False at the end. */
bool listing_next(const struct listing *listing, uint64_t *position, struct listing_entry *ret_entry);

/* Attributes of an entry of the read-only tree, from the same snapshot. False when they must be looked up. */
bool listing_attr(struct session *session, const struct listing *listing, const struct listing_entry *entry,
                  struct stat *ret_attr, bool *ret_lasting);

#endif
