/* SPDX-License-Identifier: Apache-2.0 */
#include "format/decode.h"

#include <stdio.h>
#include <string.h>

/* The map as it is read: its strings move to `at`, one behind the other. */
struct map {
    struct decoder *decoder;
    char *at;
    unsigned entry_members; /* how many of a tensor's three members it has */
};

static uint32_t place_string(struct map *map, const char *text, size_t length)
{
    uint32_t place = (uint32_t)place_of(map->decoder, map->at);
    memmove(map->at, text, length + 1);
    map->at += length + 1;
    return place;
}

static bool is_entry_member(const struct member *key)
{
    return member_is(key, "dtype") || member_is(key, "shape") || member_is(key, "data_offsets");
}

/* A value that is no string. The official writer makes such a map of a tensor that is called __metadata__. */
static int wrong_value(struct map *map, const struct member *key)
{
    bool is_tensor = map->entry_members > 1 && is_entry_member(key);
    char subject[300];
    snprintf(subject, sizeof subject,
             is_tensor ? "no tensor can be called __metadata__, its '%s'"
                       : "the value of '%s' in __metadata__",
             printable(key->name, key->length).text);
    return skip_wrong(map->decoder, NULL, 2, subject, "a string");
}

static int decode_pair(struct map *map)
{
    struct decoder *decoder = map->decoder;
    struct wfs_header *header = decoder->header;
    struct scan *scan = &decoder->scan;
    char *text;
    struct member key;
    if (!scan_key(scan, &text, &key.length))
        return syntax_problem(decoder, NULL);
    key.name = map->at;
    uint32_t key_place = place_string(map, text, key.length);
    map->entry_members += is_entry_member(&key);
    if (scan_peek(scan) != '"') {
        map->at = header->text + key_place;
        return wrong_value(map, &key);
    }
    size_t length;
    if (!scan_string(scan, &text, &length))
        return syntax_problem(decoder, NULL);
    if (storage_grow_pairs(header, place_of(decoder, scan->at)) < 0)
        return -ENOMEM;
    header->pairs[header->pair_count++] = (struct pair_record){
        .key = key_place & PLACE_MASK,
        .value = place_string(map, text, length),
    };
    header->pairs[header->pair_count].key = place_of(decoder, map->at) & PLACE_MASK;
    return 0;
}

static int decode_pairs(struct map *map)
{
    struct scan *scan = &map->decoder->scan;
    scan->at++;
    if (scan_take(scan, '}'))
        return 0;
    bool more = true;
    while (more) {
        int r = decode_pair(map);
        if (r)
            return r;
        if (!scan_next(scan, '}', &more))
            return syntax_problem(map->decoder, NULL);
    }
    return 0;
}

/* The map that is looked at, whose key stands at `at`. */
struct merging {
    struct decoder *decoder;
    const char *at;
};

static int repeated_key(void *context, const struct printable *key)
{
    const struct merging *merging = context;
    struct decoder *decoder = merging->decoder;
    struct compared compared = {"one", "a second"};
    char what[300];
    snprintf(what, sizeof what, "the key '%s' occurs twice in __metadata__", key->text);
    if (decoder->mode & HEADER_DOCUMENT)
        return form_problem(decoder, NULL, merging->at, compared, "%s", what);
    return decode_problem(decoder, WFS_CODE_STRICT_DUPLICATE_KEY, NULL, merging->at, compared, what);
}

static int ignored_key(void *context, const struct printable *key)
{
    (void)context;
    (void)key;
    return 0;
}

/* What may be said of a map that was read. */
static int check_map(struct map *map, const char *at)
{
    struct decoder *decoder = map->decoder;
    struct merging merging = {decoder, at};
    bool is_entry = map->entry_members == 3 && decoder->header->pair_count == 3;
    bool is_told = decoder->mode & (HEADER_DOCUMENT | HEADER_STRICT);
    int r = storage_merge_pairs(decoder->header, is_told ? repeated_key : ignored_key, &merging);
    if (r || !is_entry || !(decoder->mode & HEADER_STRICT))
        return r;
    return decode_problem(decoder, WFS_CODE_STRICT_RESERVED_NAME, NULL, at,
                          (struct compared){"a map", "dtype, shape and data_offsets"},
                          "__metadata__ reads like a tensor's entry");
}

static int decode_null(struct decoder *decoder, const char *at)
{
    if (!scan_literal(&decoder->scan, "null"))
        return syntax_problem(decoder, NULL);
    decoder->header->metadata_state = HEADER_METADATA_NULL;
    if (!(decoder->mode & HEADER_STRICT))
        return 0;
    return decode_problem(decoder, WFS_CODE_STRICT_NULL_METADATA, NULL, at,
                          (struct compared){"a map", "null"}, "__metadata__ is null");
}

int decode_metadata(struct decoder *decoder, char *key)
{
    struct map map = {.decoder = decoder, .at = key};
    if (decoder->has_metadata) {
        const char *at = decoder->scan.at;
        if (!scan_skip(&decoder->scan, 1))
            return syntax_problem(decoder, NULL);
        return form_problem(decoder, NULL, at, (struct compared){"one", "a second"},
                            "__metadata__ occurs twice");
    }
    decoder->has_metadata = true;
    char first = scan_peek(&decoder->scan);
    if (first == 'n')
        return decode_null(decoder, key - 1);
    if (first != '{')
        return skip_wrong(decoder, NULL, 1, "__metadata__", "an object of strings");
    decoder->header->metadata_state = HEADER_METADATA_MAP;
    int r = decode_pairs(&map);
    return r ? r : check_map(&map, key - 1);
}
