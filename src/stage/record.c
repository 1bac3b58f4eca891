/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers are little-endian u64, strings a u64 length and their bytes: small, and simple to check.
 */
#include "stage/record.h"

#include "stage/record_items.h"

#include <string.h>

static void put_number(struct bytes *out, uint64_t value)
{
    char raw[8];
    for (size_t i = 0; i < sizeof(raw); i++)
        raw[i] = (char)(unsigned char)(value >> (8 * i));
    bytes_append(out, raw, sizeof(raw));
}

static void put_blob(struct bytes *out, const void *data, size_t length)
{
    put_number(out, length);
    if (length)
        bytes_append(out, data, length);
}

static void put_key(struct bytes *out, enum item item, struct key key)
{
    bytes_char(out, (char)item);
    bytes_char(out, (char)key.space);
    put_blob(out, key.name, key.length);
}

static void put_declaration(struct bytes *out, const struct declaration *declaration)
{
    put_number(out, declaration->dtype);
    put_number(out, declaration->has_shape);
    put_number(out, declaration->rank);
    put_blob(out, declaration->shape, declaration->shape ? declaration->shape_size : 0);
    put_number(out, declaration->by);
}

static void put_time(struct bytes *out, struct timespec time)
{
    put_number(out, (uint64_t)time.tv_sec);
    put_number(out, (uint64_t)time.tv_nsec);
}

static void put_identity(struct bytes *out, const struct base_identity *identity)
{
    put_number(out, identity->none);
    put_number(out, identity->file.size);
    put_time(out, identity->file.mtime);
    put_number(out, identity->file.inode);
    put_number(out, identity->header_hash);
}

static void put_content(struct bytes *out, const struct content *content)
{
    put_number(out, content->kind);
    put_number(out, content->size);
    if (content->kind == CONTENT_SOURCE) {
        struct wfs_tensor tensor = generation_tensor(content->generation, content->index);
        put_blob(out, tensor.name, tensor.name_length);
    } else if (content->kind == CONTENT_SPOOL) {
        put_number(out, content->spool_number);
        put_number(out, content->lead_in);
    }
}

void record_put_base(struct bytes *out, const struct record_base *base)
{
    bytes_char(out, ITEM_BASE);
    put_identity(out, &base->identity);
    put_blob(out, base->boot_id, strlen(base->boot_id));
    put_blob(out, base->target, strlen(base->target));
}

void record_put_live(struct bytes *out, struct key key, const struct entry_state *state)
{
    unsigned flags = (state->draft ? FLAG_DRAFT : 0u) | (state->npy_view ? FLAG_NPY_VIEW : 0u) |
                     (state->from_npy ? FLAG_FROM_NPY : 0u) | (state->patched ? FLAG_PATCHED : 0u) |
                     (state->synced ? FLAG_SYNCED : 0u) | (state->unsynced_lost ? FLAG_LOST : 0u) |
                     (state->content.damaged ? FLAG_DAMAGED : 0u);

    put_key(out, ITEM_LIVE, key);
    put_content(out, &state->content);
    put_declaration(out, &state->declared);
    put_declaration(out, &state->by_xattr);
    put_number(out, state->origin != NULL);
    put_blob(out, state->origin, state->origin ? state->origin_length : 0);
    put_number(out, flags);
    put_number(out, state->mode);
    put_time(out, state->atime);
    put_time(out, state->mtime);
}

void record_put_removed(struct bytes *out, struct key key, const struct declaration *last)
{
    put_key(out, ITEM_REMOVED, key);
    put_declaration(out, last);
}

void record_put_forget(struct bytes *out, struct key key)
{
    put_key(out, ITEM_FORGET, key);
}

static void put_map(struct bytes *out, const struct metadata_map *map)
{
    put_number(out, map->present);
    put_number(out, map->count);
    for (size_t i = 0; i < map->count; i++) {
        put_blob(out, map->pairs[i].key, map->pairs[i].key_length);
        put_blob(out, map->pairs[i].value, map->pairs[i].value_length);
    }
}

void record_put_metadata(struct bytes *out, bool staged, const struct metadata_map *map)
{
    bytes_char(out, ITEM_METADATA);
    put_number(out, staged);
    put_map(out, map);
}

void record_put_intent(struct bytes *out, const struct base_identity *identity)
{
    bytes_char(out, ITEM_INTENT);
    put_identity(out, identity);
}

void record_put_drop(struct bytes *out)
{
    bytes_char(out, ITEM_DROP);
}

void record_put_notes(struct bytes *out)
{
    bytes_char(out, ITEM_NOTES);
}

void record_put_tensor(struct bytes *out, const struct record_tensor *tensor)
{
    bytes_char(out, ITEM_TENSOR);
    put_blob(out, tensor->name, tensor->name_length);
    put_declaration(out, &tensor->declared);
    put_number(out, tensor->has_digest);
    put_number(out, tensor->digest);
}

void record_put_map(struct bytes *out, const struct metadata_map *map)
{
    bytes_char(out, ITEM_MAP);
    put_map(out, map);
}
