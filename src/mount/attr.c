/* SPDX-License-Identifier: Apache-2.0 */
#include "format/npy.h"
#include "mount/tree.h"

#include <string.h>

#define BLOCK        512u
#define PREFERRED_IO (1u << 20)

static void set_times(struct stat *attr, struct timespec time)
{
    attr->st_atim = time;
    attr->st_mtim = time;
    attr->st_ctim = time;
}

static struct stat plain(uint64_t number, mode_t type, uint64_t size)
{
    struct stat attr;
    memset(&attr, 0, sizeof(attr));
    attr.st_ino = number;
    attr.st_mode = type;
    attr.st_nlink = 1;
    attr.st_size = (off_t)size;
    attr.st_blksize = PREFERRED_IO;
    return attr;
}

/* --- the read-only tree: owner and group of the source ---------------------------------------- */

static void own_as_source(const struct session *session, const struct generation *generation,
                          struct stat *attr)
{
    if (generation_is_empty(generation)) {
        attr->st_uid = session->owner;
        attr->st_gid = session->group;
        attr->st_mode |= S_ISDIR(attr->st_mode) ? 0555 : 0444;
        set_times(attr, session->begun);
        return;
    }
    const struct stat *source = generation_stat(generation);
    attr->st_uid = source->st_uid;
    attr->st_gid = source->st_gid;
    attr->st_mode |= S_ISDIR(attr->st_mode) ? 0555 : (source->st_mode & 0444);
    set_times(attr, source->st_mtim);
}

static uint64_t npy_header_size(const struct wfs_tensor *tensor)
{
    auto_bytes header = BYTES_EMPTY;
    npy_encode(tensor->dtype, tensor->rank, tensor->shape, &header);
    return header.length;
}

void attr_tensor(const struct session *session, const struct generation *generation, size_t index,
                 enum view view, struct stat *ret_attr)
{
    const struct wfs_tensor tensor = generation_tensor(generation, index);
    const struct generation_version version = generation_version(generation, index);
    uint64_t size = tensor.end - tensor.begin;

    if (view == VIEW_NPY)
        size += npy_header_size(&tensor);
    *ret_attr = plain(number_of(view, version.id), S_IFREG, size);
    own_as_source(session, generation, ret_attr);
    set_times(ret_attr, version.mtime);
    if (view == VIEW_TENSOR)
        ret_attr->st_blocks = (blkcnt_t)(size / BLOCK + (size % BLOCK != 0));
}

void attr_model_file(const struct session *session, const struct current *current, enum view view,
                     struct stat *ret_attr)
{
    struct generation *generation = current->generation;
    uint64_t size = 0;

    if (view == VIEW_DOCUMENT)
        size = generation_document_size(generation);
    else if (generation_file(generation))
        size = file_identity(generation_file(generation))->size;
    *ret_attr = plain(number_of(view, current->number), S_IFREG, size);
    own_as_source(session, generation, ret_attr);
}

/* --- staging/ and .weightfs/: owner and group of who mounted ---------------------------------- */

static void own_as_mounter(const struct session *session, struct stat *attr, mode_t mode)
{
    mode_t wider = session->options->staging_mode & 077;

    attr->st_uid = session->owner;
    attr->st_gid = session->group;
    attr->st_mode |= mode | (S_ISDIR(attr->st_mode) ? wider : wider & 066);
}

static void attr_directory_of_mounter(struct session *session, enum fixed_node node, struct stat *attr)
{
    own_as_mounter(session, attr, 0700);
    set_times(attr, node == NODE_WEIGHTFS ? session->begun : stage_mtime(session->stage));
}

static int attr_status(struct session *session, enum fixed_node node, struct stat *attr)
{
    struct timespec now;
    uint64_t size;

    int r = session_status_size(session, node == NODE_STATUS_JSON, &size);
    if (r < 0)
        return r;
    clock_gettime(CLOCK_REALTIME, &now);
    *attr = plain(node, S_IFREG, size);
    own_as_mounter(session, attr, 0600);
    set_times(attr, now);
    return 0;
}

static nlink_t link_count(enum fixed_node node)
{
    switch (node) {
    case NODE_ROOT: /* tensors, npy, staging, .weightfs */
        return 2 + 4;
    case NODE_STAGING:
        return 2 + 2;
    default:
        return 2;
    }
}

int attr_fixed(struct session *session, enum fixed_node node, struct stat *ret_attr)
{
    *ret_attr = plain(node, S_IFDIR, 0);
    ret_attr->st_nlink = link_count(node);
    switch (node) {
    case NODE_ROOT:
    case NODE_TENSORS:
    case NODE_NPY: {
        auto_current current = session_current(session);
        own_as_source(session, current.generation, ret_attr);
        return 0;
    }
    case NODE_STAGING:
    case NODE_STAGING_TENSORS:
    case NODE_STAGING_NPY:
    case NODE_WEIGHTFS:
        attr_directory_of_mounter(session, node, ret_attr);
        return 0;
    case NODE_STATUS:
    case NODE_STATUS_JSON:
        return attr_status(session, node, ret_attr);
    }
    return -ESTALE;
}

int attr_entry(struct session *session, uint64_t number, struct entry *entry, struct stat *ret_attr)
{
    struct stage_attr attr;

    int r = entry_attr(session->stage, entry, place_of_view(number_view(number)), &attr);
    if (r < 0)
        return r;
    *ret_attr = plain(number, S_IFREG, attr.size);
    own_as_mounter(session, ret_attr, attr.mode);
    ret_attr->st_nlink = attr.is_linked ? 1 : 0;
    ret_attr->st_blocks = (blkcnt_t)attr.blocks;
    ret_attr->st_atim = attr.atime;
    ret_attr->st_mtim = attr.mtime;
    ret_attr->st_ctim = attr.ctime;
    return 0;
}

void attr_preview(struct session *session, uint64_t number, struct stat *ret_attr)
{
    *ret_attr = plain(number, S_IFREG, stage_preview_size(session->stage));
    own_as_mounter(session, ret_attr, 0600);
    set_times(ret_attr, stage_model_time(session->stage));
}

void attr_control(const struct session *session, uint64_t number, struct stat *ret_attr)
{
    *ret_attr = plain(number, S_IFREG, 0);
    own_as_mounter(session, ret_attr, 0600);
    set_times(ret_attr, session->begun);
}
