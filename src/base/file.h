/* SPDX-License-Identifier: Apache-2.0
 *
 * An open file that many hold: counted, read by offset, its descriptor opened on demand.
 *
 * A source file keeps its descriptor and knows its identity, so that a change underneath is noticed. A spool
 * file lives in a pool: the pool keeps at most `limit` descriptors, and closes the one longest unused; before
 * it closes a descriptor that was written through, it fsyncs it, because an error is reported only there
 * (reliability: one descriptor from the first write to the fsync).
 *
 * Locking: everything here may be called from any thread.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include <weightfs/error.h>

struct file;
struct file_pool;

/* What tells one state of a file from another. The device and ctime are left out on purpose: a reboot or a
 * chmod changes them. */
struct file_identity {
    uint64_t size;
    struct timespec mtime;
    uint64_t inode; /* a hint */
};

struct file_identity file_identity_of(const struct stat *st);
bool file_identity_equal(const struct file_identity *a, const struct file_identity *b); /* size and mtime */

/* Opens a regular file for reading, relative to `dirfd` (AT_FDCWD allowed), never following a last symlink
 * when `flags` has O_NOFOLLOW. Refuses anything but a regular file with -EINVAL. */
int file_open(int dirfd, const char *name, int flags, struct file **ret_file, struct wfs_error *err);

/* Takes over a descriptor as a source file, recording its identity now. */
int file_adopt(int fd, struct file **ret_file, struct wfs_error *err);

/* -EINVAL with a sentence that names what was found instead of a regular file. */
int file_refuse_kind(struct wfs_error *err, const char *name, mode_t mode);

struct file *file_ref(struct file *file);
void file_unref(struct file *file); /* NULL allowed */

const struct file_identity *file_identity(const struct file *file);

/* A descriptor good until file_release(); negative errno when it cannot be opened. */
int file_acquire(struct file *file);
void file_release(struct file *file);

/* -ESTALE when the file was changed or cut in place since it was opened; replaced by rename is no change. */
int file_check(struct file *file);

/* A pool for files below `dirfd` (duplicated). */
int file_pool_new(int dirfd, unsigned limit, struct file_pool **ret_pool);
void file_pool_free(struct file_pool *pool); /* files of it that are still referred to stay usable */

/* A file of the pool, called `name` (copied): created empty with mode 0600 when `create`, else expected to
 * exist. */
int file_pool_open(struct file_pool *pool, const char *name, bool create, struct file **ret_file,
                   struct wfs_error *err);

/* Says that bytes were written through the descriptor: it is fsynced before it is closed. To be called
 * between file_acquire() and file_release(). */
void file_mark_dirty(struct file *file);

/* fsyncs what was written, -EIO when that fails. A failure latches: the answer is -EIO ever after (fsync
 * tells an error once). */
int file_sync(struct file *file);

/* The latched error, a negative errno; 0: none. The first one stays. */
int file_error(const struct file *file);

/* Latches an error (positive errno), after a write that failed. */
void file_latch(struct file *file, int errnum);

/* The file is unlinked from its directory when the last reference goes. */
void file_unlink_on_last(struct file *file);

const char *file_name(const struct file *file); /* in the pool; NULL for a source file */

#endif
