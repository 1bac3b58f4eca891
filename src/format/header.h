/* SPDX-License-Identifier: Apache-2.0
 *
 * From the bytes of a header to struct wfs_header and back (docs/format.md). Pure functions over memory: no
 * file is touched.
 */
#ifndef FORMAT_HEADER_H
#define FORMAT_HEADER_H

#include "base/bytes.h"
#include "base/cleanup.h"

#include <weightfs/header.h>

#define HEADER_PREFIX     8u         /* the length, u64 little-endian */
#define HEADER_LENGTH_MAX 100000000u /* decimal: the official limit */

enum header_mode {
    HEADER_OFFICIAL = 0,    /* the official library's verdict; duplicates always refused */
    HEADER_STRICT = 1 << 0, /* and the STRICT rules */
    HEADER_STSW =
        1 << 1, /* tolerate what stsw writes: gaps, trailing bytes, __version__, CRC inside entries */
    HEADER_DOCUMENT =
        1 << 2,                /* a metadata.json that a person wrote: data_offsets may be missing or anything
                                * that is JSON, dtype and shape may be missing too (dtype = WFS_DTYPE_COUNT,
                                * shape NULL), no offset is checked. Problems are DOCUMENT_INVALID or DTYPE_UNKNOWN,
                                * told with line and column; a problem's offset counts from the document's first byte */
    HEADER_LAST_WINS = 1 << 3, /* of a name that occurs twice the last entry counts, as to the official
                                * library: for its verdict, not to read tensors by */
};

enum header_metadata_state {
    HEADER_METADATA_ABSENT,
    HEADER_METADATA_NULL,
    HEADER_METADATA_MAP,
};

/* Checks what can be known of the first 8 bytes: steps 1 to 5 of docs/format.md 2. `size` are the bytes at
 * hand (fewer than 8 only when the file is that short). *ret_length is the header's length without the
 * prefix. */
int header_length(const unsigned char *prefix, size_t size, uint64_t file_size, uint64_t *ret_length,
                  struct wfs_error *err);

/* Decodes `json` (malloc'd, `length` bytes plus one spare; always taken over, reused for names and shapes in
 * place) and validates it against a file of `file_size` bytes. The first broken rule, in the official order,
 * is the error. */
int header_decode(char *json, size_t length, uint64_t file_size, unsigned mode,
                  struct wfs_header **ret_header, struct wfs_error *err);

/* The same, telling every problem to `report`; returns 0 when the file is readable, -EINVAL when not, or what
 * `report` returned. *ret_header may stay NULL. Behind a syntax error nothing is told; where entries are
 * wrong or names occur twice, nothing of where bytes lie. */
int header_check(char *json, size_t length, uint64_t file_size, unsigned mode, wfs_report *report,
                 void *context, struct wfs_header **ret_header);

/* A header without tensors or metadata, for a model that does not exist yet. */
int header_empty(struct wfs_header **ret_header);

enum header_metadata_state header_metadata_state(const struct wfs_header *header);

/* A CRC-32 inside a tensor's entry ("crc32": 123), as stsw and weightfs write it. */
bool header_crc(const struct wfs_header *header, size_t index, uint32_t *ret_crc);

/* Where a document is wrong: byte offset in the JSON to line and column, both from 1. */
void header_position(const char *json, size_t length, size_t offset, size_t *ret_line, size_t *ret_column);

DEFINE_CLEANUP(struct wfs_header, header, wfs_header_free)
#define auto_header __attribute__((cleanup(cleanup_header)))

#endif
