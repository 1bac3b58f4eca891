/* SPDX-License-Identifier: Apache-2.0 */
#include "mount/tree.h"

#include "base/cleanup.h"
#include "format/npy.h"

#include <string.h>

#define NPY_SUFFIX ".npy"

static int fixed(struct session *session, enum fixed_node node, struct tree_node *ret)
{
    ret->number = node;
    ret->lasting_name = node != NODE_STATUS && node != NODE_STATUS_JSON;
    ret->lasting_attr = node == NODE_ROOT || node == NODE_TENSORS || node == NODE_NPY;
    return attr_fixed(session, node, &ret->attr);
}

/* --- the read-only tree ----------------------------------------------------------------------- */

static int lookup_root(struct session *session, const char *name, struct tree_node *ret)
{
    enum view view = VIEW_WHOLE;

    if (strcmp(name, "tensors") == 0)
        return fixed(session, NODE_TENSORS, ret);
    if (strcmp(name, "npy") == 0)
        return fixed(session, NODE_NPY, ret);
    if (strcmp(name, "staging") == 0)
        return fixed(session, NODE_STAGING, ret);
    if (strcmp(name, ".weightfs") == 0)
        return fixed(session, NODE_WEIGHTFS, ret);
    if (strcmp(name, "metadata.json") == 0)
        view = VIEW_DOCUMENT;
    else if (strcmp(name, session->view_name) != 0)
        return -ENOENT;

    auto_current current = session_current(session);
    attr_model_file(session, &current, view, &ret->attr);
    ret->number = ret->attr.st_ino;
    ret->lasting_name = ret->lasting_attr = true;
    return 0;
}

/* The tensor that a name of npy/ stands for. */
static bool find_npy(const struct generation *generation, const char *name, size_t *ret_index)
{
    char stem[256];
    size_t length = strlen(name);
    size_t suffix = strlen(NPY_SUFFIX);

    if (length <= suffix || length >= sizeof(stem) || strcmp(name + length - suffix, NPY_SUFFIX) != 0)
        return false;
    memcpy(stem, name, length - suffix);
    stem[length - suffix] = '\0';
    if (!generation_find_file(generation, stem, ret_index))
        return false;
    const struct wfs_tensor tensor = generation_tensor(generation, *ret_index);
    return npy_can_show(tensor.dtype, tensor.rank);
}

static int lookup_tensor(struct session *session, enum view view, const char *name, struct tree_node *ret)
{
    auto_current current = session_current(session);
    size_t index;
    bool found = view == VIEW_NPY ? find_npy(current.generation, name, &index)
                                  : generation_find_file(current.generation, name, &index);

    if (!found)
        return -ENOENT;
    attr_tensor(session, current.generation, index, view, &ret->attr);
    ret->number = ret->attr.st_ino;
    ret->lasting_name = ret->lasting_attr = true;
    return 0;
}

/* --- staging/ and .weightfs/ ------------------------------------------------------------------ */

static int lookup_entry(struct session *session, enum view view, const char *name, struct tree_node *ret)
{
    struct entry *entry;

    int r = stage_lookup(session->stage, place_of_view(view), name, &entry);
    if (r < 0)
        return r;
    ret->number = number_of(view, entry_id(entry));
    r = attr_entry(session, ret->number, entry, &ret->attr);
    if (r < 0)
        entry_unref(entry);
    else
        ret->entry = entry;
    return r;
}

uint64_t preview_number(const struct session *session)
{
    return number_of(VIEW_PREVIEW, stage_change_count(session->stage) + 1);
}

static int lookup_staging(struct session *session, const char *name, struct tree_node *ret)
{
    if (strcmp(name, "tensors") == 0)
        return fixed(session, NODE_STAGING_TENSORS, ret);
    if (strcmp(name, "npy") == 0)
        return fixed(session, NODE_STAGING_NPY, ret);
    if (strcmp(name, session->view_name) != 0)
        return lookup_entry(session, VIEW_STAGED_FILE, name, ret);
    ret->number = preview_number(session);
    attr_preview(session, ret->number, &ret->attr);
    return 0;
}

