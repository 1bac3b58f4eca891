/* SPDX-License-Identifier: Apache-2.0 */
#include "format/name.h"
#include "stage/pending.h"

#include <string.h>
#include <sys/random.h>

#define TABLE_BUCKETS 64

int table_init(struct table *table)
{
    *table = (struct table){.bucket_count = TABLE_BUCKETS};
    if (getrandom(table->key, sizeof(table->key), 0) != (ssize_t)sizeof(table->key))
        return -EIO;
    table->buckets = calloc(TABLE_BUCKETS, sizeof(struct slot *));
    return table->buckets ? 0 : -ENOMEM;
}

static void slot_free(struct slot *slot)
{
    declaration_clear(&slot->last);
    free(slot);
}

void table_free(struct table *table)
{
    for (size_t i = 0; table->buckets && i < table->bucket_count; i++) {
        while (table->buckets[i]) {
            struct slot *slot = table->buckets[i];
            table->buckets[i] = slot->next;
            slot_free(slot);
        }
    }
    free(table->buckets);
    *table = (struct table){0};
}

static uint64_t key_hash(const struct table *table, struct key key)
{
    return hash_bytes(table->key, key.name, key.length) ^ ((uint64_t)key.space * 0x9e3779b97f4a7c15u);
}

struct key slot_key(const struct slot *slot)
{
    return (struct key){slot->space, slot->name, slot->length};
}

static struct slot *slot_find_hashed(const struct table *table, struct key key, uint64_t hash)
{
    struct slot *slot = table->buckets[hash & (table->bucket_count - 1)];

    while (slot && !(slot->hash == hash && slot->space == key.space && slot->length == key.length &&
                     memcmp(slot->name, key.name, key.length) == 0))
        slot = slot->next;
    return slot;
}

struct slot *slot_find(const struct table *table, struct key key)
{
    if (table->count == 0)
        return NULL;
    return slot_find_hashed(table, key, key_hash(table, key));
}

/* Without memory for a larger array the buckets just grow longer. */
static void table_grow(struct table *table)
{
    size_t bucket_count = table->bucket_count * 2;
    struct slot **buckets = calloc(bucket_count, sizeof(struct slot *));

    if (!buckets)
        return;
    for (size_t i = 0; i < table->bucket_count; i++) {
        while (table->buckets[i]) {
            struct slot *slot = table->buckets[i];
            struct slot **bucket = &buckets[slot->hash & (bucket_count - 1)];
            table->buckets[i] = slot->next;
            slot->next = *bucket;
            *bucket = slot;
        }
    }
    free(table->buckets);
    table->buckets = buckets;
    table->bucket_count = bucket_count;
}

struct slot *slot_get(struct table *table, struct key key)
{
    uint64_t hash = key_hash(table, key);
    struct slot *slot = slot_find_hashed(table, key, hash);
    if (slot)
        return slot;

    slot = malloc(sizeof(*slot) + key.length + 1);
    if (!slot)
        return NULL;
    if (table->count >= table->bucket_count)
        table_grow(table);

    struct slot **bucket = &table->buckets[hash & (table->bucket_count - 1)];
    *slot = (struct slot){
        .next = *bucket,
        .hash = hash,
        .last = DECLARATION_NONE,
        .space = key.space,
        .length = key.length,
    };
    memcpy(slot->name, key.name, key.length);
    slot->name[key.length] = '\0';
    *bucket = slot;
    table->count++;
    return slot;
}

void slot_drop_if_empty(struct table *table, struct slot *slot)
{
    if (slot->entry || slot->removed || slot->last.dtype != WFS_DTYPE_COUNT || slot->last.has_shape)
        return;

    struct slot **link = &table->buckets[slot->hash & (table->bucket_count - 1)];
    while (*link != slot)
        link = &(*link)->next;
    *link = slot->next;
    table->count--;
    slot_free(slot);
}

struct slot *slot_next(const struct table *table, size_t *bucket, const struct slot *slot)
{
    if (slot && slot->next)
        return slot->next;
    if (slot)
        (*bucket)++;
    while (*bucket < table->bucket_count && !table->buckets[*bucket])
        (*bucket)++;
    return *bucket < table->bucket_count ? table->buckets[*bucket] : NULL;
}
