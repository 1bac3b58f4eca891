/* SPDX-License-Identifier: Apache-2.0 */
#include "mount/reply.h"

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "mount/behind.h"

#include <string.h>

/* What the kernel may remember without asking again. A commit tells it what has changed. */
#define LONG_TIMEOUT (24.0 * 60 * 60)

/* Below this a splice costs more than it saves; libfuse would copy through a malloc'd buffer. */
#define SMALL_READ 8192u

#define PAGE_SIZE 4096u /* as in max_read: libfuse counts so, too */

struct session *session_of(fuse_req_t req)
{
    return fuse_req_userdata(req);
}

struct handle *handle_of(const struct fuse_file_info *info)
{
    return (struct handle *)(uintptr_t)info->fh; /* NOLINT(performance-no-int-to-ptr) */
}

struct listing *listing_of(const struct fuse_file_info *info)
{
    return (struct listing *)(uintptr_t)info->fh; /* NOLINT(performance-no-int-to-ptr) */
}

void set_handle(struct fuse_file_info *info, struct handle *handle)
{
    info->fh = (uintptr_t)handle;
}

void set_listing(struct fuse_file_info *info, struct listing *listing)
{
    info->fh = (uintptr_t)listing;
}

void reply_status(fuse_req_t req, int r)
{
    fuse_reply_err(req, -r);
}

struct fuse_entry_param entry_param(const struct tree_node *node)
{
    struct fuse_entry_param param;
    memset(&param, 0, sizeof(param));
    param.ino = node->number;
    param.attr = node->attr;
    param.entry_timeout = node->lasting_name ? LONG_TIMEOUT : 0;
    param.attr_timeout = node->lasting_attr ? LONG_TIMEOUT : 0;
    return param;
}

/* Counts the lookup that a reply is about to give the kernel. */
static int remember(struct session *session, struct tree_node *node)
{
    if (!node->entry)
        return 0;
    int r = node_remember(session->nodes, node->number, node->entry);
    entry_unref(node->entry);
    node->entry = NULL;
    return r;
}

void reply_node(fuse_req_t req, struct tree_node *node)
{
    struct session *session = session_of(req);

    int r = remember(session, node);
    if (r < 0) {
        reply_status(req, r);
        return;
    }
    const struct fuse_entry_param param = entry_param(node);
    if (fuse_reply_entry(req, &param) < 0)
        node_forget(session->nodes, node->number, 1);
}

void reply_created(fuse_req_t req, struct tree_node *node, struct handle *handle, struct fuse_file_info *info)
{
    struct session *session = session_of(req);

    int r = remember(session, node);
    if (r < 0) {
        handle_close(session, handle);
        reply_status(req, r);
        return;
    }
    set_handle(info, handle);
    const struct fuse_entry_param param = entry_param(node);
    if (fuse_reply_create(req, &param, info) < 0) {
        handle_close(session, handle);
        node_forget(session->nodes, node->number, 1);
    }
}

void reply_attr(fuse_req_t req, const struct stat *attr, bool lasting)
{
    fuse_reply_attr(req, attr, lasting ? LONG_TIMEOUT : 0);
}

/* --- bytes ------------------------------------------------------------------------------------ */

/* -ESTALE when a source among the parts was changed in place: what is in it now is not what was opened. Spool
 * files, which have a name, are ours to change. */
static int check_sources(const struct image_slice *slice)
{
    const struct file *checked = NULL;

    for (size_t i = 0; i < slice->count; i++) {
        struct file *file = slice->parts[i].file;
        if (!file || file == checked || file_name(file))
            continue;
        int r = file_check(file);
        if (r < 0)
            return r;
        checked = file;
    }
    return 0;
}

static void reply_copy(fuse_req_t req, const struct image *image, uint64_t offset, char *buffer, size_t size)
{
    ssize_t count = image_read(image, buffer, size, offset);
    if (count < 0)
        reply_status(req, (int)count);
    else
        fuse_reply_buf(req, buffer, (size_t)count);
}

/* A vector for as many parts as a slice can have. */
struct reply_vector {
    struct fuse_bufvec head; /* has room for the first part */
    struct fuse_buf more[IMAGE_SLICE_PARTS - 1];
};

static void reply_spliced(fuse_req_t req, const struct image_slice *slice)
{
    struct reply_vector vector = {.head = {.count = slice->count}};
    struct fuse_buf *buffers = vector.head.buf;

    for (size_t i = 0; i < slice->count; i++) {
        const struct image_slice_part *part = &slice->parts[i];
        buffers[i] = (struct fuse_buf){.size = part->length, .mem = (void *)part->memory, .fd = -1};
        if (part->fd < 0)
            continue;
        buffers[i].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK | FUSE_BUF_FD_RETRY;
        buffers[i].fd = part->fd;
        buffers[i].pos = (off_t)part->offset;
    }
    fuse_reply_data(req, &vector.head, 0);
}

/* What a pipe can have without privileges. A slice that does not fit would be spliced in part, and the rest
 * copied with what is in the pipe already. */
#define PIPE_PAGES 256u

static size_t pages_touched(const struct image_slice_part *part)
{
    uint64_t begin = part->fd < 0 ? PAGE_SIZE - 1 : part->offset % PAGE_SIZE; /* memory may begin anywhere */
    return (size_t)((begin + part->length + PAGE_SIZE - 1) / PAGE_SIZE);
}

static bool fits_pipe(const struct image_slice *slice)
{
    size_t pages = 1; /* the header of the reply */

    for (size_t i = 0; i < slice->count; i++)
        pages += pages_touched(&slice->parts[i]);
    return pages <= PIPE_PAGES;
}

static void reply_slice(fuse_req_t req, const struct image *image, uint64_t offset, size_t size,
                        const struct image_slice *slice)
{
    if (size < SMALL_READ) {
        char buffer[SMALL_READ];
        reply_copy(req, image, offset, buffer, size);
        return;
    }
    if (slice->length == size && fits_pipe(slice)) {
        reply_spliced(req, slice);
        return;
    }
    auto_free char *buffer = malloc(size);
    if (buffer)
        reply_copy(req, image, offset, buffer, size);
    else
        reply_status(req, -ENOMEM);
}

void reply_image(fuse_req_t req, const struct image *image, uint64_t offset, size_t size)
{
    struct behind *behind = session_of(req)->behind;
    struct image_slice slice;
    uint64_t length = image_length(image);

    size = offset >= length ? 0 : (size_t)min_u64(size, length - offset);
    if (size == 0) {
        fuse_reply_buf(req, NULL, 0);
        return;
    }
    int r = image_slice(image, offset, size, &slice);
    if (r < 0) {
        reply_status(req, r);
        return;
    }
    r = check_sources(&slice);
    if (r < 0) {
        reply_status(req, r);
    } else {
        if (behind)
            behind_before(behind, &slice);
        reply_slice(req, image, offset, size, &slice);
        if (behind)
            behind_after(behind, &slice);
    }
    image_slice_done(&slice);
}
