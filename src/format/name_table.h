/* SPDX-License-Identifier: Apache-2.0
 *
 * Which index has a name: open addressing over 32-bit slots, each the index and as many bits of the name's
 * hash as fit beside it, so that names are compared hardly ever but when they are equal. Hashes are keyed
 * with random bytes: no crafted set of names makes it slow.
 *
 * The names stay where they are; the table asks for them by index. It never grows: the number of names is
 * known before.
 */
#ifndef FORMAT_NAME_TABLE_H
#define FORMAT_NAME_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct name_text {
    const char *text;
    size_t length;
};

struct name_table {
    struct name_text (*name_of)(const void *context, size_t index);
    const void *context;
    uint32_t *slots; /* 0: free */
    size_t capacity;
    unsigned index_bits;
    uint64_t key[2];
};

#define NAME_TABLE_NONE SIZE_MAX

/* For indices below `count`, of which at most `distinct` have different names. -ENOMEM. */
int name_table_init(struct name_table *table, size_t count, size_t distinct,
                    struct name_text (*name_of)(const void *context, size_t index), const void *context);

void name_table_clear(struct name_table *table);

/* Forgets what was entered. */
void name_table_empty(struct name_table *table);

/* The index under that name, or NAME_TABLE_NONE. */
size_t name_table_find(const struct name_table *table, const char *name, size_t length);

/* Enters `index` under its name. Returns the index that it took the place of, or NAME_TABLE_NONE. */
size_t name_table_put(struct name_table *table, size_t index);

#define NAME_TABLE_BATCH 32u

/* Enters `count` indices (at most NAME_TABLE_BATCH) from `first` on; whether none took the place of another.
 * Slots lie anywhere in memory: a batch waits for all of them at once, where one index after the other would
 * wait for each. */
bool name_table_put_batch(struct name_table *table, size_t first, size_t count);

#endif
