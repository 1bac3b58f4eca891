/* SPDX-License-Identifier: Apache-2.0
 *
 * The inodes of staging/ that the kernel knows: number -> what it stands for, counted as the kernel counts
 * lookups. The read-only tree needs no table: its numbers are computed.
 */
#ifndef MOUNT_NODE_H
#define MOUNT_NODE_H

#include <stddef.h>
#include <stdint.h>

struct node_table;

/* What nodes stand for is counted elsewhere: `ref` returns its argument. */
struct node_class {
    void *(*ref)(void *object);
    void (*unref)(void *object);
};

/* -ENOMEM. */
int node_table_new(const struct node_class *object_class, struct node_table **ret_table);
void node_table_free(struct node_table *table); /* NULL allowed */

/* One more lookup of `number`, which from now on stands for `object`. -ENOMEM. */
int node_remember(struct node_table *table, uint64_t number, void *object);

/* The kernel forgets `count` lookups; numbers that are not in the table are ignored. */
void node_forget(struct node_table *table, uint64_t number, uint64_t count);

/* What the number stands for, counted for the caller; NULL: unknown. */
void *node_get(struct node_table *table, uint64_t number);

size_t node_count(struct node_table *table);

#endif
