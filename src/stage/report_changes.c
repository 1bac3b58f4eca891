/* SPDX-License-Identifier: Apache-2.0
 *
 * What is staged, compared with the model: what both forms of the report tell.
 */
#include "format/name.h"
#include "stage/report.h"

#include <string.h>

/* --- tensors --- */

static struct key origin_key(const struct entry *entry)
{
    return (struct key){SPACE_TENSOR, entry->state.origin, entry->state.origin_length};
}

/* The slot of the model's tensor that a staged entry is under another name; NULL: it is none. */
static struct slot *renamed_from(const struct stage *stage, const struct slot *slot)
{
    size_t index;
    const struct entry *entry = slot->entry;

    if (slot->space != SPACE_TENSOR || !entry->state.origin || base_find(stage, slot_key(slot), &index))
        return NULL;
    struct slot *origin = slot_find(&stage->table, origin_key(entry));
    return origin && origin->removed ? origin : NULL;
}

static const char *kind_of(const struct stage *stage, const struct slot *slot, size_t index)
{
    const struct entry *entry = slot->entry;
    const struct content *content = &entry->state.content;
    struct wfs_tensor model = generation_tensor(stage->generation, index);

    if (content->kind == CONTENT_SOURCE && content->index == index &&
        content->size == model.end - model.begin)
        return "declared";
    return entry->state.patched ? "patched" : "replaced";
}

static void fill_staged(const struct stage *stage, const struct slot *slot, const struct slot *origin,
                        struct change *change)
{
    size_t index;
    const struct entry *entry = slot->entry;
    const struct declaration *declared = &entry->state.declared;

    *change = (struct change){
        .name = slot->name,
        .name_length = slot->length,
        .has_dtype = declared->dtype != WFS_DTYPE_COUNT,
        .has_shape = declared->has_shape,
        .tensor = declaration_tensor(declared, slot->name, slot->length),
        .size = entry_size(entry, PLACE_TENSORS),
    };
    change->has_before = base_find(stage, origin ? slot_key(origin) : slot_key(slot), &index);
    if (change->has_before)
        change->before = generation_tensor(stage->generation, index);
    if (origin) {
        change->kind = "renamed";
        change->from = origin->name;
        change->from_length = origin->length;
    } else {
        change->kind = change->has_before ? kind_of(stage, slot, index) : "added";
    }
}

static void fill_removed(const struct stage *stage, const struct slot *slot, struct change *change)
{
    size_t index;

    *change = (struct change){.name = slot->name, .name_length = slot->length, .kind = "removed"};
    change->has_before = base_find(stage, slot_key(slot), &index);
    if (change->has_before) {
        change->tensor = change->before = generation_tensor(stage->generation, index);
        change->has_dtype = change->has_shape = true;
        change->size = change->tensor.end - change->tensor.begin;
    }
}

static bool is_tensor(const struct slot *slot)
{
    return slot->space == SPACE_TENSOR || slot->space == SPACE_HASHED;
}

/* Staged files, and which of the model's names are not there only because their tensor has another one. */
static size_t collect_staged(struct stage *stage, struct change *changes)
{
    size_t bucket = 0;
    size_t count = 0;

    for (const struct slot *slot = slot_next(&stage->table, &bucket, NULL); slot;
         slot = slot_next(&stage->table, &bucket, slot)) {
        if (!is_tensor(slot) || !slot->entry || !slot->entry->staged)
            continue;
        struct slot *origin = renamed_from(stage, slot);
        if (origin)
            origin->renamed_away = true;
        if (changes)
            fill_staged(stage, slot, origin, &changes[count]);
        count++;
    }
    return count;
}

static size_t collect_removed(struct stage *stage, struct change *changes)
{
    size_t bucket = 0;
    size_t count = 0;

    for (struct slot *slot = slot_next(&stage->table, &bucket, NULL); slot;
         slot = slot_next(&stage->table, &bucket, slot)) {
        bool is_told = is_tensor(slot) && slot->removed && !slot->renamed_away;
        slot->renamed_away = false;
        if (!is_told)
            continue;
        if (changes)
            fill_removed(stage, slot, &changes[count]);
        count++;
    }
    return count;
}

static int compare_changes(const void *left, const void *right)
{
    const struct change *a = left;
    const struct change *b = right;
    return name_compare_natural(a->name, a->name_length, b->name, b->name_length);
}

int report_changes(struct stage *stage, struct change **ret_changes, size_t *ret_count)
{
    struct change *changes = calloc(stage->table.count + 1, sizeof(*changes));
    if (!changes)
        return -ENOMEM;

    size_t count = collect_staged(stage, changes);
    count += collect_removed(stage, changes + count);
    qsort(changes, count, sizeof(*changes), compare_changes);
    *ret_changes = changes;
    *ret_count = count;
    return 0;
}

