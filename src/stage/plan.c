/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/plan.h"

#include "base/bytes.h"
#include "base/clone.h"
#include "base/error.h"
#include "base/fault.h"
#include "stage/inspect.h"

#include <string.h>

void plan_clear(struct plan *plan)
{
    free(plan->items);
    free(plan->sources);
    image_unref(plan->image);
    *plan = PLAN_EMPTY;
}

/* --- collecting --- */

static int plan_reserve(struct plan *plan, size_t capacity)
{
    plan->items = calloc(capacity + 1, sizeof(*plan->items));
    plan->sources = calloc(capacity + 1, sizeof(*plan->sources));
    plan->capacity = capacity;
    return plan->items && plan->sources ? 0 : -ENOMEM;
}

static void plan_add(struct plan *plan, const struct wfs_tensor *tensor, size_t slot,
                     struct plan_source source)
{
    plan->items[plan->count] = (struct layout_item){.tensor = *tensor, .slot = slot, .tag = plan->count};
    plan->sources[plan->count] = source;
    plan->count++;
}

static bool entry_fits(const struct entry *entry, struct problem_list *problems)
{
    uint64_t bytes;

    if (problems)
        return entry_inspect(entry, problems);
    return !entry->state.draft && declaration_bytes(&entry->state.declared, &bytes) &&
           !name_is_reserved(slot_key(entry->slot));
}

static void add_entry(struct plan *plan, const struct entry *entry, size_t slot,
                      struct problem_list *problems)
{
    if (!entry_fits(entry, problems))
        return;
    struct key key = slot_key(entry->slot);
    struct wfs_tensor tensor = declaration_tensor(&entry->state.declared, key.name, key.length);
    plan_add(plan, &tensor, slot, (struct plan_source){.entry = entry});
}

/* The model's names, in its order: untouched or staged. */
static void collect_survivors(struct stage *stage, struct plan *plan, bool *taken,
                              struct problem_list *problems)
{
    size_t count = generation_count(stage->generation);

    for (size_t i = 0; i < count; i++) {
        struct wfs_tensor tensor = generation_tensor(stage->generation, i);
        const struct slot *slot =
            slot_find(&stage->table, (struct key){SPACE_TENSOR, tensor.name, tensor.name_length});
        if (slot && slot->removed)
            continue;
        taken[i] = true;
        if (slot && slot->entry && slot->entry->staged)
            add_entry(plan, slot->entry, i, problems);
        else
            plan_add(plan, &tensor, i, (struct plan_source){.index = i});
    }
}

static int compare_new(const void *left, const void *right)
{
    const struct slot *a = *(const struct slot *const *)left;
    const struct slot *b = *(const struct slot *const *)right;
    enum wfs_dtype a_dtype = a->entry->state.declared.dtype;
    enum wfs_dtype b_dtype = b->entry->state.declared.dtype;

    if (a_dtype != b_dtype)
        return a_dtype > b_dtype ? -1 : 1;
    return bytes_compare(a->name, a->length, b->name, b->length);
}

static bool is_new_tensor(const struct stage *stage, const struct slot *slot)
{
    size_t index;
    return slot->entry && slot->entry->staged &&
           (slot->space == SPACE_TENSOR || slot->space == SPACE_HASHED) &&
           !base_find(stage, slot_key(slot), &index);
}

/* The place of a renamed tensor is that of the one it was, unless another file bears that name now. */
static size_t slot_of_origin(const struct stage *stage, const struct entry *entry, bool *taken)
{
    size_t index;
    struct key origin = {SPACE_TENSOR, entry->state.origin, entry->state.origin_length};

    if (!entry->state.origin || !base_find(stage, origin, &index) || taken[index])
        return LAYOUT_NEW;
    taken[index] = true;
    return index;
}

