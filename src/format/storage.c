/* SPDX-License-Identifier: Apache-2.0 */
#include "format/storage.h"

#include <stdlib.h>
#include <string.h>

struct wfs_header *storage_new(char *text, size_t length)
{
    struct wfs_header *header = calloc(1, sizeof *header);
    if (!header) {
        free(text);
        return NULL;
    }
    header->text = text;
    header->length = length;
    header->data_offset = HEADER_PREFIX + length;
    return header;
}

/* A bit more than all there will be when the rest of the text is like what was read. Memory that stays
 * untouched costs nothing, and too small a guess is made again. */
static size_t guess_capacity(const struct wfs_header *header, size_t count, size_t read)
{
    if (count == 0)
        return header->length / 128 + 16;
    size_t projected = (size_t)((double)count * (double)header->length / (double)(read + 1) * 1.05) + 16;
    size_t grown = count + count / 2 + 1;
    return projected > grown ? projected : grown;
}

int storage_grow_tensors(struct wfs_header *header, size_t read)
{
    if (header->tensor_count < header->tensor_capacity)
        return 0;
    size_t capacity = guess_capacity(header, header->tensor_count, read);
    void *tensors = realloc(header->tensors, capacity * sizeof *header->tensors);
    if (!tensors)
        return -ENOMEM;
    header->tensors = tensors;
    header->tensor_capacity = capacity;
    return 0;
}

int storage_grow_pairs(struct wfs_header *header, size_t read)
{
    if (header->pair_count + 1 < header->pair_capacity)
        return 0;
    size_t capacity = guess_capacity(header, header->pair_count, read) + 1;
    void *pairs = realloc(header->pairs, capacity * sizeof *header->pairs);
    if (!pairs)
        return -ENOMEM;
    header->pairs = pairs;
    header->pair_capacity = capacity;
    return 0;
}

/* --- names ---------------------------------------------------------------------------------------------- */

static struct name_text tensor_name(const void *context, size_t index)
{
    const struct wfs_header *header = context;
    const struct tensor_record *record = &header->tensors[index];
    return (struct name_text){record_name(header, record), record->name_length};
}

/* Of entries with one name the one that stands last in the text counts, wherever their bytes lie. */
static void mark_overwritten(struct wfs_header *header)
{
    name_table_empty(&header->names);
    for (size_t i = 0; i < header->tensor_count; i++) {
        size_t previous = name_table_put(&header->names, i);
        if (previous == NAME_TABLE_NONE)
            continue;
        bool is_later = header->tensors[i].name > header->tensors[previous].name;
        header->tensors[is_later ? previous : i].is_overwritten = true;
        if (!is_later)
            name_table_put(&header->names, previous);
    }
}

int storage_index(struct wfs_header *header)
{
    size_t count = header->tensor_count;
    bool are_distinct = true;
    if (name_table_init(&header->names, count, count, tensor_name, header) < 0)
        return -ENOMEM;
    for (size_t first = 0; first < count; first += NAME_TABLE_BATCH) {
        size_t batch = count - first < NAME_TABLE_BATCH ? count - first : NAME_TABLE_BATCH;
        are_distinct &= name_table_put_batch(&header->names, first, batch);
    }
    if (are_distinct)
        return 0;
    mark_overwritten(header);
    return 1;
}

static struct name_text pair_key(const void *context, size_t index)
{
    const struct wfs_header *header = context;
    const struct pair_record *pair = &header->pairs[index];
    return (struct name_text){header->text + pair->key, pair_key_length(pair)};
}

/* Moves the pairs that are left together, and their strings. */
static void drop_overwritten_pairs(struct wfs_header *header)
{
    struct pair_record *pairs = header->pairs;
    uint32_t at = pairs[0].key;
    size_t kept = 0;
    for (size_t i = 0; i < header->pair_count; i++) {
        struct pair_record pair = pairs[i];
        uint32_t size = pairs[i + 1].key - pair.key;
        if (pair.is_overwritten)
            continue;
        memmove(header->text + at, header->text + pair.key, size);
        pairs[kept++] = (struct pair_record){.key = at & PLACE_MASK, .value = at + (pair.value - pair.key)};
        at += size;
    }
    pairs[kept] = (struct pair_record){.key = at & PLACE_MASK};
    header->pair_count = kept;
}

/* Marks all but the last of each key. 1 when a key occurs twice, 0 when none does, -ENOMEM. */
static int mark_overwritten_pairs(struct wfs_header *header)
{
    /* A pair with a key of its own takes 8 bytes of text or more, but for 129 keys of under two bytes. */
    size_t most = header->length / 8 + 129;
    size_t distinct = header->pair_count < most ? header->pair_count : most;
    int repeated = 0;
    struct name_table keys;
    if (name_table_init(&keys, header->pair_count, distinct, pair_key, header) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < header->pair_count; i++) {
        size_t previous = name_table_put(&keys, i);
        if (previous == NAME_TABLE_NONE)
            continue;
        header->pairs[previous].is_overwritten = true;
        repeated = 1;
    }
    name_table_clear(&keys);
    return repeated;
}

int storage_merge_pairs(struct wfs_header *header, storage_repeated *repeated, void *context)
{
    int marked = header->pair_count < 2 ? 0 : mark_overwritten_pairs(header);
    if (marked <= 0)
        return marked;
    for (size_t i = 0; i < header->pair_count; i++) {
        struct name_text key = pair_key(header, i);
        struct printable shown = printable(key.text, key.length);
        int r = header->pairs[i].is_overwritten ? repeated(context, &shown) : 0;
        if (r)
            return r;
    }
    drop_overwritten_pairs(header);
    return 0;
}
