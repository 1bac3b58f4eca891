/* SPDX-License-Identifier: Apache-2.0
 *
 * What file.c (source files, and what both kinds have in common) and file_pool.c share.
 */
#ifndef BASE_FILE_INTERNAL_H
#define BASE_FILE_INTERNAL_H

#include "base/file.h"

#include <pthread.h>
#include <stdatomic.h>

/* A file of a pool is at any time in one of three states: closed (fd < 0), idle (open, no pins, in the pool's
 * list) or pinned (open, pins > 0, not in the list). All members but `error` are guarded by the pool's mutex.
 */
struct file {
    atomic_uint references;
    int fd; /* a source file's never changes */
    struct file_identity identity;
    atomic_int error; /* negative errno, latched */

    struct file_pool *pool; /* NULL: a source file, nothing below is used */
    char *name;
    unsigned pins;
    bool is_dirty;
    bool is_going_out; /* dirty, and on its way to the disk */
    bool unlink_on_last;
    struct file *older;
    struct file *newer;
    pthread_mutex_t syncing; /* who waits for it finds the file synced */
};

/* The pool's part of the functions of the same name in file.h. */
int pool_acquire(struct file *file);
void pool_release(struct file *file);
int pool_sync(struct file *file);
void pool_unref(struct file *file);

#endif
