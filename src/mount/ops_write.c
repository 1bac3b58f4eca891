/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes into staging/, and commands into control.
 */
#include "base/cleanup.h"
#include "mount/closing.h"
#include "mount/control.h"
#include "mount/ops.h"

/* The reply's count has 32 bits; a whole number of pages is left below that. */
#define COPY_MAX ((size_t)1 << 31)

static void reply_count(fuse_req_t req, ssize_t count)
{
    if (count < 0)
        reply_status(req, (int)count);
    else
        fuse_reply_write(req, (size_t)count);
}

void op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
              struct fuse_file_info *info)
{
    struct session *session = session_of(req);
    struct handle *handle = handle_of(info);
    struct stage_handle *staged;

    (void)ino;
    if (handle->kind == HANDLE_CONTROL) {
        closing_wait(session, ino);
        control_write(session->control, req, data, size);
        return;
    }
    if (handle->kind != HANDLE_STAGED) {
        reply_status(req, -EROFS);
        return;
    }
    closing_wrote(session, handle);
    staged = handle->staged;
    if (info->writepage) { /* a page that was changed through a mapping belongs where it is */
        int r = handle_positional(session, handle, &staged);
        if (r < 0) {
            reply_status(req, r);
            return;
        }
    }
    reply_count(req, stage_write(staged, data, size, (uint64_t)offset));
}

/* Where an image comes from, when it is all of a tensor's file. */
static bool describe_origin(const struct handle *handle, struct stage_origin *ret_origin)
{
    enum view view = number_view(handle->number);

    *ret_origin = (struct stage_origin){.place = view == VIEW_NPY || view == VIEW_STAGED_NPY ? PLACE_NPY
                                                                                             : PLACE_TENSORS};
    switch (view) {
    case VIEW_TENSOR:
    case VIEW_NPY:
        ret_origin->generation = handle->origin.generation;
        return generation_find_id(handle->origin.generation, number_id(handle->number), &ret_origin->index);
    case VIEW_STAGED_TENSOR:
    case VIEW_STAGED_NPY:
        ret_origin->entry = handle->entry;
        return true;
    default:
        return false;
    }
}

static ssize_t copy(struct session *session, struct handle *from, uint64_t from_offset, struct handle *to,
                    uint64_t to_offset, size_t length)
{
    struct stage_origin origin;
    struct image *image;

    if (to->kind != HANDLE_STAGED)
        return -EOPNOTSUPP;
    closing_wait(session, from->number);
    closing_wrote(session, to);
    int r = handle_image(session, from, &image);
    if (r < 0)
        return r;
    bool is_tensor = describe_origin(from, &origin);
    ssize_t count = stage_copy(to->staged, to_offset, image, from_offset,
                               length < COPY_MAX ? length : COPY_MAX, is_tensor ? &origin : NULL);
    image_unref(image);
    return count;
}

/* NOLINTNEXTLINE(readability-function-size): the kernel's nine arguments */
void op_copy_file_range(fuse_req_t req, fuse_ino_t from, off_t from_offset, struct fuse_file_info *from_info,
                        fuse_ino_t to, off_t to_offset, struct fuse_file_info *to_info, size_t length,
                        int flags)
{
    (void)from;
    (void)to;
    if (flags) {
        reply_status(req, -EINVAL);
        return;
    }
    reply_count(req, copy(session_of(req), handle_of(from_info), (uint64_t)from_offset, handle_of(to_info),
                          (uint64_t)to_offset, length));
}

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
                  struct fuse_file_info *info)
{
    struct handle *handle = handle_of(info);

    (void)ino;
    closing_wrote(session_of(req), handle);
    if (handle->kind == HANDLE_STAGED)
        reply_status(req, stage_fallocate(handle->staged, mode, (uint64_t)offset, (uint64_t)length));
    else
        reply_status(req, -EROFS);
}

void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *info)
{
    const struct handle *handle = handle_of(info);

    (void)ino;
    (void)datasync;
    reply_status(req,
                 handle->kind == HANDLE_STAGED ? stage_sync_entry(session_of(req)->stage, handle->entry) : 0);
}
