/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "format/name.h"
#include "format/npy.h"
#include "format/shape.h"
#include "stage/pending.h"

#include <limits.h>
#include <string.h>

#define DEFAULT_MODE 0600

/* --- life --- */

struct entry *entry_new(struct stage *stage, uint64_t id)
{
    struct entry *entry = calloc(1, sizeof(*entry));
    if (!entry)
        return NULL;
    entry->stage = stage;
    entry->id = id;
    entry->refs = 1;
    entry->state.declared = DECLARATION_NONE;
    entry->state.by_xattr = DECLARATION_NONE;
    entry->state.mode = DEFAULT_MODE;
    entry->state.synced = true;
    entry->state.atime = entry->state.mtime = entry->state.ctime = stage->clock;
    pthread_mutex_init(&entry->content_lock, NULL);
    return entry;
}

struct entry *entry_ref(struct entry *entry)
{
    auto_lock(&entry->stage->lock);
    entry->refs++;
    return entry;
}

void entry_unref_locked(struct entry *entry)
{
    if (--entry->refs > 0)
        return;
    if (entry->slot) {
        struct slot *slot = entry->slot;
        slot->entry = NULL;
        slot_drop_if_empty(&entry->stage->table, slot);
    }
    state_clear(&entry->state);
    pthread_mutex_destroy(&entry->content_lock);
    free(entry);
}

void entry_unref(struct entry *entry)
{
    if (!entry)
        return;
    auto_lock(&entry->stage->lock);
    entry_unref_locked(entry);
}

uint64_t entry_id(const struct entry *entry)
{
    return entry->id;
}

void entry_set_staged(struct entry *entry, bool staged)
{
    if (entry->staged == staged)
        return;
    entry->staged = staged;
    if (staged)
        entry->refs++;
    else
        entry_unref_locked(entry);
}

void entry_link(struct entry *entry, struct slot *slot)
{
    slot->entry = entry;
    slot->removed = false;
    declaration_clear(&slot->last);
    entry->slot = slot;
}

/* Where an id is in the table, or would be: there is always a free place. */
static size_t id_place(const struct id_set *set, uint64_t id)
{
    size_t place = (size_t)(id * 0x9e3779b97f4a7c15u >> 32) & (set->capacity - 1);

    while (set->ids[place] != 0 && set->ids[place] != id)
        place = (place + 1) & (set->capacity - 1);
    return place;
}

static bool id_is_worn(const struct stage *stage, uint64_t id)
{
    const struct id_set *set = &stage->worn;
    return set->count > 0 && set->ids[id_place(set, id)] == id;
}

static bool id_set_grow(struct id_set *set)
{
    struct id_set grown = {.count = set->count, .capacity = set->capacity ? set->capacity * 2 : 16};

    grown.ids = calloc(grown.capacity, sizeof(*grown.ids));
    if (!grown.ids)
        return false;
    for (size_t i = 0; i < set->capacity; i++) {
        if (set->ids[i] != 0)
            grown.ids[id_place(&grown, set->ids[i])] = set->ids[i];
    }
    free(set->ids);
    *set = grown;
    return true;
}

/* An entry that bears the id of the model's tensor of its name goes another way with it. */
static void wear_id(struct stage *stage, uint64_t id)
{
    struct id_set *set = &stage->worn;
    size_t index;

    if (id_is_worn(stage, id) || !generation_find_id(stage->generation, id, &index))
        return;
    if (set->count >= set->capacity / 2 && !id_set_grow(set))
        return;
    set->ids[id_place(set, id)] = id;
    set->count++;
}

void entry_unlink(struct entry *entry)
{
    wear_id(entry->stage, entry->id);
    if (entry->slot)
        entry->slot->entry = NULL;
    entry->slot = NULL;
}

void entry_retire(struct entry *entry)
{
    struct slot *slot = entry->slot;

    entry->retired = true;
    spool_file_doomed(entry->stage, &entry->state);
    entry_unlink(entry);
    if (entry->handles == 0)
        content_clear(&entry->state.content);
    if (slot)
        slot_drop_if_empty(&entry->stage->table, slot);
    entry_set_staged(entry, false);
}

