/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening, reading and closing files.
 */
#include "mount/closing.h"
#include "mount/ops.h"
#include "mount/passthrough.h"

#include <fcntl.h>

/* What the kernel may keep of a file: all of one that never changes under its number, nothing of a report. */
static void set_caching(const struct handle *handle, struct fuse_file_info *info)
{
    switch (number_view(handle->number)) {
    case VIEW_FIXED:
    case VIEW_CONTROL:
        info->direct_io = 1;
        break;
    case VIEW_STAGED_TENSOR:
    case VIEW_STAGED_NPY:
    case VIEW_STAGED_FILE:
        break;
    default:
        info->keep_cache = 1;
        break;
    }
    info->noflush = (info->flags & O_ACCMODE) == O_RDONLY;
}

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
    struct session *session = session_of(req);
    struct handle *handle;

    closing_wait(session, ino);
    passthrough_try(session->passthrough);
    int r = handle_open(session, ino, info->flags, fuse_req_ctx(req)->pid, &handle);
    if (r < 0) {
        reply_status(req, r);
        return;
    }
    set_handle(info, handle);
    set_caching(handle, info);
    r = passthrough_open(session->passthrough, handle, info);
    if (r < 0) {
        handle_close(session, handle);
        reply_status(req, r);
        return;
    }
    if (fuse_reply_open(req, info) < 0)
        handle_close(session, handle);
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *info)
{
    struct session *session = session_of(req);
    struct image *image;

    closing_wait(session, ino);
    int r = handle_image(session, handle_of(info), &image);
    if (r < 0) {
        reply_status(req, r);
        return;
    }
    reply_image(req, image, (uint64_t)offset, size);
    image_unref(image);
}

void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
    struct handle *handle = handle_of(info);

    (void)ino;
    int r = handle->kind == HANDLE_STAGED ? stage_flush(handle->staged) : 0;
    closing_flushed(session_of(req), handle, fuse_req_ctx(req)->pid);
    reply_status(req, r);
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
    (void)ino;
    handle_close(session_of(req), handle_of(info));
    reply_status(req, 0);
}
