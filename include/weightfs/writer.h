/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing a safetensors file, atomically and in bounded memory.
 *
 *     wfs_writer_create()      nothing is on disk under that name yet
 *     wfs_writer_metadata()    any number of pairs
 *     wfs_writer_declare()     every tensor: name, dtype, shape
 *     wfs_writer_append()      blocks of the tensors, in any order of tensors; the first one fixes the header
 *     wfs_writer_finish()      validated, synced, and only then under its name
 *     wfs_writer_close()       always; before a successful finish it leaves no trace
 *
 * The bytes are those of the official library for the same content (layout "canonical"), with the keys of
 * __metadata__ sorted. Whoever reads the path meanwhile sees the old file or the new one, whole.
 *
 * Misuse (too many bytes, an unknown tensor, one declared twice, a tensor too short at the finish) is refused
 * with -EINVAL, WFS_CODE_WRITER_MISUSE and a sentence that names the tensor, and changes nothing: what was
 * written before is still there, and the call can be made rightly. A write that the disk refuses condemns the
 * file: every later call tells the same error. One thread at a time.
 */
#ifndef WEIGHTFS_WRITER_H
#define WEIGHTFS_WRITER_H

#include <weightfs/header.h>

#ifdef __cplusplus
extern "C" {
#endif

struct wfs_writer;

struct wfs_writer_options {
    const char *layout; /* "canonical" (NULL), or "align=4096": the data begins at a multiple of that */
    int crc; /* store a CRC-32 in every tensor's entry, where the official library and stsw read over it */
    int exclusive; /* the path must not exist: -EEXIST. Otherwise a file is replaced, keeping owner, mode and
                      xattrs */
    size_t buffer_size; /* small blocks are gathered up to this many bytes; 0: 1 MiB */
    /* after every block; non-zero ends the call with -ECANCELED */
    int (*progress)(void *context, uint64_t written, uint64_t total);
    void *context;
};

struct wfs_writer_stats {
    uint64_t written; /* bytes of tensors so far */
    uint64_t total;   /* bytes of all declared tensors */
    double seconds;   /* since wfs_writer_create(), until the finish */
};

/* Begins a file; `options` may be NULL. The path is resolved now. -EPERM for a symlink or a blob of a
 * download cache. */
WFS_API int wfs_writer_create(const char *path, const struct wfs_writer_options *options,
                              struct wfs_writer **ret_writer, struct wfs_error *err);

/* Adds a pair to __metadata__, replacing the value of a key that is there. A NULL key makes an empty map. */
WFS_API int wfs_writer_metadata(struct wfs_writer *writer, const char *key, const char *value,
                                struct wfs_error *err);

/* Declares a tensor. `shape` holds `rank` dimensions; rank 0 is a scalar. */
WFS_API int wfs_writer_declare(struct wfs_writer *writer, const char *name, enum wfs_dtype dtype, size_t rank,
                               const uint64_t *shape, struct wfs_error *err);

/* Writes the next `length` bytes of a tensor. */
WFS_API int wfs_writer_append(struct wfs_writer *writer, const char *name, const void *data, size_t length,
                              struct wfs_error *err);

/* Writes bytes of a tensor from its byte `offset` on; appending goes on after the last byte written so. */
WFS_API int wfs_writer_write_at(struct wfs_writer *writer, const char *name, uint64_t offset,
                                const void *data, size_t length, struct wfs_error *err);

/* 0: the file is there, complete, valid and on disk. 1: there, but its directory could not be synced (err is
 * filled): a power loss may bring the old one back. Negative: nothing was changed under the path. */
WFS_API int wfs_writer_finish(struct wfs_writer *writer, struct wfs_error *err);

WFS_API struct wfs_writer_stats wfs_writer_stats(const struct wfs_writer *writer);

/* Frees; NULL is allowed. Without a successful finish the file is gone. */
WFS_API void wfs_writer_close(struct wfs_writer *writer);

#ifdef __cplusplus
}
#endif
#endif
