/* SPDX-License-Identifier: Apache-2.0
 *
 * Creating, removing and renaming. Only files of staging/ can be; every refusal names the nearest truth:
 * EROFS for the read-only tree, EBUSY for a directory that is part of the tree, EPERM for what a model cannot
 * hold.
 */
#include "base/cleanup.h"
#include "mount/closing.h"
#include "mount/ops.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static bool is_staging(uint64_t directory)
{
    return directory == NODE_STAGING || directory == NODE_STAGING_TENSORS || directory == NODE_STAGING_NPY;
}

static enum view view_in(uint64_t directory)
{
    switch (directory) {
    case NODE_STAGING_TENSORS:
        return VIEW_STAGED_TENSOR;
    case NODE_STAGING_NPY:
        return VIEW_STAGED_NPY;
    default:
        return VIEW_STAGED_FILE;
    }
}

static enum stage_place place_in(uint64_t directory)
{
    return place_of_view(view_in(directory));
}

/* Why nothing can be changed in that directory; 0 when it can. */
static int check_directory(uint64_t directory)
{
    if (is_staging(directory))
        return 0;
    return directory == NODE_WEIGHTFS ? -EPERM : -EROFS;
}

/* Why a name of a directory of staging/ cannot be given, taken or removed; 0 when it can. */
static int check_name(const struct session *session, uint64_t directory, const char *name)
{
    int r = check_directory(directory);
    if (r < 0 || directory != NODE_STAGING)
        return r;
    if (strcmp(name, "tensors") == 0 || strcmp(name, "npy") == 0)
        return -EBUSY;
    return strcmp(name, session->view_name) == 0 ? -EROFS : 0;
}

static int create_entry(struct session *session, enum stage_place place, const char *name, mode_t mode,
                        int flags, struct entry **ret_entry)
{
    int r = stage_create(session->stage, place, name, mode & 0777, ret_entry);
    if (r == -EEXIST && !(flags & O_EXCL))
        r = stage_lookup(session->stage, place, name, ret_entry);
    return r;
}

static int create(struct session *session, uint64_t parent, const char *name, mode_t mode, pid_t pid,
                  int flags, struct tree_node *ret_node, struct handle **ret_handle)
{
    struct entry *entry;

    closing_wait(session, parent);
    int r = check_name(session, parent, name);
    if (r < 0)
        return r;
    r = create_entry(session, place_in(parent), name, mode, flags, &entry);
    if (r < 0)
        return r;
    uint64_t number = number_of(view_in(parent), entry_id(entry));
    *ret_node = (struct tree_node){.number = number, .entry = entry};
    r = handle_open_entry(session, number, entry, flags, pid, ret_handle);
    if (r == 0) {
        r = attr_entry(session, number, entry, &ret_node->attr);
        if (r < 0)
            handle_close(session, *ret_handle);
    }
    if (r < 0)
        entry_unref(entry);
    return r;
}

/* See is_gone_for(). */
static void note_document(struct session *session, uint64_t parent, const char *name, pid_t gone_for)
{
    if (parent == NODE_STAGING && strcmp(name, "metadata.json") == 0)
        atomic_store(&session->document_unlinker, gone_for);
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *info)
{
    struct tree_node node;
    struct handle *handle;

    int r = create(session_of(req), parent, name, mode, fuse_req_ctx(req)->pid, info->flags, &node, &handle);
    note_document(session_of(req), parent, name, 0);
    if (r < 0)
        reply_status(req, r);
    else
        reply_created(req, &node, handle, info);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct session *session = session_of(req);

    closing_wait(session, parent);
    int r = check_name(session, parent, name);
    if (r == 0)
        r = stage_unlink(session->stage, place_in(parent), name);
    if (r == 0)
        note_document(session, parent, name, fuse_req_ctx(req)->pid);
    reply_status(req, r);
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    bool stands_in_root = strcmp(name, "staging") == 0 || strcmp(name, ".weightfs") == 0;
    int r = check_name(session_of(req), parent, name);

    if (r == 0)
        r = -ENOTDIR;
    else if (parent == NODE_ROOT && stands_in_root)
        r = -EBUSY;
    reply_status(req, r);
}

static int rename_name(struct session *session, uint64_t from, const char *name, uint64_t to,
                       const char *new_name, unsigned flags)
{
    closing_wait(session, from);
    if (check_directory(from) == -EROFS || check_directory(to) == -EROFS)
        return -EROFS;
    int r = check_name(session, from, name);
    if (r == 0)
        r = check_name(session, to, new_name);
    if (r == 0 && (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE)))
        r = -EINVAL;
    return r < 0 ? r : stage_rename(session->stage, place_in(from), name, place_in(to), new_name, flags);
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
               const char *new_name, unsigned flags)
{
    struct session *session = session_of(req);

    int r = rename_name(session, parent, name, new_parent, new_name, flags);
    if (r == 0) {
        note_document(session, parent, name, fuse_req_ctx(req)->pid);
        note_document(session, new_parent, new_name, 0);
    }
    reply_status(req, r);
}

static void refuse_to_make(fuse_req_t req, uint64_t parent)
{
    int r = check_directory(parent);
    reply_status(req, r < 0 ? r : -EPERM);
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    (void)name;
    (void)mode;
    refuse_to_make(req, parent);
}

/* A regular file can be made that way, too; tar does, to set its attributes first. */
static int make_file(struct session *session, uint64_t parent, const char *name, mode_t mode,
                     struct tree_node *ret_node)
{
    struct entry *entry;

    int r = check_name(session, parent, name);
    if (r == 0)
        r = stage_create(session->stage, place_in(parent), name, mode & 0777, &entry);
    if (r < 0)
        return r;
    *ret_node = (struct tree_node){.number = number_of(view_in(parent), entry_id(entry)), .entry = entry};
    r = attr_entry(session, ret_node->number, entry, &ret_node->attr);
    if (r < 0)
        entry_unref(entry);
    return r;
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
{
    struct tree_node node;

    (void)device;
    if (!S_ISREG(mode)) {
        refuse_to_make(req, parent);
        return;
    }
    int r = make_file(session_of(req), parent, name, mode, &node);
    if (r < 0)
        reply_status(req, r);
    else
        reply_node(req, &node);
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
    (void)target;
    (void)name;
    refuse_to_make(req, parent);
}

void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t new_parent, const char *new_name)
{
    (void)ino;
    (void)new_name;
    refuse_to_make(req, new_parent);
}