/* Names that the model does not have, in an order that depends on nothing but them. */
static int collect_new(struct stage *stage, struct plan *plan, bool *taken, struct problem_list *problems)
{
    size_t bucket = 0;
    size_t count = 0;
    auto_free const struct slot **slots = calloc(stage->table.count + 1, sizeof(struct slot *));
    if (!slots)
        return -ENOMEM;
    for (struct slot *slot = slot_next(&stage->table, &bucket, NULL); slot;
         slot = slot_next(&stage->table, &bucket, slot)) {
        if (is_new_tensor(stage, slot))
            slots[count++] = slot;
    }
    qsort(slots, count, sizeof(struct slot *), compare_new);
    for (size_t i = 0; i < count; i++)
        add_entry(plan, slots[i]->entry, slot_of_origin(stage, slots[i]->entry, taken), problems);
    return 0;
}

int plan_collect(struct stage *stage, struct plan *plan, struct problem_list *problems)
{
    size_t count = generation_count(stage->generation);
    auto_free bool *taken = calloc(count + 1, sizeof(*taken));

    if (!taken || plan_reserve(plan, count + stage->table.count) < 0)
        return -ENOMEM;
    collect_survivors(stage, plan, taken, problems);
    return collect_new(stage, plan, taken, problems);
}

/* --- placing and encoding --- */

static struct layout_source source_of(const struct stage *stage)
{
    if (generation_is_empty(stage->generation))
        return (struct layout_source){NULL, 0};
    const struct wfs_header *header = generation_header(stage->generation);
    return (struct layout_source){header, wfs_header_data_offset(header)};
}

int plan_place(struct stage *stage, struct plan *plan, struct wfs_error *err)
{
    struct layout_source source = source_of(stage);
    return layout_place(plan->items, plan->count, &source, stage->layout, &plan->used, err);
}

static int add_content(struct plan *plan, const struct stage *stage, const struct plan_source *source)
{
    struct generation *generation = stage->generation;

    if (!source->entry) {
        struct wfs_tensor tensor = generation_tensor(generation, source->index);
        return image_add_file(plan->image, generation_file(generation),
                              generation_offset(generation, source->index), tensor.end - tensor.begin);
    }
    const struct content *content = &source->entry->state.content;
    if (content->size == 0 || content->kind == CONTENT_EMPTY)
        return 0;
    if (content->kind == CONTENT_SPOOL)
        return image_add_file(plan->image, content->spool, content->lead_in, content->size);
    if (content->generation)
        generation = content->generation;
    return image_add_file(plan->image, generation_file(generation),
                          generation_offset(generation, content->index), content->size);
}

static int plan_encode(struct stage *stage, struct plan *plan, struct wfs_error *err)
{
    struct metadata_map metadata;
    struct layout_source source = source_of(stage);
    auto_bytes header = BYTES_EMPTY;
    int r = pending_metadata(stage, &metadata);

    if (r < 0)
        return error_no_memory(err);
    r = header_encode(plan->items, plan->count, &metadata, &source, plan->used, &header, err);
    free(metadata.pairs);
    if (r < 0)
        return r;
    plan->header_size = header.length;
    plan->image = image_new();
    char *memory = bytes_take(&header);
    if (!plan->image || !memory) {
        free(memory);
        return error_no_memory(err);
    }
    r = image_add_memory(plan->image, memory, (size_t)plan->header_size);
    for (size_t i = 0; r == 0 && i < plan->count; i++)
        r = add_content(plan, stage, &plan->sources[plan->items[i].tag]);
    return r < 0 ? error_no_memory(err) : 0;
}

/* --- the model as a whole --- */

static bool metadata_lacks_format(const struct metadata_map *map)
{
    for (size_t i = 0; i < map->count; i++) {
        if (map->pairs[i].key_length == 6 && memcmp(map->pairs[i].key, "format", 6) == 0)
            return false;
    }
    return map->present;
}

