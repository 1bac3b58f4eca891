/* SPDX-License-Identifier: Apache-2.0
 *
 * The writer from inside: what pack and repair need beyond <weightfs/writer.h> (names with NUL, images, a
 * source's layout or its very header), and its parts.
 */
#ifndef MODEL_WRITER_H
#define MODEL_WRITER_H

#include "base/replace.h"
#include "format/encode.h"
#include "image/image.h"
#include "model/pieces.h"
#include "model/target.h"

#include <time.h>

#include <weightfs/writer.h>

/* A declared tensor. */
struct writer_tensor {
    char *name;
    size_t name_length;
    enum wfs_dtype dtype;
    size_t rank;
    unsigned char *shape; /* packed */
    size_t shape_size;
    size_t slot;          /* in the source, or LAYOUT_NEW */
    uint64_t begin, end;  /* set when the header is fixed */
    struct pieces pieces; /* what was written of it */
};

/* Name -> index, open addressing; keyed so that names cannot be made to collide. */
struct writer_index {
    uint64_t key[2];
    size_t *slots; /* index + 1; 0: free */
    size_t size;   /* a power of two, or 0 */
};

/* Small neighbouring blocks on their way to the file. */
struct writer_buffer {
    unsigned char *data;
    size_t size;
    size_t length;
    uint64_t offset; /* in the file */
};

struct wfs_writer {
    struct target target;
    struct replace *replace;
    struct layout layout;
    struct layout_source source; /* its header is borrowed; NULL: none */
    bool crc;
    bool preallocate;
    bool is_fixed; /* the header was laid out: no more declarations */
    bool is_finished;
    struct wfs_error broken; /* errnum != 0: the disk refused a write */

    struct writer_tensor *tensors;
    size_t count, capacity;
    size_t *order; /* indices in the order of the file, once the tensors are placed by a layout */
    struct writer_index index;
    struct metadata_map metadata; /* owns its strings */
    size_t pair_capacity;

    char *raw_header; /* header that is to be written as it stands, without the prefix; NULL: encode one */
    size_t raw_length;
    uint64_t data_offset;
    uint64_t total;
    uint64_t written;
    struct writer_buffer buffer;
    struct timespec begun, ended;

    int (*progress)(void *context, uint64_t written, uint64_t total);
    void *context;
    char path[]; /* as given, for messages */
};

/* The subject of a message: "model.safetensors". */
struct printable writer_path(const struct wfs_writer *writer);

/* --- writer_declare.c: what the file will hold */

/* The index of a tensor; false: not declared. */
bool writer_find(const struct wfs_writer *writer, const char *name, size_t length, size_t *ret_index);

/* Declares a tensor with a packed shape; begin and end of `tensor` are ignored. */
int writer_declare(struct wfs_writer *writer, const struct wfs_tensor *tensor, size_t slot,
                   struct wfs_error *err);

void writer_free_declared(struct wfs_writer *writer);

/* --- writer_metadata.c: __metadata__ */

/* Adds a pair, which replaces an earlier one of its key; the map becomes present. */
int writer_add_metadata(struct wfs_writer *writer, const struct metadata_pair *pair, struct wfs_error *err);

/* Sorts the pairs by key and keeps the last of each. -ENOMEM. */
int writer_settle_metadata(struct wfs_writer *writer);

/* Whether the settled pairs are those of `map`, whose keys are distinct; it is sorted on the way. */
bool writer_has_metadata(const struct wfs_writer *writer, struct metadata_map *map);

/* A NUL-terminated copy. */
char *writer_copy_bytes(const void *bytes, size_t length);

void writer_free_metadata(struct wfs_writer *writer);

/* --- writer_layout.c: where everything goes */

/* Keeps the order of a source (LAYOUT_KEEP); the header must outlive the writer. */
void writer_keep_layout(struct wfs_writer *writer, const struct wfs_header *source, uint64_t data_offset);

/* Uses the JSON of a header as it stands, if it tells exactly the tensors and the metadata that were
 * declared: 1 or 0; -ENOMEM. Call it after the last declaration, before the first byte. */
int writer_use_header(struct wfs_writer *writer, const char *json, size_t length);

/* Lays the tensors out and reserves the space, once; done by the first block. */
int writer_fix(struct wfs_writer *writer, struct wfs_error *err);

/* Writes the header, with the checksums when they are wanted. */
int writer_put_header(struct wfs_writer *writer, struct wfs_error *err);

/* --- writer_blocks.c: the bytes */

int writer_write(struct wfs_writer *writer, size_t index, uint64_t offset, const void *data, size_t length,
                 struct wfs_error *err);

/* All bytes of a tensor from an image of its very size, by clone or kernel copy where no checksum is wanted.
 */
int writer_copy(struct wfs_writer *writer, size_t index, const struct image *image, struct wfs_error *err);

int writer_flush(struct wfs_writer *writer, struct wfs_error *err);

/* The CRC of a complete tensor; read again when its blocks did not come once and in full. */
int writer_crc(struct wfs_writer *writer, size_t index, uint32_t *ret_crc, struct wfs_error *err);

#endif
