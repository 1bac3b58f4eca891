/* SPDX-License-Identifier: Apache-2.0
 *
 * What every operation does at its beginning and its end. An operation replies exactly once.
 */
#ifndef MOUNT_REPLY_H
#define MOUNT_REPLY_H

#include "mount/handle.h"
#include "mount/listing.h"
#include "mount/tree.h"

#include <fuse_lowlevel.h>

struct session *session_of(fuse_req_t req);

/* The only places where a number becomes a pointer. */
struct handle *handle_of(const struct fuse_file_info *info);
struct listing *listing_of(const struct fuse_file_info *info);
void set_handle(struct fuse_file_info *info, struct handle *handle);
void set_listing(struct fuse_file_info *info, struct listing *listing);

/* 0 or a negative errno. */
void reply_status(fuse_req_t req, int r);

/* `node` was looked up: the kernel holds one lookup more. Takes over node->entry. */
void reply_node(fuse_req_t req, struct tree_node *node);

/* The same with an open handle, for create. The handle is closed when the reply cannot be sent. */
void reply_created(fuse_req_t req, struct tree_node *node, struct handle *handle,
                   struct fuse_file_info *info);

void reply_attr(fuse_req_t req, const struct stat *attr, bool lasting);

/* Fills what a directory or lookup reply says of a node. */
struct fuse_entry_param entry_param(const struct tree_node *node);

/* `size` bytes of the image at `offset`, or fewer at its end. */
void reply_image(fuse_req_t req, const struct image *image, uint64_t offset, size_t size);

#endif
