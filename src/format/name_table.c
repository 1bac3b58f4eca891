/* SPDX-License-Identifier: Apache-2.0 */
#include "format/name_table.h"

#include "format/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Where there are no random bytes (long before anybody can send us a file) the addresses of this process must
 * do. */
static void choose_key(struct name_table *table)
{
    if (getrandom(table->key, sizeof table->key, GRND_NONBLOCK) == (ssize_t)sizeof table->key)
        return;
    table->key[0] = (uint64_t)(uintptr_t)table->slots;
    table->key[1] = (uint64_t)(uintptr_t)table;
}

int name_table_init(struct name_table *table, size_t count, size_t distinct,
                    struct name_text (*name_of)(const void *context, size_t index), const void *context)
{
    table->name_of = name_of;
    table->context = context;
    table->capacity = distinct + distinct / 3 + 1; /* at least one slot stays free: searches end there */
    table->index_bits = 1;
    while (count >> table->index_bits)
        table->index_bits++;
    table->slots = calloc(table->capacity, sizeof *table->slots);
    if (!table->slots)
        return -ENOMEM;
    choose_key(table);
    return 0;
}

void name_table_clear(struct name_table *table)
{
    free(table->slots);
    table->slots = NULL;
    table->capacity = 0;
}

void name_table_empty(struct name_table *table)
{
    memset(table->slots, 0, table->capacity * sizeof *table->slots);
}

/* A slot holds index + 1 in its low bits and the hash's low bits above. */
static uint32_t slot_tag(const struct name_table *table, uint64_t hash)
{
    return (uint32_t)(hash << table->index_bits);
}

static size_t slot_index(const struct name_table *table, uint32_t slot)
{
    return (slot & ((UINT32_C(1) << table->index_bits) - 1)) - 1;
}

static size_t home_of(const struct name_table *table, uint64_t hash)
{
    return (size_t)((hash >> 32) * table->capacity >> 32);
}

/* The slot that holds the name, or the free one where it belongs. */
static uint32_t *find_slot(const struct name_table *table, uint64_t hash, struct name_text name)
{
    uint32_t tag = slot_tag(table, hash);
    size_t at = home_of(table, hash);
    while (table->slots[at]) {
        uint32_t slot = table->slots[at];
        if ((slot ^ tag) >> table->index_bits == 0) {
            struct name_text other = table->name_of(table->context, slot_index(table, slot));
            if (other.length == name.length && memcmp(other.text, name.text, name.length) == 0)
                break;
        }
        if (++at == table->capacity)
            at = 0;
    }
    return &table->slots[at];
}

size_t name_table_find(const struct name_table *table, const char *name, size_t length)
{
    if (table->capacity == 0)
        return NAME_TABLE_NONE;
    struct name_text text = {name, length};
    uint32_t slot = *find_slot(table, hash_bytes(table->key, name, length), text);
    return slot ? slot_index(table, slot) : NAME_TABLE_NONE;
}

static size_t put(struct name_table *table, size_t index, struct name_text name, uint64_t hash)
{
    uint32_t *slot = find_slot(table, hash, name);
    size_t previous = *slot ? slot_index(table, *slot) : NAME_TABLE_NONE;
    *slot = slot_tag(table, hash) | (uint32_t)(index + 1);
    return previous;
}

size_t name_table_put(struct name_table *table, size_t index)
{
    struct name_text name = table->name_of(table->context, index);
    return put(table, index, name, hash_bytes(table->key, name.text, name.length));
}

bool name_table_put_batch(struct name_table *table, size_t first, size_t count)
{
    struct name_text names[NAME_TABLE_BATCH];
    uint64_t hashes[NAME_TABLE_BATCH];
    bool are_distinct = true;
    for (size_t i = 0; i < count; i++) {
        names[i] = table->name_of(table->context, first + i);
        __builtin_prefetch(names[i].text);
    }
    for (size_t i = 0; i < count; i++) {
        hashes[i] = hash_bytes(table->key, names[i].text, names[i].length);
        __builtin_prefetch(&table->slots[home_of(table, hashes[i])], 1);
    }
    for (size_t i = 0; i < count; i++)
        are_distinct &= put(table, first + i, names[i], hashes[i]) == NAME_TABLE_NONE;
    return are_distinct;
}
