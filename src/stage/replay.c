/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/replay.h"

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
        *content = (struct content){.kind = CONTENT_EMPTY};
        replay->has_lost_source = true;
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
    int r = declaration_copy(&slot->last, last);
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
    };
    return record_read(payload, length, &sink, err);
}
