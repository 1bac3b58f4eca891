/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernel reads inodes from in passthrough: the inodes that are open, the id of the backing file of
 * each, and clones that are kept a while longer for their cached pages. Locks for itself.
 */
#ifndef MOUNT_BACKING_H
#define MOUNT_BACKING_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct backing_table;

/* An inode that is open, or whose backing file is kept. */
struct backing {
    uint64_t number;
    pthread_mutex_t lock; /* of the next two: the first open decides, and others wait for it */
    bool is_decided;
    int id; /* of the backing file, to the kernel; 0: read through the daemon */
};

/* Whether the backing file of an inode is worth keeping. */
struct backing_judge {
    bool (*is_wanted)(void *context, uint64_t number);
    void *context;
};

/* At most `kept` backing files are kept. -ENOMEM. */
int backing_table_new(unsigned kept, struct backing_table **ret_table);
void backing_table_free(struct backing_table *table); /* NULL allowed */

/* The descriptor of the mount; -1: there is none, the kernel is told nothing any more. */
void backing_attach(struct backing_table *table, int fuse_fd);

/* The id of a file made known to the kernel, which holds it from now on; negative errno. The id goes into a
 * backing, or to backing_drop(). */
int backing_make(struct backing_table *table, int fd);
void backing_drop(struct backing_table *table, int id);

/* One more open file of that inode (NULL: no memory), and one fewer. The backing file is dropped with the
 * last, unless it is kept. */
struct backing *backing_open(struct backing_table *table, uint64_t number);
void backing_close(struct backing_table *table, uint64_t number);

/* Keeps the backing file of an open inode, if it is wanted; the one used longest ago goes when there are too
 * many. The judge is asked with the table locked. */
void backing_keep(struct backing_table *table, struct backing *backing, const struct backing_judge *judge);

/* It was used again. */
void backing_used(struct backing_table *table, struct backing *backing);

/* Keeps only what is wanted. */
void backing_sift(struct backing_table *table, const struct backing_judge *judge);

#endif
