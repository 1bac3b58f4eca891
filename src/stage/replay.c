/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/replay.h"

#include "base/bytes.h"

#include <string.h>

static void drop_entry(struct entry *entry)
{
    entry_unlink(entry);
    entry_set_staged(entry, false);
}

static int replay_base(void *context, const struct record_base *base)
{
    struct replay *replay = context;
    replay->base = *base;
    replay->has_base = true;
    return 0;
}

static void resolve_source(struct replay *replay, struct record_state *record)
{
    struct content *content = &record->state.content;
    struct key key = {SPACE_TENSOR, record->source, record->source_length};

    if (content->kind != CONTENT_SOURCE)
        return;
    bool found = base_find(replay->stage, key, &content->index);
    struct wfs_tensor tensor =
        found ? generation_tensor(replay->stage->generation, content->index) : (struct wfs_tensor){0};
    if (!found || content->size > tensor.end - tensor.begin) {
        content->index = INDEX_LOST;
        return;
    }
    content->generation = generation_ref(replay->stage->generation);
}

static void take_state(struct entry *entry, struct record_state *record)
{
    state_clear(&entry->state);
    entry->state = record->state;
    record->state = (struct entry_state){.declared = DECLARATION_NONE, .by_xattr = DECLARATION_NONE};
    entry->draft_data = 0;
}

static int replay_live(void *context, struct key key, struct record_state *record)
{
    struct replay *replay = context;
    struct stage *stage = replay->stage;

    resolve_source(replay, record);
    if (key.space == SPACE_DOCUMENT) {
        take_state(stage->document, record);
        entry_set_staged(stage->document, true);
        return 0;
    }
    struct slot *slot = slot_get(&stage->table, key);
    if (!slot)
        return -ENOMEM;
    struct entry *entry = slot->entry;
    if (!entry) {
        entry = entry_new(stage, stage->next_id++);
        if (!entry)
            return -ENOMEM;
        entry_link(entry, slot);
        entry_set_staged(entry, true);
        entry_unref_locked(entry);
    }
    take_state(entry, record);
    return 0;
}

static int replay_forget(void *context, struct key key)
{
    struct replay *replay = context;
    struct stage *stage = replay->stage;

    if (key.space == SPACE_DOCUMENT) {
        content_clear(&stage->document->state.content);
        entry_set_staged(stage->document, false);
        return 0;
    }
    struct slot *slot = slot_find(&stage->table, key);
    if (!slot)
        return 0;
    if (slot->entry)
        drop_entry(slot->entry);
    slot->removed = false;
    declaration_clear(&slot->last);
    slot_drop_if_empty(&stage->table, slot);
    return 0;
}

static int replay_removed(void *context, struct key key, const struct declaration *last)
{
    struct replay *replay = context;
    struct stage *stage = replay->stage;
    size_t index;
    struct slot *slot = slot_get(&stage->table, key);

    if (!slot)
        return -ENOMEM;
    if (slot->entry)
        drop_entry(slot->entry);
    slot->removed = base_find(stage, key, &index);
    declaration_clear(&slot->last);
    int r = declaration_is_models(stage, key, last) ? 0 : declaration_copy(&slot->last, last);
    slot_drop_if_empty(&stage->table, slot);
    return r;
}

static int replay_metadata(void *context, bool staged, const struct metadata_map *map)
{
    struct replay *replay = context;
    struct stage *stage = replay->stage;

    metadata_clear(&stage->metadata);
    stage->metadata_staged = staged;
    return metadata_copy(&stage->metadata, map);
}

static int replay_intent(void *context, const struct base_identity *identity)
{
    struct replay *replay = context;
    replay->intent = *identity;
    replay->has_intent = true;
    return 0;
}

static int replay_drop(void *context)
{
    struct replay *replay = context;
    struct stage *stage = replay->stage;

    stage_forget(stage);
    return 0;
}

static int replay_notes(void *context)
{
    struct replay *replay = context;
    replay->has_notes = true;
    return 0;
}

static int replay_tensor(void *context, const struct record_tensor *tensor)
{
    struct replay *replay = context;

    if (replay->witness_count == replay->witness_capacity) {
        size_t capacity = replay->witness_capacity ? replay->witness_capacity * 2 : 64;
        struct replay_witness *grown = realloc(replay->witnesses, capacity * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        replay->witnesses = grown;
        replay->witness_capacity = capacity;
    }
    struct replay_witness *witness = &replay->witnesses[replay->witness_count];
    *witness = (struct replay_witness){
        .name = malloc(tensor->name_length + 1),
        .name_length = tensor->name_length,
        .declared = DECLARATION_NONE,
        .has_digest = tensor->has_digest,
        .digest = tensor->digest,
        .order = replay->witness_count,
    };
    if (!witness->name)
        return -ENOMEM;
    memcpy(witness->name, tensor->name, tensor->name_length);
    replay->witness_count++;
    return declaration_copy(&witness->declared, &tensor->declared);
}

static int replay_map(void *context, const struct metadata_map *map)
{
    struct replay *replay = context;

    metadata_clear(&replay->map);
    replay->has_map = true;
    return metadata_copy(&replay->map, map);
}

static int compare_witnesses(const void *left, const void *right)
{
    const struct replay_witness *a = left;
    const struct replay_witness *b = right;
    int order = bytes_compare(a->name, a->name_length, b->name, b->name_length);
    return order ? order : (a->order < b->order) - (a->order > b->order);
}

static void witness_free(struct replay_witness *witness)
{
    free(witness->name);
    declaration_clear(&witness->declared);
}

void replay_sort_witnesses(struct replay *replay)
{
    size_t kept = 0;

    if (replay->witness_count > 1)
        qsort(replay->witnesses, replay->witness_count, sizeof(*replay->witnesses), compare_witnesses);
    for (size_t i = 0; i < replay->witness_count; i++) {
        struct replay_witness *witness = &replay->witnesses[i];
        const struct replay_witness *last = kept ? &replay->witnesses[kept - 1] : NULL;
        if (last && bytes_compare(last->name, last->name_length, witness->name, witness->name_length) == 0)
            witness_free(witness); /* an earlier word: the last one came first */
        else
            replay->witnesses[kept++] = *witness;
    }
    replay->witness_count = kept;
}

const struct replay_witness *replay_find_witness(const struct replay *replay, const char *name, size_t length)
{
    size_t low = 0;
    size_t high = replay->witness_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct replay_witness *witness = &replay->witnesses[middle];
        int order = bytes_compare(name, length, witness->name, witness->name_length);
        if (order == 0)
            return witness;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

void replay_clear(struct replay *replay)
{
    for (size_t i = 0; i < replay->witness_count; i++)
        witness_free(&replay->witnesses[i]);
    free(replay->witnesses);
    metadata_clear(&replay->map);
    *replay = (struct replay){0};
}

int replay_payload(void *context, const unsigned char *payload, size_t length, struct wfs_error *err)
{
    const struct record_sink sink = {
        .context = context,
        .base = replay_base,
        .live = replay_live,
        .removed = replay_removed,
        .forget = replay_forget,
        .metadata = replay_metadata,
        .intent = replay_intent,
        .drop = replay_drop,
        .notes = replay_notes,
        .tensor = replay_tensor,
        .map = replay_map,
    };
    return record_read(payload, length, &sink, err);
}
