/* SPDX-License-Identifier: Apache-2.0
 *
 * Positions: 0 is ".", 1 is "..", then the fixed names, then tensors or staged files.
 */
#include "mount/listing.h"

#include "base/cleanup.h"
#include "format/name.h"
#include "format/npy.h"

#include <stdio.h>
#include <string.h>

#define FIXED_MAX 6

struct fixed_name {
    const char *name;
    uint64_t number;
};

struct listing {
    uint64_t directory;
    uint64_t parent;
    struct current current;
    struct fixed_name fixed[FIXED_MAX];
    size_t fixed_count;
    enum view view;              /* of the tensors or staged files; VIEW_FIXED: there are none */
    struct stage_listing staged; /* of a directory of staging/ */
    LIST_ENTRY(listing) link;    /* session->listings */
};

static bool is_directory(uint64_t number)
{
    return number >= NODE_ROOT && number <= NODE_WEIGHTFS;
}

static void add_fixed(struct listing *listing, const char *name, uint64_t number)
{
    listing->fixed[listing->fixed_count++] = (struct fixed_name){name, number};
}

static void add_fixed_names(const struct session *session, struct listing *listing)
{
    switch (listing->directory) {
    case NODE_ROOT:
        add_fixed(listing, "metadata.json", number_of(VIEW_DOCUMENT, listing->current.number));
        add_fixed(listing, "tensors", NODE_TENSORS);
        add_fixed(listing, "npy", NODE_NPY);
        add_fixed(listing, session->view_name, number_of(VIEW_WHOLE, listing->current.number));
        add_fixed(listing, "staging", NODE_STAGING);
        add_fixed(listing, ".weightfs", NODE_WEIGHTFS);
        break;
    case NODE_STAGING:
        add_fixed(listing, "tensors", NODE_STAGING_TENSORS);
        add_fixed(listing, "npy", NODE_STAGING_NPY);
        add_fixed(listing, session->view_name, preview_number(session));
        break;
    case NODE_WEIGHTFS:
        add_fixed(listing, "control", number_of(VIEW_CONTROL, session->control_lookups));
        add_fixed(listing, "status", NODE_STATUS);
        add_fixed(listing, "status.json", NODE_STATUS_JSON);
        break;
    default:
        break;
    }
}

static int fill(struct session *session, struct listing *listing)
{
    listing->current = session_current(session);
    listing->parent = NODE_ROOT;
    add_fixed_names(session, listing);
    switch (listing->directory) {
    case NODE_TENSORS:
        listing->view = VIEW_TENSOR;
        return 0;
    case NODE_NPY:
        listing->view = VIEW_NPY;
        return 0;
    case NODE_STAGING:
        listing->view = VIEW_STAGED_FILE;
        return stage_list(session->stage, PLACE_ROOT, &listing->staged);
    case NODE_STAGING_TENSORS:
        listing->parent = NODE_STAGING;
        listing->view = VIEW_STAGED_TENSOR;
        return stage_list(session->stage, PLACE_TENSORS, &listing->staged);
    case NODE_STAGING_NPY:
        listing->parent = NODE_STAGING;
        listing->view = VIEW_STAGED_NPY;
        return stage_list(session->stage, PLACE_NPY, &listing->staged);
    default:
        listing->view = VIEW_FIXED;
        return 0;
    }
}

static void listing_free(struct listing *listing)
{
    generation_unref(listing->current.generation);
    stage_listing_free(&listing->staged);
    free(listing);
}

int listing_open(struct session *session, uint64_t directory, struct listing **ret_listing)
{
    if (!is_directory(directory))
        return -ENOTDIR;
    struct listing *listing = calloc(1, sizeof(*listing));
    if (!listing)
        return -ENOMEM;
    listing->directory = directory;
    int r = fill(session, listing);
    if (r < 0) {
        listing_free(listing);
        return r;
    }
    auto_lock(&session->lock);
    LIST_INSERT_HEAD(&session->listings, listing, link);
    *ret_listing = listing;
    return 0;
}

