/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "format/shape.h"
#include "format/sniff.h"
#include "format/storage.h"

#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void wfs_header_free(struct wfs_header *header)
{
    if (!header)
        return;
    name_table_clear(&header->names);
    free(header->tensors);
    free(header->pairs);
    free(header->text);
    free(header);
}

int header_empty(struct wfs_header **ret_header)
{
    struct wfs_header *header = storage_new(NULL, 0);
    if (!header)
        return -ENOMEM;
    header->data_offset = HEADER_PREFIX + 8; /* "{}" and its padding */
    *ret_header = header;
    return 0;
}

/* --- before the header is there ------------------------------------------------------------------------- */

int header_length(const unsigned char *prefix, size_t size, uint64_t file_size, uint64_t *ret_length,
                  struct wfs_error *err)
{
    uint64_t length;
    if (size < HEADER_PREFIX || file_size < HEADER_PREFIX)
        return error_rule(err, WFS_CODE_HEADER_TOO_SMALL,
                          "HeaderTooSmall: the file has %" PRIu64 " bytes, expected at least %u",
                          file_size < size ? file_size : (uint64_t)size, HEADER_PREFIX);
    memcpy(&length, prefix, sizeof length);
    length = le64toh(length);
    if (length > HEADER_LENGTH_MAX)
        return error_rule(err, WFS_CODE_HEADER_TOO_LARGE,
                          "HeaderTooLarge: the first 8 bytes give a header of %" PRIu64
                          " bytes, the limit is %u",
                          length, HEADER_LENGTH_MAX);
    if (length > file_size - HEADER_PREFIX)
        return error_rule(err, WFS_CODE_INVALID_HEADER_LENGTH,
                          "InvalidHeaderLength: the header needs %" PRIu64 " bytes, the file has %" PRIu64
                          " behind the first 8",
                          length, file_size - HEADER_PREFIX);
    *ret_length = length;
    return 0;
}

/* What the file is instead goes to the end of the sentence. */
static void add_hint(struct wfs_error *err, const void *bytes, size_t size)
{
    const char *kind = sniff(bytes, size);
    if (!kind || !err)
        return;
    struct wfs_error copy = *err;
    error_rule(err, copy.code, "%s; this is %s", copy.text, kind);
}

int wfs_header_parse(const void *bytes, size_t size, uint64_t file_size, struct wfs_header **ret_header,
                     struct wfs_error *err)
{
    uint64_t length = 0;
    int r = header_length(bytes, size, file_size, &length, err);
    if (r < 0) {
        add_hint(err, bytes, size);
        return r;
    }
    if (length > size - HEADER_PREFIX)
        return error_rule(err, WFS_CODE_INVALID_HEADER_LENGTH,
                          "InvalidHeaderLength: the header needs %" PRIu64 " bytes, %zu are here", length,
                          size - HEADER_PREFIX);
    char *json = malloc(length + 1);
    if (!json)
        return error_no_memory(err);
    memcpy(json, (const char *)bytes + HEADER_PREFIX, length);
    return header_decode(json, length, file_size, HEADER_OFFICIAL, ret_header, err);
}

void header_position(const char *json, size_t length, size_t offset, size_t *ret_line, size_t *ret_column)
{
    size_t line = 1;
    size_t line_start = 0;
    size_t stop = offset < length ? offset : length;
    for (size_t at = 0; at < stop; at++) {
        if (json[at] == '\n') {
            line++;
            line_start = at + 1;
        }
    }
    *ret_line = line;
    *ret_column = stop - line_start + 1;
}

/* --- tensors -------------------------------------------------------------------------------------------- */

size_t wfs_header_count(const struct wfs_header *header)
{
    return header->tensor_count;
}

struct wfs_tensor wfs_header_tensor(const struct wfs_header *header, size_t index)
{
    const struct tensor_record *record = &header->tensors[index];
    bool has_shape = record->rank != RANK_MISSING;
    return (struct wfs_tensor){
        .name = record_name(header, record),
        .name_length = record->name_length,
        .dtype = record->dtype,
        .rank = has_shape ? record->rank : 0,
        .shape = has_shape ? record_shape(header, record) : NULL,
        .shape_size = record->shape_size,
        .begin = record->begin,
        .end = record->end,
    };
}

bool wfs_header_find(const struct wfs_header *header, const char *name, size_t name_length, size_t *ret_index)
{
    size_t index = name_table_find(&header->names, name, name_length);
    if (index == NAME_TABLE_NONE)
        return false;
    if (ret_index)
        *ret_index = index;
    return true;
}

uint64_t wfs_header_data_offset(const struct wfs_header *header)
{
    return header->data_offset;
}

bool header_crc(const struct wfs_header *header, size_t index, uint32_t *ret_crc)
{
    const struct tensor_record *record = &header->tensors[index];
    uint32_t crc;
    if (!record->has_crc)
        return false;
    memcpy(&crc, record_extra(header, record), CRC_SIZE);
    *ret_crc = le32toh(crc);
    return true;
}

/* --- __metadata__ --------------------------------------------------------------------------------------- */

enum header_metadata_state header_metadata_state(const struct wfs_header *header)
{
    return header->metadata_state;
}

bool wfs_header_has_metadata(const struct wfs_header *header)
{
    return header->metadata_state == HEADER_METADATA_MAP;
}

size_t wfs_header_metadata_count(const struct wfs_header *header)
{
    return header->pair_count;
}

void wfs_header_metadata(const struct wfs_header *header, size_t index, const char **ret_key,
                         size_t *ret_key_length, const char **ret_value, size_t *ret_value_length)
{
    const struct pair_record *pair = &header->pairs[index];
    *ret_key = header->text + pair->key;
    *ret_key_length = pair_key_length(pair);
    *ret_value = header->text + pair->value;
    *ret_value_length = pair_value_length(pair);
}
