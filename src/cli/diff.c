/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/diff.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "cli/diff_bytes.h"
#include "cli/object.h"
#include "format/encode.h"
#include "format/name.h"
#include "format/name_table.h"
#include "format/shape.h"

#include <string.h>

static void set(struct json_object *object, const char *name, struct json_object *value)
{
    json_object_object_add(object, name, value);
}

static void set_bytes(struct json_object *change, const struct byte_difference *difference)
{
    struct json_object *bytes = NULL;

    if (difference) {
        bytes = json_object_new_object();
        set(bytes, "compared", json_object_new_uint64(difference->compared));
        set(bytes, "differing", json_object_new_uint64(difference->differing));
        set(bytes, "first", difference->differing ? json_object_new_uint64(difference->first) : NULL);
    }
    set(change, "bytes", bytes);
}

/* --- what is staged --- */

/* The bytes that a changed tensor had, beside those that it has. A draft that is not understood has none. */
static int compare_change(struct model *model, struct json_object *change, struct wfs_error *err)
{
    struct json_object *name = object_member(change, "tensor");
    struct json_object *from = object_member(change, "from") ? object_member(change, "from") : name;
    const char *text = json_object_get_string(name);
    auto_stream before = STREAM_NONE;
    auto_stream after = STREAM_NONE;
    struct byte_difference difference;
    const char *kind = json_object_get_string(object_member(change, "kind"));

    set_bytes(change, NULL);
    if (!object_member(change, "old") || (kind && strcmp(kind, "removed") == 0))
        return 0;
    int r = stream_of_model(model, json_object_get_string(from), (size_t)json_object_get_string_len(from),
                            &before);
    r = r < 0 ? r : stream_of_staging(model, text, (size_t)json_object_get_string_len(name), &after);
    if (r == -ENOENT)
        return 0;
    r = r < 0 ? r : streams_compare(&before, &after, &difference);
    if (r < 0)
        return error_errno(err, -r, "tensor '%s': cannot compare its bytes", printable_string(text).text);
    set_bytes(change, &difference);
    return 0;
}

static int count_errors(struct json_object *problems)
{
    int errors = 0;

    for (size_t i = 0; problems && i < json_object_array_length(problems); i++) {
        struct json_object *severity = object_member(json_object_array_get_idx(problems, i), "severity");
        errors += strcmp(json_object_get_string(severity), "error") == 0;
    }
    return errors;
}

int diff_staged(struct model *model, struct json_object **ret_diff, struct wfs_error *err)
{
    struct json_object *status = NULL;
    int r = model_status(model, &status, err);
    if (r < 0)
        return r;
    struct json_object *staging = object_member(status, "staging");
    struct json_object *changes = object_member(staging, "changes");
    struct json_object *diff = json_object_new_object();

    for (size_t i = 0; r == 0 && i < json_object_array_length(changes); i++)
        r = compare_change(model, json_object_array_get_idx(changes, i), err);
    set(diff, "changes", json_object_get(changes));
    set(diff, "metadata_changed", json_object_get(object_member(staging, "metadata_changed")));
    set(diff, "metadata", json_object_get(object_member(staging, "metadata")));
    set(diff, "layout", json_object_get(object_member(staging, "layout")));
    set(diff, "problems", json_object_new_int(count_errors(object_member(staging, "problems"))));
    json_object_put(status);
    if (r < 0)
        json_object_put(diff);
    else
        *ret_diff = diff;
    return r;
}

/* --- two files --- */

static struct json_object *shape_object(const struct wfs_tensor *tensor)
{
    struct json_object *shape = json_object_new_array();
    auto_free uint64_t *dimensions = calloc(tensor->rank + 1, sizeof(*dimensions));
    size_t rank = dimensions ? wfs_tensor_shape(tensor, dimensions, tensor->rank) : 0;

    for (size_t i = 0; i < rank; i++)
        json_object_array_add(shape, json_object_new_uint64(dimensions[i]));
    return shape;
}

static void set_declaration(struct json_object *object, const struct wfs_tensor *tensor)
{
    set(object, "dtype", json_object_new_string(wfs_dtype_name(tensor->dtype)));
    set(object, "shape", shape_object(tensor));
    set(object, "size", json_object_new_uint64(tensor->end - tensor->begin));
}

static void add_change(struct json_object *changes, const char *kind, const struct wfs_tensor *before,
                       const struct wfs_tensor *after, const struct byte_difference *difference)
{
    const struct wfs_tensor *tensor = after ? after : before;
    struct json_object *change = json_object_new_object();
    struct json_object *old = before ? json_object_new_object() : NULL;

    set(change, "tensor", json_object_new_string_len(tensor->name, (int)tensor->name_length));
    set(change, "kind", json_object_new_string(kind));
    set(change, "from", NULL);
    set_declaration(change, tensor);
    if (old)
        set_declaration(old, before);
    set(change, "old", old);
    set_bytes(change, difference);
    json_object_array_add(changes, change);
}

struct pair_of_files {
    const struct wfs_reader *before, *after;
    struct json_object *changes;
};

static int compare_tensor(struct pair_of_files *files, const struct wfs_tensor *before, struct wfs_error *err)
{
    struct wfs_tensor after;
    struct stream a;
    struct stream b;
    struct byte_difference difference;
    size_t index;

    if (!wfs_header_find(wfs_reader_header(files->after), before->name, before->name_length, &index)) {
        add_change(files->changes, "removed", before, NULL, NULL);
        return 0;
    }
    after = wfs_header_tensor(wfs_reader_header(files->after), index);
    stream_of_reader(files->before, before, &a);
    stream_of_reader(files->after, &after, &b);
    int r = streams_compare(&a, &b, &difference);
    if (r < 0)
        return error_errno(err, -r, "tensor '%s': cannot compare its bytes",
                           printable(before->name, before->name_length).text);
    if (a.size != b.size || difference.differing)
        add_change(files->changes, "replaced", before, &after, &difference);
    else if (!shape_equal(before, &after))
        add_change(files->changes, "declared", before, &after, &difference);
    return 0;
}

