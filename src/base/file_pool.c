/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/file_internal.h"
#include "base/io.h"

#include <fcntl.h>
#include <string.h>

struct file_pool {
    pthread_mutex_t mutex;
    unsigned references; /* the owner's, and one of each file */
    int dirfd;           /* a duplicate: files may outlive the owner's */
    unsigned limit;
    unsigned open_count;
    struct file *oldest; /* idle files, by last use */
    struct file *newest;
};

/* --- the list of idle files; the pool is locked ----------------------------------------------- */

static void idle_add(struct file *file)
{
    struct file_pool *pool = file->pool;
    file->older = pool->newest;
    file->newer = NULL;
    *(pool->newest ? &pool->newest->newer : &pool->oldest) = file;
    pool->newest = file;
}

static void idle_remove(struct file *file)
{
    struct file_pool *pool = file->pool;
    *(file->older ? &file->older->newer : &pool->oldest) = file->newer;
    *(file->newer ? &file->newer->older : &pool->newest) = file->older;
    file->older = NULL;
    file->newer = NULL;
}

static void pin(struct file *file)
{
    if (file->pins++ == 0)
        idle_remove(file);
}

static void close_descriptor(struct file *file)
{
    close(file->fd);
    file->fd = -1;
    file->pool->open_count--;
}

/* --- syncing ---------------------------------------------------------------------------------- */

/* An fsync writes a file out and waits for the file system's journal. When the others are on their way out by
 * then, one wait does for all of them: the fsyncs that follow find their work done. The pool is locked. */
static void send_out_idle(struct file_pool *pool)
{
    for (struct file *file = pool->oldest; file; file = file->newer) {
        if (file->is_dirty && !file->is_going_out)
            file->is_going_out = sync_file_range(file->fd, 0, 0, SYNC_FILE_RANGE_WRITE) == 0;
    }
}

/* fsyncs a pinned file; the pool is not locked. */
static void sync_pinned(struct file *file)
{
    auto_lock(&file->syncing);
    pthread_mutex_lock(&file->pool->mutex);
    bool was_dirty = file->is_dirty;
    file->is_dirty = false; /* what is written from here on is the next fsync's */
    file->is_going_out = false;
    pthread_mutex_unlock(&file->pool->mutex);
    if (was_dirty && !fault(FAULT_SPOOL_SYNC) && io_sync(file->fd) < 0 && !fault(FAULT_SYNC_LATCH))
        file_latch(file, EIO);
}

int pool_sync(struct file *file)
{
    pthread_mutex_lock(&file->pool->mutex);
    bool is_open = file->fd >= 0; /* a closed file was synced when it was closed */
    if (is_open) {
        send_out_idle(file->pool);
        pin(file);
    }
    pthread_mutex_unlock(&file->pool->mutex);
    if (is_open) {
        sync_pinned(file);
        pool_release(file);
    }
    return file_error(file) ? -EIO : 0;
}

void file_mark_dirty(struct file *file)
{
    if (!file->pool)
        return;
    auto_lock(&file->pool->mutex);
    file->is_dirty = true;
    file->is_going_out = false;
}

/* --- descriptors on demand -------------------------------------------------------------------- */

static void pool_file_free(struct file *file);

/* Drops a reference; the pool is locked. True when it was the last: the caller frees the file after
 * unlocking. */
static bool drop_reference(struct file *file)
{
    if (atomic_fetch_sub(&file->references, 1) > 1)
        return false;
    if (file->fd >= 0 && file->pins == 0)
        idle_remove(file);
    return true;
}

static void become_idle(struct file *file)
{
    if (--file->pins == 0)
        idle_add(file);
}

/* Syncs an idle file while others go on using the pool; the pool is locked before and after. */
static void sync_unlocked(struct file *file)
{
    struct file_pool *pool = file->pool;
    send_out_idle(pool);
    file_ref(file);
    pin(file);
    pthread_mutex_unlock(&pool->mutex);
    sync_pinned(file);
    pthread_mutex_lock(&pool->mutex);
    become_idle(file);
    if (!drop_reference(file))
        return;
    pthread_mutex_unlock(&pool->mutex);
    pool_file_free(file);
    pthread_mutex_lock(&pool->mutex);
}

/* Closes the descriptor longest unused, or at least syncs it so that the next call can; the pool is locked,
 * and was unlocked meanwhile when it had to be synced. False: all are in use. */
static bool close_oldest(struct file_pool *pool)
{
    struct file *file = pool->oldest;
    if (!file)
        return false;
    if (file->is_dirty && !fault(FAULT_SPOOL_SYNC_AT_CLOSE)) {
        sync_unlocked(file);
        return true;
    }
    idle_remove(file);
    close_descriptor(file);
    return true;
}

