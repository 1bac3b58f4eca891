/* SPDX-License-Identifier: Apache-2.0
 *
 * How a decoded header lies in memory. The JSON text is kept, and what it says is kept in its place: a name
 * unescaped where it stood, its NUL on its closing quote, behind that the CRC-32 if there is one (4 bytes)
 * and the packed shape; the rest of the entry is spent. The strings of __metadata__ are moved together from
 * its beginning, each ending in a NUL. So a header of N bytes needs 32 bytes a tensor, 8 a metadata pair and
 * the name table on top of N, and none of these can exceed 2 N by much: the shortest entries are 24 bytes,
 * the shortest pairs 6.
 */
#ifndef FORMAT_STORAGE_H
#define FORMAT_STORAGE_H

#include "base/error.h"
#include "format/header.h"
#include "format/name_table.h"

/* Offsets into the text fit into 32 bits, lengths into 27: the text has at most HEADER_LENGTH_MAX bytes. */
struct tensor_record {
    uint64_t begin;
    uint64_t end;
    uint32_t name;
    uint32_t name_length : 31;
    uint32_t is_overwritten : 1; /* a later entry has the same name */
    uint32_t shape_size;
    uint32_t rank : 26; /* RANK_MISSING: a document without shape */
    uint32_t dtype : 5; /* WFS_DTYPE_COUNT: a document without dtype */
    uint32_t has_crc : 1;
};

#define RANK_MISSING ((1U << 26) - 1)
#define CRC_SIZE     4u
#define PLACE_MASK   0x7fffffffu /* no place is beyond it; the compiler has to be told */

/* One pair: key and NUL at `key`, value and NUL at `value`; the value ends where the next pair's key begins.
 */
struct pair_record {
    uint32_t key : 31;
    uint32_t is_overwritten : 1; /* a later pair has the same key */
    uint32_t value;
};

struct wfs_header {
    char *text;
    size_t length;
    uint64_t data_offset;
    struct tensor_record *tensors;
    size_t tensor_count;
    size_t tensor_capacity;
    struct name_table names;
    enum header_metadata_state metadata_state;
    struct pair_record *pairs; /* pair_count, and one more that only says where the last value ends */
    size_t pair_count;
    size_t pair_capacity;
};

static inline const char *record_name(const struct wfs_header *header, const struct tensor_record *record)
{
    return header->text + record->name;
}

/* Where the entry begins in the file: at its name's opening quote. */
static inline int64_t record_offset(const struct tensor_record *record)
{
    return (int64_t)HEADER_PREFIX + record->name - 1;
}

/* Behind the name: the CRC, if any, then the shape. */
static inline char *record_extra(const struct wfs_header *header, const struct tensor_record *record)
{
    return header->text + record->name + record->name_length + 1;
}

static inline const unsigned char *record_shape(const struct wfs_header *header,
                                                const struct tensor_record *record)
{
    return (const unsigned char *)record_extra(header, record) + (record->has_crc ? CRC_SIZE : 0);
}

static inline size_t pair_key_length(const struct pair_record *pair)
{
    return pair->value - pair->key - 1;
}

static inline size_t pair_value_length(const struct pair_record *pair)
{
    return pair[1].key - pair->value - 1;
}

/* An empty header that owns `text` (malloc'd; freed on failure). */
struct wfs_header *storage_new(char *text, size_t length);

/* Make room for one more; `read` bytes of the text have been decoded, from which the final number is guessed.
 * -ENOMEM. */
int storage_grow_tensors(struct wfs_header *header, size_t read);
int storage_grow_pairs(struct wfs_header *header, size_t read);

/* Puts the tensors into the order of their bytes (and of their names' places where they share them). */
void storage_sort(struct wfs_header *header);

/* Fills the name table, marking all but the last of each name as overwritten. 1 when a name occurs twice, 0
 * when none does, -ENOMEM. */
int storage_index(struct wfs_header *header);

/* Receives a key of __metadata__ that occurs again further on; anything but 0 ends the call. */
typedef int storage_repeated(void *context, const struct printable *key);

/* Lets the last of each key of __metadata__ win. -ENOMEM, or what `repeated` returned. */
int storage_merge_pairs(struct wfs_header *header, storage_repeated *repeated, void *context);

#endif
