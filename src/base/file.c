/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>

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
    bool unlink_on_last;
    struct file *older;
    struct file *newer;
    pthread_mutex_t syncing; /* who waits for it finds the file synced */
};

struct file_pool {
    pthread_mutex_t mutex;
    int dirfd;
    unsigned limit;
    unsigned open_count;
    struct file *oldest; /* idle files, by last use */
    struct file *newest;
};

/* --- identity
 * -------------------------------------------------------------------------------------------------- */

struct file_identity file_identity_of(const struct stat *st)
{
    return (struct file_identity){.size = (uint64_t)st->st_size, .mtime = st->st_mtim, .inode = st->st_ino};
}

bool file_identity_equal(const struct file_identity *a, const struct file_identity *b)
{
    return a->size == b->size && a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec;
}

const struct file_identity *file_identity(const struct file *file)
{
    return &file->identity;
}

int file_check(struct file *file)
{
    if (file->pool)
        return 0;
    struct stat st;
    if (fstat(file->fd, &st) < 0)
        return -errno;
    struct file_identity now = file_identity_of(&st);
    return file_identity_equal(&now, &file->identity) ? 0 : -ESTALE;
}

/* --- source files
 * ---------------------------------------------------------------------------------------------- */

static const char *kind_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return "a directory";
    case S_IFIFO:
        return "a FIFO";
    case S_IFSOCK:
        return "a socket";
    case S_IFLNK:
        return "a symbolic link";
    default:
        return "a device";
    }
}

static int refuse_kind(struct wfs_error *err, const char *name, mode_t mode)
{
    error_rule(err, WFS_CODE_USAGE, "%s: is %s, expected a regular file", printable_string(name).text,
               kind_of(mode));
    if (err)
        err->errnum = EINVAL;
    return -EINVAL;
}

/* fstat, refusing anything but a regular file. */
static int stat_regular(int fd, const char *name, struct stat *ret_stat, struct wfs_error *err)
{
    if (fstat(fd, ret_stat) < 0)
        return error_errno(err, errno, "%s", printable_string(name).text);
    return S_ISREG(ret_stat->st_mode) ? 0 : refuse_kind(err, name, ret_stat->st_mode);
}

static int source_new(int fd, const char *name, struct file **ret_file, struct wfs_error *err)
{
    auto_close int owned = fd;
    struct stat st;
    int r = stat_regular(fd, name, &st, err);
    if (r < 0)
        return r;
    struct file *file = calloc(1, sizeof *file);
    if (!file)
        return error_no_memory(err);
    file->fd = take_fd(&owned);
    file->identity = file_identity_of(&st);
    atomic_init(&file->references, 1);
    *ret_file = file;
    return 0;
}

int file_open(int dirfd, const char *name, int flags, struct file **ret_file, struct wfs_error *err)
{
    /* O_NONBLOCK: opening a FIFO must not wait for its writer. */
    int fd = openat(dirfd, name, flags | O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return error_errno(err, errno, "%s", printable_string(name).text);
    return source_new(fd, name, ret_file, err);
}

int file_adopt(int fd, struct file **ret_file, struct wfs_error *err)
{
    return source_new(fd, "the file", ret_file, err);
}

static void source_free(struct file *file)
{
    close(file->fd);
    free(file);
}

/* --- the list of idle files; the pool is locked
 * ------------------------------------------------------------------ */

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

/* --- syncing
 * --------------------------------------------------------------------------------------------------- */

static int sync_descriptor(int fd)
{
    int r = -1;
    do {
        r = fsync(fd);
    } while (r < 0 && errno == EINTR);
    return r;
}

/* fsyncs a pinned file; the pool is not locked. */
static void sync_pinned(struct file *file)
{
    auto_lock(&file->syncing);
    pthread_mutex_lock(&file->pool->mutex);
    bool was_dirty = file->is_dirty;
    file->is_dirty = false; /* what is written from here on is the next fsync's */
    pthread_mutex_unlock(&file->pool->mutex);
    if (was_dirty && sync_descriptor(file->fd) < 0)
        file_latch(file, EIO);
}

int file_sync(struct file *file)
{
    if (!file->pool)
        return 0;
    pthread_mutex_lock(&file->pool->mutex);
    bool is_open = file->fd >= 0; /* a closed file was synced when it was closed */
    if (is_open)
        pin(file);
    pthread_mutex_unlock(&file->pool->mutex);
    if (is_open) {
        sync_pinned(file);
        file_release(file);
    }
    return file_error(file) ? -EIO : 0;
}

void file_mark_dirty(struct file *file)
{
    if (!file->pool)
        return;
    auto_lock(&file->pool->mutex);
    file->is_dirty = true;
}

int file_error(const struct file *file)
{
    return atomic_load(&file->error);
}

void file_latch(struct file *file, int errnum)
{
    int none = 0;
    atomic_compare_exchange_strong(&file->error, &none, errnum > 0 ? -errnum : errnum);
}

/* --- descriptors on demand
 * --------------------------------------------------------------------------------------- */

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
    if (file->is_dirty) {
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

int file_acquire(struct file *file)
{
    struct file_pool *pool = file->pool;
    if (!pool)
        return file->fd;
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

void file_release(struct file *file)
{
    struct file_pool *pool = file->pool;
    if (!pool)
        return;
    auto_lock(&pool->mutex);
    become_idle(file);
    while (pool->open_count > pool->limit && close_oldest(pool))
        continue;
}

/* --- pools
 * ------------------------------------------------------------------------------------------------------- */

int file_pool_new(int dirfd, unsigned limit, struct file_pool **ret_pool)
{
    struct file_pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return -ENOMEM;
    pthread_mutex_init(&pool->mutex, NULL);
    pool->dirfd = dirfd;
    pool->limit = limit;
    *ret_pool = pool;
    return 0;
}

void file_pool_free(struct file_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}

/* Nobody else knows the file any more. */
static void pool_file_free(struct file *file)
{
    if (file->unlink_on_last)
        unlinkat(file->pool->dirfd, file->name, 0);
    else if (file->fd >= 0 && file->is_dirty)
        sync_descriptor(file->fd);
    if (file->fd >= 0) {
        auto_lock(&file->pool->mutex);
        close_descriptor(file);
    }
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
        r = refuse_kind(err, name, st.st_mode);
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

const char *file_name(const struct file *file)
{
    return file->name;
}

/* --- counting
 * ------------------------------------------------------------------------------------------------------ */

struct file *file_ref(struct file *file)
{
    atomic_fetch_add(&file->references, 1);
    return file;
}

void file_unref(struct file *file)
{
    if (!file)
        return;
    if (!file->pool) {
        if (atomic_fetch_sub(&file->references, 1) == 1)
            source_free(file);
        return;
    }
    pthread_mutex_lock(&file->pool->mutex);
    bool was_last = drop_reference(file);
    pthread_mutex_unlock(&file->pool->mutex);
    if (was_last)
        pool_file_free(file);
}
