/* SPDX-License-Identifier: Apache-2.0 */
#include "mount/node.h"

#include "base/cleanup.h"

#define FIRST_BUCKETS 64u

struct node {
    struct node *next; /* in its bucket */
    uint64_t number;
    uint64_t lookups;
    void *object;
};

struct node_table {
    struct node_class object_class;
    pthread_mutex_t lock;
    struct node **buckets;
    size_t bucket_count; /* a power of two */
    size_t count;
};

int node_table_new(const struct node_class *object_class, struct node_table **ret_table)
{
    struct node_table *table = calloc(1, sizeof(*table));
    struct node **buckets = calloc(FIRST_BUCKETS, sizeof(struct node *));
    if (!table || !buckets) {
        free(table);
        free(buckets);
        return -ENOMEM;
    }
    table->object_class = *object_class;
    table->buckets = buckets;
    table->bucket_count = FIRST_BUCKETS;
    pthread_mutex_init(&table->lock, NULL);
    *ret_table = table;
    return 0;
}

void node_table_free(struct node_table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->bucket_count; i++) {
        struct node *next;
        for (struct node *node = table->buckets[i]; node; node = next) {
            next = node->next;
            table->object_class.unref(node->object);
            free(node);
        }
    }
    pthread_mutex_destroy(&table->lock);
    free(table->buckets);
    free(table);
}

/* Numbers are small and dense, so their bits must be spread (Fibonacci hashing). */
static size_t bucket_of(uint64_t number, size_t bucket_count)
{
    return (size_t)(number * UINT64_C(0x9E3779B97F4A7C15) >> 32) & (bucket_count - 1);
}

/* Where the node is linked, or would be. */
static struct node **place_of(const struct node_table *table, uint64_t number)
{
    struct node **place = &table->buckets[bucket_of(number, table->bucket_count)];
    while (*place && (*place)->number != number)
        place = &(*place)->next;
    return place;
}

/* Without memory the table stays as it is and only gets slower. */
static void grow(struct node_table *table)
{
    size_t bucket_count = table->bucket_count * 2;
    struct node **buckets = calloc(bucket_count, sizeof(struct node *));
    if (!buckets)
        return;
    for (size_t i = 0; i < table->bucket_count; i++) {
        struct node *next;
        for (struct node *node = table->buckets[i]; node; node = next) {
            next = node->next;
            struct node **head = &buckets[bucket_of(node->number, bucket_count)];
            node->next = *head;
            *head = node;
        }
    }
    free(table->buckets);
    table->buckets = buckets;
    table->bucket_count = bucket_count;
}

static struct node *node_insert(struct node_table *table, uint64_t number)
{
    if (table->count >= table->bucket_count)
        grow(table);
    struct node *node = calloc(1, sizeof(*node));
    if (!node)
        return NULL;
    node->number = number;
    *place_of(table, number) = node;
    table->count++;
    return node;
}

int node_remember(struct node_table *table, uint64_t number, void *object)
{
    void *before = NULL;

    pthread_mutex_lock(&table->lock);
    struct node *node = *place_of(table, number);
    if (!node)
        node = node_insert(table, number);
    if (node) {
        node->lookups++;
        before = node->object;
        if (before != object)
            node->object = table->object_class.ref(object);
    }
    pthread_mutex_unlock(&table->lock);

    if (before && before != object)
        table->object_class.unref(before);
    return node ? 0 : -ENOMEM;
}

void node_forget(struct node_table *table, uint64_t number, uint64_t count)
{
    struct node *gone = NULL;

    pthread_mutex_lock(&table->lock);
    struct node **place = place_of(table, number);
    struct node *node = *place;
    if (node) {
        node->lookups -= count < node->lookups ? count : node->lookups;
        if (node->lookups == 0) {
            *place = node->next;
            table->count--;
            gone = node;
        }
    }
    pthread_mutex_unlock(&table->lock);

    if (gone)
        table->object_class.unref(gone->object);
    free(gone);
}

void *node_get(struct node_table *table, uint64_t number)
{
    auto_lock(&table->lock);
    const struct node *node = *place_of(table, number);
    return node ? table->object_class.ref(node->object) : NULL;
}

size_t node_count(struct node_table *table)
{
    auto_lock(&table->lock);
    return table->count;
}