void listing_close(struct session *session, struct listing *listing)
{
    pthread_mutex_lock(&session->lock);
    LIST_REMOVE(listing, link);
    pthread_mutex_unlock(&session->lock);
    listing_free(listing);
}

void listing_close_all(struct session *session)
{
    struct listing *listing;

    while ((listing = LIST_FIRST(&session->listings)))
        listing_close(session, listing);
}

uint64_t listing_directory(const struct listing *listing)
{
    return listing->directory;
}

static bool is_staged(enum view view)
{
    return view == VIEW_STAGED_FILE || view == VIEW_STAGED_TENSOR || view == VIEW_STAGED_NPY;
}

/* False: the tensor has no file in this directory. */
static bool read_tensor(const struct listing *listing, size_t index, struct listing_entry *entry)
{
    const struct generation *generation = listing->current.generation;
    const struct wfs_tensor tensor = generation_tensor(generation, index);

    if (listing->view == VIEW_NPY && !npy_can_show(tensor.dtype, tensor.rank))
        return false;
    size_t length = name_encode(tensor.name, tensor.name_length, entry->buffer);
    if (listing->view == VIEW_NPY)
        memcpy(entry->buffer + length, ".npy", sizeof(".npy"));
    entry->name = entry->buffer;
    entry->number = number_of(listing->view, generation_version(generation, index).id);
    entry->type = S_IFREG;
    return true;
}

static bool read_item(const struct listing *listing, size_t index, struct listing_entry *entry)
{
    if (!is_staged(listing->view))
        return read_tensor(listing, index, entry);
    const struct stage_name *staged = &listing->staged.names[index];
    entry->name = staged->file_name;
    entry->number = number_of(listing->view, staged->id);
    entry->type = S_IFREG;
    return true;
}

static size_t item_count(const struct listing *listing)
{
    if (is_staged(listing->view))
        return listing->staged.count;
    return listing->view == VIEW_FIXED ? 0 : generation_count(listing->current.generation);
}

static void read_fixed(const char *name, uint64_t number, struct listing_entry *entry)
{
    entry->name = name;
    entry->number = number;
    entry->type = is_directory(number) ? S_IFDIR : S_IFREG;
}

bool listing_next(const struct listing *listing, uint64_t *position, struct listing_entry *ret_entry)
{
    size_t items = item_count(listing);

    if (*position < 2) {
        bool dot = (*position)++ == 0;
        read_fixed(dot ? "." : "..", dot ? listing->directory : listing->parent, ret_entry);
        return true;
    }
    if (*position < 2 + listing->fixed_count) {
        const struct fixed_name *fixed = &listing->fixed[(*position)++ - 2];
        read_fixed(fixed->name, fixed->number, ret_entry);
        return true;
    }
    for (uint64_t i = *position - 2 - listing->fixed_count; i < items; i++) {
        (*position)++;
        if (read_item(listing, (size_t)i, ret_entry))
            return true;
    }
    return false;
}

bool listing_attr(struct session *session, const struct listing *listing, const struct listing_entry *entry,
                  struct stat *ret_attr, bool *ret_lasting)
{
    enum view view = number_view(entry->number);
    size_t index;

    switch (view) {
    case VIEW_FIXED:
        return listing->directory == NODE_ROOT && entry->name[0] != '.' &&
               tree_attr(session, entry->number, NULL, ret_attr, ret_lasting) == 0;
    case VIEW_TENSOR:
    case VIEW_NPY:
        if (!generation_find_id(listing->current.generation, number_id(entry->number), &index))
            return false;
        attr_tensor(session, listing->current.generation, index, view, ret_attr);
        break;
    case VIEW_DOCUMENT:
    case VIEW_WHOLE:
        attr_model_file(session, &listing->current, view, ret_attr);
        break;
    default:
        return false;
    }
    *ret_lasting = true;
    return true;
}
