/* SPDX-License-Identifier: Apache-2.0
 *
 * __metadata__ as it would be committed: the model's, or the map that was staged in its place.
 */
#include "base/bytes.h"
#include "stage/pending.h"

#include <string.h>

void metadata_clear(struct metadata_map *map)
{
    for (size_t i = 0; i < map->count; i++)
        free((char *)map->pairs[i].key); /* key and value share one block */
    free(map->pairs);
    *map = (struct metadata_map){0};
}

static int pair_copy(struct metadata_pair *to, const struct metadata_pair *from)
{
    char *block = malloc(from->key_length + from->value_length + 2);
    if (!block)
        return -ENOMEM;
    char *value = block + from->key_length + 1;
    memcpy(block, from->key, from->key_length);
    block[from->key_length] = '\0';
    memcpy(value, from->value, from->value_length);
    value[from->value_length] = '\0';
    *to = (struct metadata_pair){block, from->key_length, value, from->value_length};
    return 0;
}

int metadata_copy(struct metadata_map *to, const struct metadata_map *from)
{
    struct metadata_map copy = {.present = from->present};

    copy.pairs = calloc(from->count + 1, sizeof(*copy.pairs));
    if (!copy.pairs)
        return -ENOMEM;
    for (; copy.count < from->count; copy.count++) {
        if (pair_copy(&copy.pairs[copy.count], &from->pairs[copy.count]) < 0) {
            metadata_clear(&copy);
            return -ENOMEM;
        }
    }
    *to = copy;
    return 0;
}

static int compare_pairs(const void *left, const void *right)
{
    const struct metadata_pair *a = left;
    const struct metadata_pair *b = right;
    int order = bytes_compare(a->key, a->key_length, b->key, b->key_length);
    return order ? order : bytes_compare(a->value, a->value_length, b->value, b->value_length);
}

static struct metadata_pair *sorted_pairs(const struct metadata_map *map)
{
    struct metadata_pair *pairs = calloc(map->count + 1, sizeof(*pairs));
    if (!pairs)
        return NULL;
    if (map->count)
        memcpy(pairs, map->pairs, map->count * sizeof(*pairs));
    qsort(pairs, map->count, sizeof(*pairs), compare_pairs);
    return pairs;
}

bool metadata_same(const struct metadata_map *a, const struct metadata_map *b)
{
    if (a->present != b->present || a->count != b->count)
        return false;
    auto_free struct metadata_pair *a_pairs = sorted_pairs(a);
    auto_free struct metadata_pair *b_pairs = sorted_pairs(b);
    if (!a_pairs || !b_pairs)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        if (compare_pairs(&a_pairs[i], &b_pairs[i]) != 0)
            return false;
    }
    return true;
}

int pending_metadata(const struct stage *stage, struct metadata_map *ret_map)
{
    if (!stage->metadata_staged)
        return metadata_of_header(generation_header(stage->generation), ret_map);

    *ret_map = stage->metadata;
    ret_map->pairs = calloc(stage->metadata.count + 1, sizeof(*ret_map->pairs));
    if (!ret_map->pairs)
        return -ENOMEM;
    if (stage->metadata.count)
        memcpy(ret_map->pairs, stage->metadata.pairs, stage->metadata.count * sizeof(*ret_map->pairs));
    return 0;
}
