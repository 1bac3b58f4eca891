/* SPDX-License-Identifier: Apache-2.0
 *
 * The pairs of __metadata__. They are gathered as they come and put in order once, so that a map of a million
 * keys takes no quadratic time.
 */
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "format/name.h"
#include "model/writer.h"

#include <string.h>

char *writer_copy_bytes(const void *bytes, size_t length)
{
    char *copy = malloc(length + 1);

    if (copy) {
        if (length > 0)
            memcpy(copy, bytes, length);
        copy[length] = '\0';
    }
    return copy;
}

static void free_pair(const struct metadata_pair *pair)
{
    free((char *)pair->key);
    free((char *)pair->value);
}

void writer_free_metadata(struct wfs_writer *writer)
{
    for (size_t i = 0; i < writer->metadata.count; i++)
        free_pair(&writer->metadata.pairs[i]);
    free(writer->metadata.pairs);
}

/* --- gathering ---------------------------------------------------------------------------------------- */

static int reserve_pair(struct wfs_writer *writer)
{
    struct metadata_map *map = &writer->metadata;

    if (map->count < writer->pair_capacity)
        return 0;
    size_t capacity = writer->pair_capacity ? writer->pair_capacity * 2 : 8;
    struct metadata_pair *pairs = reallocarray(map->pairs, capacity, sizeof *pairs);
    if (!pairs)
        return -ENOMEM;
    map->pairs = pairs;
    writer->pair_capacity = capacity;
    return 0;
}

int writer_add_metadata(struct wfs_writer *writer, const struct metadata_pair *pair, struct wfs_error *err)
{
    struct printable path = writer_path(writer);

    if (writer->is_finished || writer->is_fixed)
        return error_rule(err, WFS_CODE_WRITER_MISUSE,
                          "%s: metadata given after the first bytes were written", path.text);
    if (!utf8_is_valid(pair->key, pair->key_length) || !utf8_is_valid(pair->value, pair->value_length))
        return error_rule(err, WFS_CODE_WRITER_MISUSE, "%s: metadata '%s' is not UTF-8", path.text,
                          printable(pair->key, pair->key_length).text);

    auto_free char *key = writer_copy_bytes(pair->key, pair->key_length);
    auto_free char *value = writer_copy_bytes(pair->value, pair->value_length);
    if (!key || !value || reserve_pair(writer) < 0)
        return error_no_memory(err);
    writer->metadata.present = true;
    writer->metadata.pairs[writer->metadata.count++] = (struct metadata_pair){
        .key = take_ptr(key),
        .key_length = pair->key_length,
        .value = take_ptr(value),
        .value_length = pair->value_length,
    };
    return 0;
}

int wfs_writer_metadata(struct wfs_writer *writer, const char *key, const char *value, struct wfs_error *err)
{
    if (!key) {
        writer->metadata.present = true;
        return 0;
    }
    struct metadata_pair pair = {
        .key = key, .key_length = strlen(key), .value = value, .value_length = strlen(value)};
    return writer_add_metadata(writer, &pair, err);
}

/* --- putting in order --------------------------------------------------------------------------------- */

struct numbered_pair {
    struct metadata_pair pair;
    size_t number; /* when it came */
};

static int compare_keys(const struct metadata_pair *a, const struct metadata_pair *b)
{
    return bytes_compare(a->key, a->key_length, b->key, b->key_length);
}

static int compare_numbered(const void *left, const void *right)
{
    const struct numbered_pair *a = left;
    const struct numbered_pair *b = right;
    int order = compare_keys(&a->pair, &b->pair);

    return order ? order : (a->number > b->number) - (a->number < b->number);
}

static int compare_pairs(const void *left, const void *right)
{
    return compare_keys(left, right);
}

int writer_settle_metadata(struct wfs_writer *writer)
{
    struct metadata_map *map = &writer->metadata;
    auto_free struct numbered_pair *sorted = calloc(map->count + 1, sizeof *sorted);
    size_t kept = 0;

    if (!sorted)
        return -ENOMEM;
    for (size_t i = 0; i < map->count; i++)
        sorted[i] = (struct numbered_pair){map->pairs[i], i};
    qsort(sorted, map->count, sizeof *sorted, compare_numbered);
    for (size_t i = 0; i < map->count; i++) {
        if (i + 1 < map->count && compare_keys(&sorted[i].pair, &sorted[i + 1].pair) == 0)
            free_pair(&sorted[i].pair); /* a later one has its key */
        else
            map->pairs[kept++] = sorted[i].pair;
    }
    map->count = kept;
    return 0;
}

static bool same_pair(const struct metadata_pair *a, const struct metadata_pair *b)
{
    return compare_keys(a, b) == 0 && a->value_length == b->value_length &&
           memcmp(a->value, b->value, a->value_length) == 0;
}

bool writer_has_metadata(const struct wfs_writer *writer, struct metadata_map *map)
{
    const struct metadata_map *own = &writer->metadata;

    if (map->present != own->present || map->count != own->count)
        return false;
    if (map->count > 0)
        qsort(map->pairs, map->count, sizeof *map->pairs, compare_pairs);
    for (size_t i = 0; i < map->count; i++)
        if (!same_pair(&map->pairs[i], &own->pairs[i]))
            return false;
    return true;
}