static int lookup_weightfs(struct session *session, const char *name, struct tree_node *ret)
{
    if (strcmp(name, "status") == 0)
        return fixed(session, NODE_STATUS, ret);
    if (strcmp(name, "status.json") == 0)
        return fixed(session, NODE_STATUS_JSON, ret);
    if (strcmp(name, "control") != 0)
        return -ENOENT;
    ret->number = number_of(VIEW_CONTROL, ++session->control_lookups);
    attr_control(session, ret->number, &ret->attr);
    return 0;
}

int tree_lookup(struct session *session, uint64_t directory, const char *name, struct tree_node *ret_node)
{
    *ret_node = (struct tree_node){.entry = NULL};
    switch (directory) {
    case NODE_ROOT:
        return lookup_root(session, name, ret_node);
    case NODE_TENSORS:
        return lookup_tensor(session, VIEW_TENSOR, name, ret_node);
    case NODE_NPY:
        return lookup_tensor(session, VIEW_NPY, name, ret_node);
    case NODE_STAGING:
        return lookup_staging(session, name, ret_node);
    case NODE_STAGING_TENSORS:
        return lookup_entry(session, VIEW_STAGED_TENSOR, name, ret_node);
    case NODE_STAGING_NPY:
        return lookup_entry(session, VIEW_STAGED_NPY, name, ret_node);
    case NODE_WEIGHTFS:
        return lookup_weightfs(session, name, ret_node);
    default:
        return -ENOTDIR;
    }
}

bool tree_absence_lasts(uint64_t directory)
{
    return directory == NODE_ROOT || directory == NODE_TENSORS || directory == NODE_NPY;
}

/* --- attributes ------------------------------------------------------------------------------- */

/* In one generation; -ESTALE when it does not know the number. */
static int attr_in(struct session *session, const struct current *current, uint64_t number,
                   struct stat *ret_attr)
{
    enum view view = number_view(number);
    size_t index;

    if (view == VIEW_DOCUMENT || view == VIEW_WHOLE) {
        if (number_id(number) != current->number)
            return -ESTALE;
        attr_model_file(session, current, view, ret_attr);
        return 0;
    }
    if (!generation_find_id(current->generation, number_id(number), &index))
        return -ESTALE;
    attr_tensor(session, current->generation, index, view, ret_attr);
    return 0;
}

/* After a commit the number of an open file may be known to its handle's generation only. */
static int attr_model(struct session *session, uint64_t number, struct stat *ret_attr)
{
    auto_current current = session_current(session);
    int r = attr_in(session, &current, number, ret_attr);
    if (r != -ESTALE)
        return r;
    auto_current held = handle_origin(session, number);
    return held.generation ? attr_in(session, &held, number, ret_attr) : -ESTALE;
}

static int attr_staged(struct session *session, uint64_t number, struct stat *ret_attr)
{
    struct entry *entry = node_get(session->nodes, number);
    if (!entry)
        return -ESTALE;
    int r = attr_entry(session, number, entry, ret_attr);
    entry_unref(entry);
    return r;
}

static int attr_of_preview(struct session *session, uint64_t number, struct stat *ret_attr)
{
    if (number != preview_number(session))
        return -ESTALE;
    attr_preview(session, number, ret_attr);
    return 0;
}

int tree_attr(struct session *session, uint64_t number, const struct handle *handle, struct stat *ret_attr,
              bool *ret_lasting)
{
    enum view view = number_view(number);

    *ret_lasting = number == NODE_ROOT || number == NODE_TENSORS || number == NODE_NPY ||
                   (view >= VIEW_TENSOR && view <= VIEW_WHOLE);
    switch (view) {
    case VIEW_FIXED:
        break;
    case VIEW_TENSOR:
    case VIEW_NPY:
    case VIEW_DOCUMENT:
    case VIEW_WHOLE:
        return attr_model(session, number, ret_attr);
    case VIEW_STAGED_TENSOR:
    case VIEW_STAGED_NPY:
    case VIEW_STAGED_FILE:
        if (handle && handle->kind == HANDLE_STAGED)
            return attr_entry(session, number, handle->entry, ret_attr);
        return attr_staged(session, number, ret_attr);
    case VIEW_PREVIEW:
        return attr_of_preview(session, number, ret_attr);
    case VIEW_CONTROL:
        attr_control(session, number, ret_attr);
        return 0;
    }
    return attr_fixed(session, (enum fixed_node)number, ret_attr);
}
