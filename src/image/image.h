/* SPDX-License-Identifier: Apache-2.0
 *
 * An image is the bytes of a file that need not exist: an ordered list of parts, each memory or a range of a
 * file. Reading any file of the mount is a slice of an image; a commit is writing one out.
 *
 * Build it with image_new() and image_add_*(), then share it: after the first reader it must not change.
 * Counted.
 */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include "base/clone.h"
#include "base/file.h"

#include <sys/types.h>

#include <weightfs/error.h>

struct image_part {
    struct file *file; /* NULL: memory */
    const char *memory;
    uint64_t offset; /* in the file */
    uint64_t length; /* bytes, never 0 */
};

struct image;

struct image *image_new(void); /* NULL: no memory */
struct image *image_ref(struct image *image);
void image_unref(struct image *image); /* NULL allowed */

/* A range of a file (referenced by the image). A range that continues the one before is merged with it. 0 or
 * -ENOMEM. */
int image_add_file(struct image *image, struct file *file, uint64_t offset, uint64_t length);

/* Takes over malloc'd memory, also on failure. */
int image_add_memory(struct image *image, char *memory, size_t length);

uint64_t image_length(const struct image *image);
size_t image_part_count(const struct image *image);
const struct image_part *image_part(const struct image *image, size_t index);

/* Part of an image made ready for a reply: descriptors are held until image_slice_done(). */
#define IMAGE_SLICE_PARTS 120 /* more parts than that would need more iovecs than one splice takes */

struct image_slice_part {
    int fd; /* -1: memory */
    struct file *file;
    const char *memory;
    uint64_t offset;
    size_t length;
};

struct image_slice {
    size_t count;
    size_t length; /* bytes in all parts */
    struct image_slice_part parts[IMAGE_SLICE_PARTS];
};

/* The bytes [offset, offset + length) cut at the image's end and at IMAGE_SLICE_PARTS parts: *ret_slice may
 * be shorter than asked for in the second case (the caller then falls back to image_read()). Negative errno
 * when a file cannot be opened. */
int image_slice(const struct image *image, uint64_t offset, size_t length, struct image_slice *ret_slice);
void image_slice_done(struct image_slice *slice);

/* Reads into a buffer; the count, short only at the image's end, or a negative errno (-ESTALE when a source
 * is shorter than it was). */
ssize_t image_read(const struct image *image, void *buffer, size_t length, uint64_t offset);

/* What a writer of an image tells, and asks. Every member may be NULL. */
struct image_observer {
    void *context;
    /* `done` more bytes are written; non-zero cancels with that value */
    int (*progress)(void *context, uint64_t done);
    /* every byte that is written, in order; asking for it forbids cloning */
    void (*block)(void *context, const void *data, size_t length);
};

/* Writes the whole image to `fd` from `offset` on, by clone, kernel copy or copy. */
int image_write(const struct image *image, int fd, uint64_t offset, const struct image_observer *observer,
                struct clone_cost *cost, struct wfs_error *err);

#endif
