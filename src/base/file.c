/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/file_internal.h"

#include <fcntl.h>

/* --- identity --------------------------------------------------------------------------------- */

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
    if (file->pool || fault(FAULT_SOURCE_CHECK))
        return 0;
    struct stat st;
    if (fstat(file->fd, &st) < 0)
        return -errno;
    struct file_identity now = file_identity_of(&st);
    return file_identity_equal(&now, &file->identity) ? 0 : -ESTALE;
}

/* --- source files ----------------------------------------------------------------------------- */

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

int file_refuse_kind(struct wfs_error *err, const char *name, mode_t mode)
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
    return S_ISREG(ret_stat->st_mode) ? 0 : file_refuse_kind(err, name, ret_stat->st_mode);
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

/* --- both kinds ------------------------------------------------------------------------------- */

int file_error(const struct file *file)
{
    return atomic_load(&file->error);
}

void file_latch(struct file *file, int errnum)
{
    int none = 0;
    atomic_compare_exchange_strong(&file->error, &none, errnum > 0 ? -errnum : errnum);
}

struct file *file_ref(struct file *file)
{
    atomic_fetch_add(&file->references, 1);
    return file;
}

void file_unref(struct file *file)
{
    if (!file)
        return;
    if (file->pool)
        pool_unref(file);
    else if (atomic_fetch_sub(&file->references, 1) == 1)
        source_free(file);
}

int file_acquire(struct file *file)
{
    return file->pool ? pool_acquire(file) : file->fd;
}

void file_release(struct file *file)
{
    if (file->pool)
        pool_release(file);
}

int file_sync(struct file *file)
{
    return file->pool ? pool_sync(file) : 0;
}

const char *file_name(const struct file *file)
{
    return file->name;
}