/* A file on a read-only file system can still be read. */
static int open_descriptor(const struct file *file)
{
    static const int flags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    int fd = openat(file->pool->dirfd, file->name, O_RDWR | flags);
    if (fd < 0 && (errno == EROFS || errno == EACCES))
        fd = openat(file->pool->dirfd, file->name, O_RDONLY | flags);
    return fd < 0 ? -errno : fd;
}

/* Takes over a fresh descriptor as an idle file's. */
static void set_descriptor(struct file *file, int fd)
{
    file->fd = fd;
    file->pool->open_count++;
    idle_add(file);
}

int pool_acquire(struct file *file)
{
    struct file_pool *pool = file->pool;
    auto_lock(&pool->mutex);
    while (file->fd < 0) {
        if (pool->open_count >= pool->limit && close_oldest(pool))
            continue;
        int fd = open_descriptor(file);
        if ((fd == -EMFILE || fd == -ENFILE) && close_oldest(pool))
            continue;
        if (fd < 0)
            return fd;
        set_descriptor(file, fd);
    }
    pin(file);
    return file->fd;
}

void pool_release(struct file *file)
{
    struct file_pool *pool = file->pool;
    auto_lock(&pool->mutex);
    become_idle(file);
    while (pool->open_count > pool->limit && close_oldest(pool))
        continue;
}

/* --- pools ------------------------------------------------------------------------------------ */

int file_pool_new(int dirfd, unsigned limit, struct file_pool **ret_pool)
{
    struct file_pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return -ENOMEM;
    pool->dirfd = fcntl(dirfd, F_DUPFD_CLOEXEC, 0);
    if (pool->dirfd < 0) {
        int r = -errno;
        free(pool);
        return r;
    }
    pthread_mutex_init(&pool->mutex, NULL);
    pool->references = 1;
    pool->limit = limit;
    *ret_pool = pool;
    return 0;
}

static void pool_enter(struct file_pool *pool)
{
    auto_lock(&pool->mutex);
    pool->references++;
}

static void pool_leave(struct file_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    bool was_last = --pool->references == 0;
    pthread_mutex_unlock(&pool->mutex);
    if (!was_last)
        return;
    close(pool->dirfd);
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}

void file_pool_free(struct file_pool *pool)
{
    if (pool)
        pool_leave(pool);
}

/* Nobody else knows the file any more. */
static void pool_file_free(struct file *file)
{
    struct file_pool *pool = file->pool;
    if (file->unlink_on_last)
        unlinkat(pool->dirfd, file->name, 0);
    else if (file->fd >= 0 && file->is_dirty)
        io_sync(file->fd);
    if (file->fd >= 0) {
        auto_lock(&pool->mutex);
        close_descriptor(file);
    }
    pool_leave(pool);
    pthread_mutex_destroy(&file->syncing);
    free(file->name);
    free(file);
}

static struct file *pool_file_new(struct file_pool *pool, const char *name)
{
    auto_free struct file *file = calloc(1, sizeof *file);
    if (!file)
        return NULL;
    file->name = strdup(name);
    if (!file->name)
        return NULL;
    file->fd = -1;
    file->pool = pool;
    pool_enter(pool);
    atomic_init(&file->references, 1);
    pthread_mutex_init(&file->syncing, NULL);
    return take_ptr(file);
}

static int create_empty(struct file *file)
{
    struct file_pool *pool = file->pool;
    auto_lock(&pool->mutex);
    for (;;) {
        if (pool->open_count >= pool->limit && close_oldest(pool))
            continue;
        int fd = openat(pool->dirfd, file->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE) && close_oldest(pool))
            continue;
        if (fd < 0)
            return -errno;
        set_descriptor(file, fd);
        return 0;
    }
}

int file_pool_open(struct file_pool *pool, const char *name, bool create, struct file **ret_file,
                   struct wfs_error *err)
{
    struct file *file = pool_file_new(pool, name);
    if (!file)
        return error_no_memory(err);
    struct stat st = {0};
    int r = create ? create_empty(file) : 0;
    if (r == 0 && fstatat(pool->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        r = -errno;
    if (r < 0)
        error_errno(err, -r, "%s", printable_string(name).text);
    else if (!S_ISREG(st.st_mode))
        r = file_refuse_kind(err, name, st.st_mode);
    if (r < 0) {
        file_unref(file);
        return r;
    }
    file->identity = file_identity_of(&st);
    *ret_file = file;
    return 0;
}

void file_unlink_on_last(struct file *file)
{
    if (!file->pool)
        return;
    auto_lock(&file->pool->mutex);
    file->unlink_on_last = true;
}

void pool_unref(struct file *file)
{
    struct file_pool *pool = file->pool;
    pthread_mutex_lock(&pool->mutex);
    bool was_last = drop_reference(file);
    pthread_mutex_unlock(&pool->mutex);
    if (was_last)
        pool_file_free(file);
}