static void tick(struct stage *stage)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (clock_is_later(&now, &stage->clock)) {
        stage->clock = now;
    } else if (++stage->clock.tv_nsec == 1000000000) {
        stage->clock.tv_sec++;
        stage->clock.tv_nsec = 0;
    }
}

bool entry_is_part_of_model(const struct entry *entry)
{
    if (entry == entry->stage->document)
        return true;
    return entry->slot && (entry->slot->space == SPACE_TENSOR || entry->slot->space == SPACE_HASHED);
}

void stage_touch(struct stage *stage, struct entry *entry)
{
    tick(stage);
    if (entry)
        entry->state.mtime = entry->state.ctime = stage->clock;
    if (!entry || entry_is_part_of_model(entry)) {
        stage->model_time = stage->clock;
        atomic_fetch_add(&stage->changes, 1);
    }
}

/* --- finding --- */

bool base_find(const struct stage *stage, struct key key, size_t *ret_index)
{
    return key.space == SPACE_TENSOR &&
           wfs_header_find(generation_header(stage->generation), key.name, key.length, ret_index);
}

/* A shortened file name tells its tensor's name only through the model or a staged entry that bears it. */
static int key_of_hashed(const struct stage *stage, const char *file_name, char *buffer, struct key *ret_key)
{
    size_t index;
    size_t bucket = 0;

    if (generation_find_file(stage->generation, file_name, &index)) {
        struct wfs_tensor tensor = generation_tensor(stage->generation, index);
        *ret_key = (struct key){SPACE_TENSOR, tensor.name, tensor.name_length};
        return 0;
    }
    for (struct slot *slot = slot_next(&stage->table, &bucket, NULL); slot;
         slot = slot_next(&stage->table, &bucket, slot)) {
        if (slot->space == SPACE_TENSOR && slot->length > FILE_NAME_ENCODED_MAX / 3 &&
            name_matches(file_name, slot->name, slot->length)) {
            *ret_key = slot_key(slot);
            return 0;
        }
    }
    size_t length = strlen(file_name);
    memcpy(buffer, file_name, length + 1);
    *ret_key = (struct key){SPACE_HASHED, buffer, length};
    return 0;
}

static bool strip_npy(const char *file_name, char stem[FILE_NAME_BUFFER])
{
    size_t length = strlen(file_name);
    if (length < 4 || strcmp(file_name + length - 4, ".npy") != 0)
        return false;
    memcpy(stem, file_name, length - 4);
    stem[length - 4] = '\0';
    return true;
}

bool is_document_name(enum stage_place place, const char *file_name)
{
    return place == PLACE_ROOT && strcmp(file_name, "metadata.json") == 0;
}

int key_of_file(struct stage *stage, enum stage_place place, const char *file_name, char *buffer,
                struct key *ret_key)
{
    char stem[FILE_NAME_BUFFER];
    size_t length = strlen(file_name);

    if (length == 0 || length > NAME_MAX)
        return length ? -ENAMETOOLONG : -ENOENT;
    if (place == PLACE_ROOT) {
        enum space space = is_document_name(place, file_name) ? SPACE_DOCUMENT : SPACE_ROOT;
        *ret_key = (struct key){space, space == SPACE_DOCUMENT ? "" : file_name,
                                space == SPACE_DOCUMENT ? 0 : length};
        return 0;
    }
    *ret_key = (struct key){place == PLACE_NPY ? SPACE_NPY : SPACE_RAW, file_name, length};
    if (place == PLACE_NPY && !strip_npy(file_name, stem))
        return 0;

    const char *encoded = place == PLACE_NPY ? stem : file_name;
    switch (name_decode(encoded, buffer, &length)) {
    case NAME_SCRATCH:
        return 0;
    case NAME_TENSOR:
        *ret_key = (struct key){SPACE_TENSOR, buffer, length};
        return 0;
    case NAME_HASHED:
        return key_of_hashed(stage, encoded, buffer, ret_key);
    case NAME_INVALID:
    default:
        return -EINVAL;
    }
}