/* --- their maps --- */

/* __metadata__ of a file, and which of its pairs has a key. */
struct map {
    struct metadata_map pairs;
    struct name_table keys;
};

static struct name_text key_at(const void *context, size_t index)
{
    const struct metadata_pair *pair = &((const struct metadata_pair *)context)[index];
    return (struct name_text){pair->key, pair->key_length};
}

static int map_init(struct map *map, const struct wfs_header *header)
{
    if (metadata_of_header(header, &map->pairs) < 0 || !map->pairs.pairs)
        return -ENOMEM;
    size_t count = map->pairs.count;
    int r = name_table_init(&map->keys, count, count, key_at, map->pairs.pairs);
    for (size_t i = 0; r == 0 && i < count; i++)
        name_table_put(&map->keys, i);
    return r;
}

static void map_clear(struct map *map)
{
    name_table_clear(&map->keys);
    free(map->pairs.pairs);
}

/* The index of the pair with the same key, or NAME_TABLE_NONE. */
static size_t map_find(const struct map *map, const struct metadata_pair *pair)
{
    return name_table_find(&map->keys, pair->key, pair->key_length);
}

static bool same_value(const struct metadata_pair *a, const struct metadata_pair *b)
{
    return bytes_compare(a->value, a->value_length, b->value, b->value_length) == 0;
}

static struct json_object *value_object(const struct metadata_pair *pair)
{
    return json_object_new_string_len(pair->value, (int)pair->value_length);
}

/* A value that is NULL: there is no such key. */
static void add_pair(struct json_object *pairs, const struct metadata_pair *key, struct json_object *from,
                     struct json_object *to)
{
    struct json_object *pair = json_object_new_object();

    set(pair, "key", json_object_new_string_len(key->key, (int)key->key_length));
    set(pair, "from", from);
    set(pair, "to", to);
    json_object_array_add(pairs, pair);
}

/* In the order of the old file, then of the new one. */
static void compare_maps(struct json_object *pairs, const struct map *before, const struct map *after)
{
    const struct metadata_pair *old = before->pairs.pairs;
    const struct metadata_pair *new = after->pairs.pairs;

    for (size_t i = 0; i < before->pairs.count; i++) {
        size_t other = map_find(after, &old[i]);
        if (other == NAME_TABLE_NONE)
            add_pair(pairs, &old[i], value_object(&old[i]), NULL);
        else if (!same_value(&old[i], &new[other]))
            add_pair(pairs, &old[i], value_object(&old[i]), value_object(&new[other]));
    }
    for (size_t i = 0; i < after->pairs.count; i++)
        if (map_find(before, &new[i]) == NAME_TABLE_NONE)
            add_pair(pairs, &new[i], NULL, value_object(&new[i]));
}

static int diff_maps(const struct wfs_header *before, const struct wfs_header *after,
                     struct json_object *pairs, struct wfs_error *err)
{
    struct map old = {0};
    struct map new = {0};

    int r = map_init(&old, before);
    r = r < 0 ? r : map_init(&new, after);
    if (r == 0)
        compare_maps(pairs, &old, &new);
    map_clear(&old);
    map_clear(&new);
    return r < 0 ? error_no_memory(err) : 0;
}

/* --- both --- */

static int compare_names(const void *left, const void *right)
{
    struct json_object *a = object_member(*(struct json_object *const *)left, "tensor");
    struct json_object *b = object_member(*(struct json_object *const *)right, "tensor");
    return name_compare_natural(json_object_get_string(a), (size_t)json_object_get_string_len(a),
                                json_object_get_string(b), (size_t)json_object_get_string_len(b));
}

int diff_files(const struct wfs_reader *before, const struct wfs_reader *after, struct json_object **ret_diff,
               struct wfs_error *err)
{
    const struct wfs_header *old = wfs_reader_header(before);
    const struct wfs_header *new = wfs_reader_header(after);
    struct pair_of_files files = {before, after, json_object_new_array()};
    int r = 0;

    for (size_t i = 0; r == 0 && i < wfs_header_count(old); i++) {
        struct wfs_tensor tensor = wfs_header_tensor(old, i);
        r = compare_tensor(&files, &tensor, err);
    }
    for (size_t i = 0; i < wfs_header_count(new); i++) {
        struct wfs_tensor tensor = wfs_header_tensor(new, i);
        if (!wfs_header_find(old, tensor.name, tensor.name_length, NULL))
            add_change(files.changes, "added", NULL, &tensor, NULL);
    }
    json_object_array_sort(files.changes, compare_names);
    struct json_object *diff = json_object_new_object();
    struct json_object *pairs = json_object_new_array();
    r = r < 0 ? r : diff_maps(old, new, pairs, err);
    set(diff, "changes", files.changes);
    set(diff, "metadata_changed",
        json_object_new_boolean(json_object_array_length(pairs) > 0 ||
                                wfs_header_has_metadata(old) != wfs_header_has_metadata(new)));
    set(diff, "metadata", pairs);
    set(diff, "layout", NULL);
    set(diff, "problems", json_object_new_int(0));
    if (r < 0)
        json_object_put(diff);
    else
        *ret_diff = diff;
    return r;
}

bool diff_differs(struct json_object *diff)
{
    return json_object_array_length(object_member(diff, "changes")) > 0 ||
           json_object_get_boolean(object_member(diff, "metadata_changed"));
}
