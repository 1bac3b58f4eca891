/* SPDX-License-Identifier: Apache-2.0
 *
 * Extended attributes: user.safetensors.dtype, .shape and .name of a tensor's files, in staging/ to be set as
 * well.
 */
#include "format/shape.h"
#include "mount/closing.h"
#include "mount/ops.h"

#include <string.h>
#include <sys/xattr.h>

#define PREFIX "user.safetensors."

static const char *const names[] = {PREFIX "dtype", PREFIX "shape", PREFIX "name"};

/* --- a tensor of the read-only tree ----------------------------------------------------------- */

static int model_get(const struct current *current, uint64_t number, const char *name, struct bytes *out)
{
    size_t index;

    if (!generation_find_id(current->generation, number_id(number), &index))
        return -ESTALE;
    const struct wfs_tensor tensor = generation_tensor(current->generation, index);
    if (strcmp(name, PREFIX "dtype") == 0)
        bytes_string(out, wfs_dtype_name(tensor.dtype));
    else if (strcmp(name, PREFIX "shape") == 0)
        shape_print(out, tensor.rank, tensor.shape);
    else if (strcmp(name, PREFIX "name") == 0)
        bytes_append(out, tensor.name, tensor.name_length);
    else
        return -ENODATA;
    return 0;
}

static void model_list(struct bytes *out)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        bytes_append(out, names[i], strlen(names[i]) + 1);
}

/* --- all of them ------------------------------------------------------------------------------ */

static bool is_tensor(uint64_t number)
{
    return number_view(number) == VIEW_TENSOR || number_view(number) == VIEW_NPY;
}

static bool is_entry(uint64_t number)
{
    enum view view = number_view(number);
    return view == VIEW_STAGED_TENSOR || view == VIEW_STAGED_NPY || view == VIEW_STAGED_FILE;
}

/* The kernel asks for security.capability before every write, and `ls -l` for security.selinux of every file,
 * unless one answer says that there is nothing of the kind here. */
static int get(struct session *session, uint64_t number, const char *name, struct bytes *out)
{
    if (strncmp(name, "user.", strlen("user.")) != 0)
        return -EOPNOTSUPP;
    if (is_tensor(number)) {
        auto_current current = session_current(session);
        return model_get(&current, number, name, out);
    }
    if (!is_entry(number))
        return -ENODATA;
    closing_wait(session, number);
    struct entry *entry = node_get(session->nodes, number);
    int r = entry ? stage_xattr_get(session->stage, entry, name, out) : -ESTALE;
    entry_unref(entry);
    return r;
}

static int list(struct session *session, uint64_t number, struct bytes *out)
{
    if (is_tensor(number))
        model_list(out);
    if (!is_entry(number))
        return 0;
    closing_wait(session, number);
    struct entry *entry = node_get(session->nodes, number);
    int r = entry ? stage_xattr_list(session->stage, entry, out) : -ESTALE;
    entry_unref(entry);
    return r;
}

/* Why attributes of a node cannot be changed; 0 when they can. */
static int check_change(uint64_t number, const char *name)
{
    if (!is_entry(number))
        return number >= NODE_STAGING && number <= NODE_STATUS_JSON ? -EOPNOTSUPP : -EROFS;
    return strncmp(name, "user.", strlen("user.")) == 0 ? 0 : -EOPNOTSUPP;
}

/* Answers with the value, or with its size when the caller asks for that. */
static void reply_value(fuse_req_t req, int r, const struct bytes *value, size_t size)
{
    if (r == 0 && value->failed)
        r = -ENOMEM;
    if (r == 0 && size > 0 && value->length > size)
        r = -ERANGE;
    if (r < 0)
        reply_status(req, r);
    else if (size == 0)
        fuse_reply_xattr(req, value->length);
    else
        fuse_reply_buf(req, value->data, value->length);
}

void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    auto_bytes value = BYTES_EMPTY;
    int r = get(session_of(req), ino, name, &value);
    reply_value(req, r, &value, size);
}

void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
    auto_bytes value = BYTES_EMPTY;
    int r = list(session_of(req), ino, &value);
    reply_value(req, r, &value, size);
}

static int check_flags(struct stage *stage, struct entry *entry, const char *name, int flags)
{
    auto_bytes value = BYTES_EMPTY;
    bool is_there = flags && stage_xattr_get(stage, entry, name, &value) == 0;

    if (is_there && (flags & XATTR_CREATE))
        return -EEXIST;
    return !is_there && (flags & XATTR_REPLACE) ? -ENODATA : 0;
}

void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags)
{
    struct session *session = session_of(req);

    closing_wait(session, ino);
    int r = check_change(ino, name);
    if (r == 0) {
        struct entry *entry = node_get(session->nodes, ino);
        r = entry ? check_flags(session->stage, entry, name, flags) : -ESTALE;
        r = r < 0 ? r : stage_xattr_set(session->stage, entry, name, value, size);
        entry_unref(entry);
    }
    reply_status(req, r);
}

void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
    struct session *session = session_of(req);

    closing_wait(session, ino);
    int r = check_change(ino, name);
    if (r == 0) {
        struct entry *entry = node_get(session->nodes, ino);
        r = entry ? stage_xattr_remove(session->stage, entry, name) : -ESTALE;
        entry_unref(entry);
    }
    reply_status(req, r);
}