/* What a tensor of the model is in staging while nobody changed it. */
static int clean_state(const struct stage *stage, size_t index, struct entry_state *state)
{
    struct wfs_tensor tensor = generation_tensor(stage->generation, index);

    if (declaration_of_tensor(&state->declared, &tensor, DECLARED_BY_MODEL) < 0)
        return -ENOMEM;
    state->origin = malloc(tensor.name_length + 1);
    if (!state->origin)
        return -ENOMEM;
    memcpy(state->origin, tensor.name, tensor.name_length);
    state->origin[tensor.name_length] = '\0';
    state->origin_length = tensor.name_length;
    state->content = (struct content){
        .kind = CONTENT_SOURCE,
        .size = tensor.end - tensor.begin,
        .index = index,
    };
    state->atime = state->mtime = state->ctime = generation_version(stage->generation, index).mtime;
    return 0;
}

static struct entry *clean_entry(struct stage *stage, struct key key, size_t index)
{
    struct slot *slot = slot_get(&stage->table, key);
    if (!slot)
        return NULL;
    uint64_t id = generation_version(stage->generation, index).id;
    struct entry *entry = entry_new(stage, id_is_worn(stage, id) ? stage->next_id++ : id);
    if (!entry || clean_state(stage, index, &entry->state) < 0) {
        if (entry)
            entry_unref_locked(entry);
        slot_drop_if_empty(&stage->table, slot);
        return NULL;
    }
    entry_link(entry, slot);
    return entry;
}

struct entry *entry_of_key(struct stage *stage, struct key key)
{
    size_t index;
    struct entry *entry = NULL;

    if (key.space == SPACE_DOCUMENT) {
        entry = stage->document;
    } else {
        struct slot *slot = slot_find(&stage->table, key);
        if (slot && slot->entry)
            entry = slot->entry;
        else if (!(slot && slot->removed) && base_find(stage, key, &index))
            return clean_entry(stage, key, index);
    }
    if (entry)
        entry->refs++;
    return entry;
}

int stage_lookup(struct stage *stage, enum stage_place place, const char *file_name, struct entry **ret_entry)
{
    char buffer[PATH_MAX];
    struct key key;
    auto_lock(&stage->lock);

    int r = key_of_file(stage, place, file_name, buffer, &key);
    if (r < 0)
        return r == -EINVAL ? -ENOENT : r;
    struct entry *entry = entry_of_key(stage, key);
    if (!entry)
        return -ENOENT;
    if (!entry_shows(entry, place)) {
        entry_unref_locked(entry);
        return -ENOENT;
    }
    *ret_entry = entry;
    return 0;
}

int last_declaration(const struct stage *stage, struct key key, struct declaration *ret_declaration)
{
    size_t index;
    const struct slot *slot = slot_find(&stage->table, key);

    if (slot && slot->entry)
        return declaration_copy(ret_declaration, &slot->entry->state.declared);
    if (slot && (slot->last.dtype != WFS_DTYPE_COUNT || slot->last.has_shape))
        return declaration_copy(ret_declaration, &slot->last);
    if (base_find(stage, key, &index)) {
        struct wfs_tensor tensor = generation_tensor(stage->generation, index);
        return declaration_of_tensor(ret_declaration, &tensor, DECLARED_BY_MODEL);
    }
    declaration_clear(ret_declaration);
    return 0;
}

bool declaration_is_models(const struct stage *stage, struct key key, const struct declaration *declared)
{
    size_t index;
    if (!base_find(stage, key, &index))
        return false;
    struct wfs_tensor model = generation_tensor(stage->generation, index);
    struct wfs_tensor said = declaration_tensor(declared, key.name, key.length);
    return declared->has_shape && shape_equal(&model, &said);
}

bool state_is_clean(const struct stage *stage, struct key key, const struct entry_state *state)
{
    size_t index;

    if (state->draft || state->content.kind != CONTENT_SOURCE || !base_find(stage, key, &index))
        return false;
    if (state->content.index != index ||
        (state->content.generation && state->content.generation != stage->generation))
        return false;
    struct wfs_tensor tensor = generation_tensor(stage->generation, index);
    struct declaration model = {
        .dtype = tensor.dtype,
        .has_shape = true,
        .rank = tensor.rank,
        .shape = (unsigned char *)tensor.shape,
        .shape_size = tensor.shape_size,
    };
    return state->content.size == tensor.end - tensor.begin && declaration_same(&state->declared, &model);
}