static const char *scratch_directory(enum space space)
{
    switch (space) {
    case SPACE_RAW:
        return "tensors/";
    case SPACE_NPY:
        return "npy/";
    case SPACE_ROOT:
        return "";
    case SPACE_TENSOR:
    case SPACE_HASHED:
    case SPACE_DOCUMENT:
    default:
        return NULL;
    }
}

static int compare_scratch(const void *left, const void *right)
{
    const struct slot *a = *(const struct slot *const *)left;
    const struct slot *b = *(const struct slot *const *)right;

    if (a->space != b->space)
        return a->space < b->space ? -1 : 1;
    return name_compare_natural(a->name, a->length, b->name, b->length);
}

/* Into `slots`, unless it is NULL. */
static size_t collect_scratch(const struct stage *stage, const struct slot **slots)
{
    size_t bucket = 0;
    size_t count = 0;

    for (const struct slot *slot = slot_next(&stage->table, &bucket, NULL); slot;
         slot = slot_next(&stage->table, &bucket, slot)) {
        if (!scratch_directory(slot->space) || !slot->entry)
            continue;
        if (slots)
            slots[count] = slot;
        count++;
    }
    return count;
}

int report_scratch(const struct stage *stage,
                   void (*tell)(void *context, const char *directory, const char *file_name), void *context)
{
    size_t count = collect_scratch(stage, NULL);
    auto_free const struct slot **slots = calloc(count + 1, sizeof(struct slot *));

    if (!slots)
        return -ENOMEM;
    (void)collect_scratch(stage, slots);
    qsort(slots, count, sizeof(struct slot *), compare_scratch);
    for (size_t i = 0; i < count; i++)
        tell(context, scratch_directory(slots[i]->space), slots[i]->name);
    return 0;
}

const char *report_source(const struct stage *stage, const struct stage_face *face)
{
    return face->source && stage->generation_number == 0 ? face->source : stage->path;
}

size_t report_count(struct stage *stage)
{
    size_t count = collect_staged(stage, NULL);

    count += collect_removed(stage, NULL);
    return count + (stage->metadata_staged ? 1u : 0u) + (stage->document->staged ? 1u : 0u);
}

size_t stage_change_total(struct stage *stage)
{
    auto_lock(&stage->lock);
    return report_count(stage);
}

/* --- the map --- */

static int compare_keys(const void *left, const void *right)
{
    const struct metadata_pair *a = left;
    const struct metadata_pair *b = right;
    return name_compare_natural(a->key, a->key_length, b->key, b->key_length);
}

static void sort_pairs(struct metadata_map *map)
{
    if (map->count > 1)
        qsort(map->pairs, map->count, sizeof(*map->pairs), compare_keys);
}

static bool same_value(const struct metadata_pair *a, const struct metadata_pair *b)
{
    return a->value_length == b->value_length && memcmp(a->value, b->value, a->value_length) == 0;
}

static void merge_maps(const struct metadata_map *before, const struct metadata_map *after, report_pair *tell,
                       void *context)
{
    size_t i = 0;
    size_t j = 0;

    while (i < before->count || j < after->count) {
        const struct metadata_pair *from = i < before->count ? &before->pairs[i] : NULL;
        const struct metadata_pair *to = j < after->count ? &after->pairs[j] : NULL;
        int order = !from ? 1 : !to ? -1 : compare_keys(from, to);
        if (order != 0 || !same_value(from, to))
            tell(context, order <= 0 ? from : NULL, order >= 0 ? to : NULL);
        i += order <= 0;
        j += order >= 0;
    }
}

int report_map(struct stage *stage, report_pair *tell, void *context)
{
    struct metadata_map before = {0};
    struct metadata_map after = {0};

    if (!stage->metadata_staged)
        return 0;
    int r = metadata_of_header(generation_header(stage->generation), &before);
    r = r < 0 ? r : pending_metadata(stage, &after);
    if (r == 0) {
        sort_pairs(&before);
        sort_pairs(&after);
        merge_maps(&before, &after, tell, context);
    }
    free(before.pairs);
    free(after.pairs);
    return r;
}

/* --- places --- */

bool report_layout(const struct stage *stage, const struct plan *plan, struct layout_change *ret_change)
{
    if (!plan->image || generation_is_empty(stage->generation))
        return false;
    *ret_change = (struct layout_change){
        .from = wfs_header_data_offset(generation_header(stage->generation)),
        .to = plan->header_size,
    };
    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_source *source = &plan->sources[plan->items[i].tag];
        if (!source->entry)
            ret_change->moved +=
                generation_tensor(stage->generation, source->index).begin != plan->items[i].tensor.begin;
    }
    return true;
}
