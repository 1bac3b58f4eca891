/* SPDX-License-Identifier: Apache-2.0 */
#include "format/encode.h"

#include "base/cleanup.h"
#include "base/clone.h"
#include "base/error.h"
#include "format/header.h"
#include "format/shape.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

/* --- __metadata__ --------------------------------------------------------------------------------------- */

static int compare_keys(const void *left, const void *right)
{
    const struct metadata_pair *a = left;
    const struct metadata_pair *b = right;
    return bytes_compare(a->key, a->key_length, b->key, b->key_length);
}

/* The pairs by key: the map's own where they are in order, else a copy (*ret_copy, the caller's to free).
 * NULL: no memory. */
static const struct metadata_pair *sorted_pairs(const struct metadata_map *metadata,
                                                struct metadata_pair **ret_copy)
{
    const struct metadata_pair *pairs = metadata->pairs;
    size_t sorted = 1;
    while (sorted < metadata->count && compare_keys(&pairs[sorted - 1], &pairs[sorted]) <= 0)
        sorted++;
    if (sorted >= metadata->count)
        return pairs;
    size_t size = metadata->count * sizeof *pairs;
    *ret_copy = malloc(size);
    if (!*ret_copy)
        return NULL;
    memcpy(*ret_copy, pairs, size);
    qsort(*ret_copy, metadata->count, sizeof *pairs, compare_keys);
    return *ret_copy;
}

static void encode_metadata(const struct metadata_map *metadata, struct bytes *out)
{
    auto_free struct metadata_pair *copy = NULL;
    bytes_string(out, "\"__metadata__\":{");
    if (metadata->count > 0) {
        const struct metadata_pair *pairs = sorted_pairs(metadata, &copy);
        out->failed |= !pairs;
        for (size_t i = 0; i < metadata->count && pairs; i++) {
            if (i)
                bytes_char(out, ',');
            bytes_json(out, pairs[i].key, pairs[i].key_length);
            bytes_char(out, ':');
            bytes_json(out, pairs[i].value, pairs[i].value_length);
        }
    }
    bytes_char(out, '}');
}

int metadata_of_header(const struct wfs_header *header, struct metadata_map *ret_map)
{
    struct metadata_map map = {
        .present = wfs_header_has_metadata(header),
        .count = wfs_header_metadata_count(header),
    };
    map.pairs = malloc((map.count ? map.count : 1) * sizeof *map.pairs);
    if (!map.pairs)
        return -ENOMEM;
    for (size_t i = 0; i < map.count; i++) {
        struct metadata_pair *pair = &map.pairs[i];
        wfs_header_metadata(header, i, &pair->key, &pair->key_length, &pair->value, &pair->value_length);
    }
    *ret_map = map;
    return 0;
}

/* --- tensors -------------------------------------------------------------------------------------------- */

static void encode_shape(const struct wfs_tensor *tensor, struct bytes *out)
{
    bytes_string(out, "\",\"shape\":");
    shape_print(out, tensor->rank, tensor->shape);
}

static void encode_offsets(const struct wfs_tensor *tensor, struct bytes *out)
{
    bytes_string(out, "\"data_offsets\":[");
    bytes_u64(out, tensor->begin);
    bytes_char(out, ',');
    bytes_u64(out, tensor->end);
    bytes_char(out, ']');
}

/* "name":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]; the caller closes it. */
static void encode_tensor(const struct wfs_tensor *tensor, struct bytes *out)
{
    bytes_json(out, tensor->name, tensor->name_length);
    bytes_string(out, ":{");
    if (tensor->dtype < WFS_DTYPE_COUNT) {
        bytes_string(out, "\"dtype\":\"");
        bytes_string(out, wfs_dtype_name(tensor->dtype));
        encode_shape(tensor, out);
        bytes_char(out, ',');
    }
    encode_offsets(tensor, out);
}

/* --- the header ----------------------------------------------------------------------------------------- */

static int check_names(const struct layout_item *items, size_t count, struct wfs_error *err)
{
    static const char reserved[] = "__metadata__";
    for (size_t i = 0; i < count; i++) {
        const struct wfs_tensor *tensor = &items[i].tensor;
        if (tensor->name_length == sizeof reserved - 1 &&
            memcmp(tensor->name, reserved, sizeof reserved - 1) == 0)
            return error_rule(err, WFS_CODE_STRICT_RESERVED_NAME,
                              "tensor '__metadata__': StrictReservedName: no reader could tell it from the "
                              "map of that name");
    }
    return 0;
}

/* The number of spaces that bring the data start from `start` to where the layout wants it. */
static uint64_t padding(uint64_t start, const struct layout_source *source, struct layout used)
{
    uint64_t unit = 8;
    uint64_t wanted = 0; /* modulo unit */
    if (used.kind == LAYOUT_ALIGN && used.align > unit)
        unit = used.align;
    if (used.kind == LAYOUT_KEEP && source && source->data_offset % 8 == 0) {
        unit = CLONE_BLOCK;
        wanted = source->data_offset % CLONE_BLOCK;
    }
    return (wanted + unit - start % unit) % unit;
}

static int too_large(uint64_t length, struct wfs_error *err)
{
    return error_rule(err, WFS_CODE_HEADER_TOO_LARGE,
                      "HeaderTooLarge: the header would have %llu bytes, the limit is %u",
                      (unsigned long long)length, HEADER_LENGTH_MAX);
}

static void encode_members(const struct layout_item *items, size_t count, const struct metadata_map *metadata,
                           struct bytes *out)
{
    bool first = true;
    bytes_char(out, '{');
    if (metadata && metadata->present) {
        encode_metadata(metadata, out);
        first = false;
    }
    for (size_t i = 0; i < count && !out->failed; i++, first = false) {
        if (!first)
            bytes_char(out, ',');
        encode_tensor(&items[i].tensor, out);
        if (items[i].crc) {
            bytes_string(out, ",\"crc32\":");
            bytes_string(out, items[i].crc);
        }
        bytes_char(out, '}');
    }
    bytes_char(out, '}');
}

int header_encode(const struct layout_item *items, size_t count, const struct metadata_map *metadata,
                  const struct layout_source *source, struct layout used, struct bytes *out,
                  struct wfs_error *err)
{
    int r = check_names(items, count, err);
    if (r < 0)
        return r;
    size_t start = out->length;
    bytes_fill(out, '\0', HEADER_PREFIX);
    encode_members(items, count, metadata, out);
    if (out->failed)
        return error_no_memory(err);
    uint64_t length = out->length - start;
    uint64_t spaces = padding(length, source, used);
    length += spaces - HEADER_PREFIX;
    if (length > HEADER_LENGTH_MAX)
        return too_large(length, err);
    bytes_fill(out, ' ', spaces);
    if (out->failed)
        return error_no_memory(err);
    uint64_t prefix = htole64(length);
    memcpy(out->data + start, &prefix, sizeof prefix);
    return 0;
}

void document_encode(const struct wfs_tensor *tensors, size_t count, const struct metadata_map *metadata,
                     struct bytes *out)
{
    const char *separator = "\n ";
    bytes_char(out, '{');
    if (metadata && metadata->present) {
        bytes_string(out, separator);
        encode_metadata(metadata, out);
        separator = ",\n ";
    }
    for (size_t i = 0; i < count && !out->failed; i++) {
        bytes_string(out, separator);
        encode_tensor(&tensors[i], out);
        bytes_char(out, '}');
        separator = ",\n ";
    }
    bytes_string(out, separator[0] == ',' ? "\n}\n" : "}\n");
}
