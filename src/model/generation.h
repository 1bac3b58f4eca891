/* SPDX-License-Identifier: Apache-2.0
 *
 * A generation is one opened state of the model: immutable, counted by those who read it. A commit makes the
 * next.
 *
 * Every tensor has an id, unique for the life of a mount, that follows its content: a tensor that a commit
 * left alone keeps id and time, a changed one gets new ones. Inode numbers are made of it.
 */
#ifndef MODEL_GENERATION_H
#define MODEL_GENERATION_H

#include "format/header.h"
#include "image/image.h"

#include <time.h>

struct generation;

struct generation_version {
    uint64_t id;
    struct timespec mtime;
};

/* Opens and validates a model file. On a broken file the error is one sentence that begins with the path,
 * names what it really is when it is not safetensors, and has the rule in err->code (-EINVAL). Ids are
 * first_id + index. */
int generation_open(int dirfd, const char *name, unsigned mode, uint64_t first_id,
                    struct generation **ret_generation, struct wfs_error *err);

/* The same for a descriptor, which is taken over also on failure; `path` is for messages. `versions` (NULL:
 * first_id + index, with the file's mtime) is malloc'd, one a tensor in header order, and taken over. */
int generation_adopt(int fd, const char *path, unsigned mode, uint64_t first_id,
                     struct generation_version *versions, struct generation **ret_generation,
                     struct wfs_error *err);

/* A model without a file: no tensor, no bytes. */
int generation_empty(struct generation **ret_generation, struct wfs_error *err);

struct generation *generation_ref(struct generation *generation);
void generation_unref(struct generation *generation); /* NULL allowed */

const struct wfs_header *generation_header(const struct generation *generation);
struct file *generation_file(const struct generation *generation); /* borrowed; NULL for an empty model */
bool generation_is_empty(const struct generation *generation);     /* has no file */

/* Owner, mode and times of the file when it was opened. */
const struct stat *generation_stat(const struct generation *generation);

/* CRC-32 of prefix and header: part of the model's identity. */
uint32_t generation_header_hash(const struct generation *generation);

size_t generation_count(const struct generation *generation);
struct wfs_tensor generation_tensor(const struct generation *generation, size_t index);
struct generation_version generation_version(const struct generation *generation, size_t index);

/* The index of the tensor with that id: false when this generation has none. */
bool generation_find_id(const struct generation *generation, uint64_t id, size_t *ret_index);

/* The tensor that a file name (without ".npy") of tensors/ stands for, hashed names included. */
bool generation_find_file(const struct generation *generation, const char *file_name, size_t *ret_index);

/* Where a tensor's bytes are in generation_file(). */
uint64_t generation_offset(const struct generation *generation, size_t index);

/* Images; NULL: no memory. */
struct image *generation_tensor_image(struct generation *generation, size_t index);
struct image *generation_npy_image(struct generation *generation, size_t index);
struct image *generation_document_image(struct generation *generation); /* metadata.json, rendered anew */
struct image *generation_whole_image(struct generation *generation);    /* the file itself */

/* Bytes of metadata.json; found by rendering it once. 0 on lack of memory. */
uint64_t generation_document_size(struct generation *generation);

#endif