/* A tensor of the model that was moved to a scratch name would be lost without a word. */
static void inspect_scratch(const struct stage *stage, struct problem_list *problems)
{
    size_t bucket = 0;
    size_t begin = problems->count;

    for (const struct slot *slot = slot_next(&stage->table, &bucket, NULL); slot;
         slot = slot_next(&stage->table, &bucket, slot)) {
        bool is_scratch = slot->space == SPACE_RAW || slot->space == SPACE_NPY || slot->space == SPACE_ROOT;
        const struct entry_state *state = slot->entry ? &slot->entry->state : NULL;
        if (!is_scratch || !state || !state->origin)
            continue;
        struct key origin = {SPACE_TENSOR, state->origin, state->origin_length};
        const struct slot *before = slot_find(&stage->table, origin);
        if (before && before->removed)
            problem_add(problems, WFS_CODE_SCRATCH_FILE, true, origin, NULL, NULL,
                        "lies under the scratch name '%s', where it will not be committed",
                        printable(slot->name, slot->length).text);
    }
    problem_list_sort(problems, begin);
}

static void inspect_document(const struct stage *stage, struct problem_list *problems)
{
    size_t bucket = 0;

    if (stage->document_error)
        problem_add(problems, WFS_CODE_DOCUMENT_INVALID, false, NO_TENSOR, NULL, NULL,
                    "staging/metadata.json cannot be applied: %s", stage->document_error);
    if (stage->metadata_staged && metadata_lacks_format(&stage->metadata))
        problem_add(problems, WFS_CODE_FORMAT_KEY_MISSING, true, NO_TENSOR, NULL, NULL,
                    "__metadata__ has no key 'format' (\"pt\" as a rule): transformers refuses such a file");
    size_t begin = problems->count;
    for (struct slot *slot = slot_next(&stage->table, &bucket, NULL); slot;
         slot = slot_next(&stage->table, &bucket, slot)) {
        if (slot_is_only_declared(stage, slot))
            problem_add(problems, WFS_CODE_TENSOR_MISSING, true, slot_key(slot), NULL, NULL,
                        "metadata.json declares it, and there is no file of that name in tensors/");
    }
    problem_list_sort(problems, begin);
}

int plan_build(struct stage *stage, bool allow_empty, struct plan *plan, struct problem_list *problems)
{
    struct wfs_error err = {0};
    size_t errors = problems->errors;
    int r = plan_collect(stage, plan, problems);

    if (r < 0)
        return r;
    inspect_document(stage, problems);
    inspect_scratch(stage, problems);
    if (plan->count == 0 && !allow_empty && !fault(FAULT_NO_TENSORS) && problems->errors == errors)
        problem_add(problems, WFS_CODE_NO_TENSORS, false, NO_TENSOR, NULL, NULL,
                    "no tensor would be left; say --allow-empty to mean it");
    if (problems->failed)
        return -ENOMEM;
    if (problems->errors > errors && !fault(FAULT_PROBLEMS))
        return -EINVAL;
    r = plan_place(stage, plan, &err);
    r = r < 0 ? r : plan_encode(stage, plan, &err);
    if (r < 0 && r != -ENOMEM)
        problem_add_error(problems, &err);
    if (r == 0 && plan->used.kind != stage->layout.kind)
        problem_add(
            problems, WFS_CODE_LAYOUT_CHANGED, true, NO_TENSOR, NULL, NULL,
            "a tensor would begin off a multiple of its element size, so the tensors are put into canonical "
            "order");
    return r;
}

struct clone_cost plan_cost(const struct plan *plan, bool can_clone)
{
    struct clone_cost cost = {0, 0};
    uint64_t offset = 0;

    for (size_t i = 0; i < image_part_count(plan->image); i++) {
        const struct image_part *part = image_part(plan->image, i);
        uint64_t head = (CLONE_BLOCK - offset % CLONE_BLOCK) % CLONE_BLOCK;
        uint64_t whole = part->length > head ? (part->length - head) / CLONE_BLOCK * CLONE_BLOCK : 0;
        bool congruent = part->file && part->offset % CLONE_BLOCK == offset % CLONE_BLOCK;
        uint64_t cloned = can_clone && congruent ? whole : 0;

        cost.cloned += cloned;
        if (part->file)
            cost.copied += part->length - cloned;
        offset += part->length;
    }
    return cost;
}
