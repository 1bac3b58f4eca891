/* SPDX-License-Identifier: Apache-2.0
 *
 * What lies in a directory of staging/, and how much is staged.
 */
#include "format/name.h"
#include "format/npy.h"
#include "stage/pending.h"

#include <string.h>

/* Names are appended to one block that moves while it grows, so they are offsets until the end. */
struct listing {
    struct bytes text;
    struct stage_name *names; /* file_name unset */
    size_t *offsets;          /* of each name in text */
    size_t count, capacity;
    bool failed;
};

static void add_name(struct listing *listing, const char *file_name, const char *ending, uint64_t id)
{
    if (listing->count == listing->capacity) {
        size_t capacity = listing->capacity ? listing->capacity * 2 : 64;
        struct stage_name *names = realloc(listing->names, capacity * sizeof(*names));
        if (names)
            listing->names = names;
        size_t *offsets = realloc(listing->offsets, capacity * sizeof(*offsets));
        if (offsets)
            listing->offsets = offsets;
        if (!names || !offsets) {
            listing->failed = true;
            return;
        }
        listing->capacity = capacity;
    }
    listing->offsets[listing->count] = listing->text.length;
    listing->names[listing->count++] = (struct stage_name){.id = id};
    bytes_string(&listing->text, file_name);
    bytes_string(&listing->text, ending);
    bytes_char(&listing->text, '\0');
}

static void add_tensor(struct listing *listing, const char *name, size_t length, enum stage_place place,
                       uint64_t id)
{
    char file_name[FILE_NAME_BUFFER];
    name_encode(name, length, file_name);
    add_name(listing, file_name, place == PLACE_NPY ? ".npy" : "", id);
}

static bool model_tensor_shows(const struct wfs_tensor *tensor, enum stage_place place)
{
    return place == PLACE_TENSORS || npy_can_show(tensor->dtype, tensor->rank);
}

static void list_untouched(struct stage *stage, enum stage_place place, struct listing *listing)
{
    for (size_t i = 0; i < generation_count(stage->generation); i++) {
        struct wfs_tensor tensor = generation_tensor(stage->generation, i);
        const struct slot *slot =
            slot_find(&stage->table, (struct key){SPACE_TENSOR, tensor.name, tensor.name_length});
        if (!(slot && (slot->entry || slot->removed)) && model_tensor_shows(&tensor, place))
            add_tensor(listing, tensor.name, tensor.name_length, place,
                       generation_version(stage->generation, i).id);
    }
}

static void list_slots(struct stage *stage, enum stage_place place, struct listing *listing)
{
    size_t bucket = 0;

    for (struct slot *slot = slot_next(&stage->table, &bucket, NULL); slot;
         slot = slot_next(&stage->table, &bucket, slot)) {
        if (!slot->entry || !entry_shows(slot->entry, place))
            continue;
        if (slot->space == SPACE_TENSOR)
            add_tensor(listing, slot->name, slot->length, place, slot->entry->id);
        else
            add_name(listing, slot->name, slot->space == SPACE_HASHED && place == PLACE_NPY ? ".npy" : "",
                     slot->entry->id);
    }
}

int stage_list(struct stage *stage, enum stage_place place, struct stage_listing *ret_listing)
{
    struct listing listing = {.text = BYTES_EMPTY};
    {
        auto_lock(&stage->lock);
        if (place == PLACE_ROOT)
            add_name(&listing, "metadata.json", "", stage->document->id);
        if (place != PLACE_ROOT)
            list_untouched(stage, place, &listing);
        list_slots(stage, place, &listing);
    }

    char *storage = listing.failed ? NULL : bytes_take(&listing.text);
    if (!storage) {
        bytes_clear(&listing.text);
        free(listing.names);
        free(listing.offsets);
        return -ENOMEM;
    }
    for (size_t i = 0; i < listing.count; i++)
        listing.names[i].file_name = storage + listing.offsets[i];
    free(listing.offsets);
    *ret_listing = (struct stage_listing){listing.count, listing.names, storage};
    return 0;
}

void stage_listing_free(struct stage_listing *listing)
{
    free(listing->names);
    free(listing->storage);
    *listing = (struct stage_listing){0};
}

/* --- how much --- */

static bool is_tensor_change(const struct slot *slot)
{
    return slot->removed || ((slot->space == SPACE_TENSOR || slot->space == SPACE_HASHED) && slot->entry &&
                             slot->entry->staged);
}

size_t count_changes(const struct stage *stage)
{
    size_t bucket = 0;
    size_t count =
        (stage->metadata_staged ? 1u : 0u) + (stage->document && stage->document->staged ? 1u : 0u);

    for (const struct slot *slot = slot_next(&stage->table, &bucket, NULL); slot;
         slot = slot_next(&stage->table, &bucket, slot))
        count += is_tensor_change(slot);
    return count;
}

bool stage_has_changes(const struct stage *stage)
{
    return count_changes(stage) > 0;
}

bool stage_has_scratch(const struct stage *stage)
{
    size_t bucket = 0;

    for (const struct slot *slot = slot_next(&stage->table, &bucket, NULL); slot;
         slot = slot_next(&stage->table, &bucket, slot)) {
        if (slot->entry && slot->entry->staged)
            return true;
    }
    return false;
}

bool slot_is_only_declared(const struct stage *stage, const struct slot *slot)
{
    size_t index;
    return !slot->entry && slot->space == SPACE_TENSOR && slot->last.by == DECLARED_BY_DOCUMENT &&
           !base_find(stage, slot_key(slot), &index);
}

bool stage_has_declared(const struct stage *stage)
{
    size_t bucket = 0;

    for (const struct slot *slot = slot_next(&stage->table, &bucket, NULL); slot;
         slot = slot_next(&stage->table, &bucket, slot)) {
        if (slot_is_only_declared(stage, slot))
            return true;
    }
    return false;
}
