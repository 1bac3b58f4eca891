/* SPDX-License-Identifier: Apache-2.0
 *
 * Directories. Those of the read-only tree answer with attributes, so that `ls -l` and `find` need no lookup
 * for each name; those of staging/ with names only, because nothing in them may be remembered.
 */
#include "base/cleanup.h"
#include "mount/closing.h"
#include "mount/ops.h"

#include <string.h>

static bool is_read_only(uint64_t directory)
{
    return tree_absence_lasts(directory);
}

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
    struct session *session = session_of(req);
    struct listing *listing;

    closing_wait(session, ino);
    int r = listing_open(session, ino, &listing);
    if (r < 0) {
        reply_status(req, r);
        return;
    }
    set_listing(info, listing);
    info->cache_readdir = info->keep_cache = is_read_only(ino);
    if (fuse_reply_open(req, info) < 0)
        listing_close(session, listing);
}

/* Adds one entry; returns the bytes it takes, more than `room` when it did not fit. */
typedef size_t add_entry(fuse_req_t req, const struct listing *listing, const struct listing_entry *entry,
                         char *buffer, size_t room, off_t next);

static size_t add_name(fuse_req_t req, const struct listing *listing, const struct listing_entry *entry,
                       char *buffer, size_t room, off_t next)
{
    const struct stat attr = {.st_ino = entry->number, .st_mode = entry->type};

    (void)listing;
    return fuse_add_direntry(req, buffer, room, entry->name, &attr, next);
}

static size_t add_node(fuse_req_t req, const struct listing *listing, const struct listing_entry *entry,
                       char *buffer, size_t room, off_t next)
{
    struct tree_node node = {.number = entry->number, .lasting_name = true};
    struct fuse_entry_param param;

    if (listing_attr(session_of(req), listing, entry, &node.attr, &node.lasting_attr)) {
        param = entry_param(&node);
    } else {
        memset(&param, 0, sizeof(param)); /* no inode: the kernel will look it up */
        param.attr.st_ino = entry->number;
        param.attr.st_mode = entry->type;
    }
    return fuse_add_direntry_plus(req, buffer, room, entry->name, &param, next);
}

static void answer(fuse_req_t req, const struct listing *listing, size_t size, off_t offset, add_entry *add)
{
    uint64_t position = (uint64_t)offset;
    struct listing_entry entry;
    size_t used = 0;

    auto_free char *buffer = malloc(size);
    if (!buffer) {
        reply_status(req, -ENOMEM);
        return;
    }
    while (listing_next(listing, &position, &entry)) {
        size_t needed = add(req, listing, &entry, buffer + used, size - used, (off_t)position);
        if (needed > size - used)
            break;
        used += needed;
    }
    fuse_reply_buf(req, buffer, used);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *info)
{
    (void)ino;
    answer(req, listing_of(info), size, offset, add_name);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *info)
{
    (void)ino;
    answer(req, listing_of(info), size, offset, add_node);
}

void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
    (void)ino;
    listing_close(session_of(req), listing_of(info));
    reply_status(req, 0);
}

void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *info)
{
    (void)datasync;
    (void)info;
    reply_status(req, is_read_only(ino) ? 0 : stage_sync_names(session_of(req)->stage));
}
