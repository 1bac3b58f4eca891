/* SPDX-License-Identifier: Apache-2.0
 *
 * Names to inodes, and the attributes of inodes.
 */
#include "base/cleanup.h"
#include "mount/closing.h"
#include "mount/ops.h"

#include <string.h>

#define LONG_ABSENCE (24.0 * 60 * 60)

static void reply_absent(fuse_req_t req, uint64_t directory)
{
    const struct fuse_entry_param nothing = {.ino = 0, .entry_timeout = LONG_ABSENCE};

    if (tree_absence_lasts(directory))
        fuse_reply_entry(req, &nothing);
    else
        reply_status(req, -ENOENT);
}

/* tar and vim unlink metadata.json, or rename it away, and create it anew with O_EXCL. So it is gone for the
 * one who did that, until somebody else asks for it; in truth it cannot go. */
static bool is_gone_for(struct session *session, pid_t pid, uint64_t parent, const char *name)
{
    if (parent != NODE_STAGING || strcmp(name, "metadata.json") != 0)
        return false;
    if (pid != 0 && atomic_load(&session->document_unlinker) == pid)
        return true;
    atomic_store(&session->document_unlinker, 0);
    return false;
}

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct session *session = session_of(req);
    struct tree_node node;

    closing_wait(session, parent);
    int r = is_gone_for(session, fuse_req_ctx(req)->pid, parent, name)
                ? -ENOENT
                : tree_lookup(session, parent, name, &node);
    if (r == -ENOENT)
        reply_absent(req, parent);
    else if (r < 0)
        reply_status(req, r);
    else
        reply_node(req, &node);
}

void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
    node_forget(session_of(req)->nodes, ino, count);
    fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    for (size_t i = 0; i < count; i++)
        node_forget(session_of(req)->nodes, forgets[i].ino, forgets[i].nlookup);
    fuse_reply_none(req);
}

/* An mtime that the kernel learns after `is_set` it takes for the doing of that call, and keeps the pages it
 * has: they would hide what was written through another view since. So it is told one that is not the file's,
 * and good for no time: at the next question the two differ, and the pages go. */
static void answer_attr(fuse_req_t req, uint64_t number, const struct handle *handle, bool is_set)
{
    struct session *session = session_of(req);
    struct stat attr;
    bool lasting;

    closing_wait(session, number);
    int r = tree_attr(session, number, handle, &attr, &lasting);
    if (r < 0) {
        reply_status(req, r);
        return;
    }
    if (is_set)
        attr.st_mtim.tv_nsec ^= 1;
    reply_attr(req, &attr, lasting && !is_set);
}

/* A directory's handle is a listing: only files have something to add. */
static struct handle *file_handle(uint64_t number, const struct fuse_file_info *info)
{
    return info && number > NODE_WEIGHTFS ? handle_of(info) : NULL;
}

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
    answer_attr(req, ino, file_handle(ino, info), false);
}

/* --- setattr ---------------------------------------------------------------------------------- */

/* An owner can be "changed" to what it is, which copiers do. */
static int check_owner(struct session *session, const struct stat *attr, int which)
{
    if ((which & FUSE_SET_ATTR_UID) && attr->st_uid != session->owner)
        return -EPERM;
    if ((which & FUSE_SET_ATTR_GID) && attr->st_gid != session->group)
        return -EPERM;
    return 0;
}

static const struct timespec *wanted_time(int which, int set, int set_now, const struct timespec *given,
                                          const struct timespec *now)
{
    if (which & set_now)
        return now;
    return which & set ? given : NULL;
}

static int set_entry(struct session *session, struct entry *entry, enum stage_place place,
                     const struct stat *attr, int which)
{
    struct timespec now;
    int r = 0;

    clock_gettime(CLOCK_REALTIME, &now);
    const struct timespec *atime =
        wanted_time(which, FUSE_SET_ATTR_ATIME, FUSE_SET_ATTR_ATIME_NOW, &attr->st_atim, &now);
    const struct timespec *mtime =
        wanted_time(which, FUSE_SET_ATTR_MTIME, FUSE_SET_ATTR_MTIME_NOW, &attr->st_mtim, &now);
    if (which & FUSE_SET_ATTR_MODE)
        r = stage_set_mode(session->stage, entry, attr->st_mode & 0777);
    if (r == 0 && (which & FUSE_SET_ATTR_SIZE))
        r = stage_truncate(session->stage, entry, place, (uint64_t)attr->st_size);
    if (r == 0 && (atime || mtime))
        r = stage_set_times(session->stage, entry, atime, mtime);
    return r;
}

static int set_staged(struct session *session, uint64_t number, const struct handle *handle,
                      const struct stat *attr, int which)
{
    bool is_open = handle && handle->kind == HANDLE_STAGED;
    struct entry *entry = is_open ? entry_ref(handle->entry) : node_get(session->nodes, number);

    if (!entry)
        return -ESTALE;
    int r = check_owner(session, attr, which);
    if (r == 0)
        r = set_entry(session, entry, place_of_view(number_view(number)), attr, which);
    entry_unref(entry);
    return r;
}

/* Directories of staging/ keep mode and times of their own; rsync and tar may set them all the same. */
static int set_fixed(struct session *session, uint64_t number, const struct stat *attr, int which)
{
    if (number == NODE_STAGING || number == NODE_STAGING_TENSORS || number == NODE_STAGING_NPY)
        return check_owner(session, attr, which);
    return number == NODE_WEIGHTFS ? -EPERM : -EROFS;
}

static int set_attr(struct session *session, uint64_t number, const struct handle *handle,
                    const struct stat *attr, int which)
{
    switch (number_view(number)) {
    case VIEW_FIXED:
        return set_fixed(session, number, attr, which);
    case VIEW_STAGED_TENSOR:
    case VIEW_STAGED_NPY:
    case VIEW_STAGED_FILE:
        return set_staged(session, number, handle, attr, which);
    case VIEW_CONTROL: /* truncated and touched by shells and editors, to no effect */
        return which & (FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID) ? -EPERM : 0;
    default:
        return -EROFS;
    }
}

void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int which, struct fuse_file_info *info)
{
    struct session *session = session_of(req);
    struct handle *handle = file_handle(ino, info);

    int r = set_attr(session, ino, handle, attr, which);
    if (handle && (which & FUSE_SET_ATTR_SIZE))
        closing_wrote(session, handle);
    if (r < 0)
        reply_status(req, r);
    else
        answer_attr(req, ino, handle, true);
}
