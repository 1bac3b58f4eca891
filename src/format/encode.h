/* SPDX-License-Identifier: Apache-2.0
 *
 * Order, offsets and bytes of a header to be written (docs/format.md 5). Deterministic: the same input gives
 * the same bytes.
 */
#ifndef FORMAT_ENCODE_H
#define FORMAT_ENCODE_H

#include "base/bytes.h"

#include <weightfs/header.h>

/* One pair of __metadata__; both are UTF-8 and may hold NUL. */
struct metadata_pair {
    const char *key;
    size_t key_length;
    const char *value;
    size_t value_length;
};

/* The map to write: absent, or `count` pairs (0 writes {}). Encoding sorts them by key. */
struct metadata_map {
    bool present;
    size_t count;
    struct metadata_pair *pairs;
};

enum layout_kind {
    LAYOUT_KEEP,      /* survivors in the source's order, the data start congruent to the source's */
    LAYOUT_CANONICAL, /* the official library's bytes */
    LAYOUT_ALIGN,     /* like keep where there is a source, the data start at a multiple of `align` */
};

struct layout {
    enum layout_kind kind;
    uint64_t align;
};

/* "keep", "canonical", "align=4096". -EINVAL. */
int layout_parse(const char *text, struct layout *ret_layout);

/* A tensor to place. */
struct layout_item {
    struct wfs_tensor tensor; /* name, dtype, shape; begin and end are filled in by layout_place() */
    size_t tag;               /* the caller's own: carried along by sorting */
    size_t slot;              /* its place in the source (a survivor, a renamed one), LAYOUT_NEW: new */
    const char
        *crc; /* written verbatim as the value of "crc32": a JSON integer, spaces may follow; NULL: none */
};

#define LAYOUT_NEW SIZE_MAX

struct layout_source {
    const struct wfs_header *header; /* NULL: there is none */
    uint64_t data_offset;
};

/* Sorts the items into file order and sets begin and end. *ret_used tells what was done when `wanted` could
 * not be (a tensor would begin off a multiple of its element size: canonical). -EINVAL with
 * VALIDATION_OVERFLOW or MISALIGNED_SLICE. */
int layout_place(struct layout_item *items, size_t count, const struct layout_source *source,
                 struct layout wanted, struct layout *ret_used, struct wfs_error *err);

/* Appends prefix, JSON and padding for placed items. -EINVAL with HEADER_TOO_LARGE, STRICT_RESERVED_NAME;
 * -ENOMEM. */
int header_encode(const struct layout_item *items, size_t count, const struct metadata_map *metadata,
                  const struct layout_source *source, struct layout used, struct bytes *out,
                  struct wfs_error *err);

/* Appends metadata.json: the same members, one tensor a line, `__metadata__` first, a newline at the end. */
void document_encode(const struct wfs_tensor *tensors, size_t count, const struct metadata_map *metadata,
                     struct bytes *out);

/* The map of a header (borrowing from it); pairs is malloc'd. -ENOMEM. */
int metadata_of_header(const struct wfs_header *header, struct metadata_map *ret_map);

#endif
