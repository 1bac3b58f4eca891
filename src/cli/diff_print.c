/* SPDX-License-Identifier: Apache-2.0
 *
 * A diff for people.
 */
#include "base/cleanup.h"
#include "base/error.h"
#include "cli/diff.h"
#include "cli/object.h"
#include "cli/text.h"

#include <inttypes.h>
#include <string.h>

#define COLUMN_MAX 48u /* of names; longer ones push the rest of their line aside */

static void put_name(struct bytes *out, struct json_object *name)
{
    text_name(out, json_object_get_string(name), (size_t)json_object_get_string_len(name));
}

static void put_declaration(struct bytes *out, struct json_object *object)
{
    struct json_object *shape = object_member(object, "shape");
    const char *dtype = object_text(object, "dtype");

    if (!dtype && !shape) {
        bytes_string(out, "undeclared");
        return;
    }
    bytes_printf(out, "%s %s", dtype ? dtype : "?",
                 shape ? json_object_to_json_string_ext(shape, JSON_C_TO_STRING_PLAIN) : "[?]");
}

static void put_sizes(struct bytes *out, struct json_object *change)
{
    struct json_object *old = object_member(change, "old");
    uint64_t size = object_number(change, "size");

    if (old && object_number(old, "size") != size)
        bytes_printf(out, "  %s -> ", text_size(object_number(old, "size")).text);
    else
        bytes_string(out, "  ");
    bytes_string(out, text_size(size).text);
}

static void put_bytes(struct bytes *out, struct json_object *bytes)
{
    if (!bytes || object_number(bytes, "differing") == 0)
        return;
    bytes_printf(out, "  %" PRIu64 " of %" PRIu64 " bytes differ, the first at %" PRIu64,
                 object_number(bytes, "differing"), object_number(bytes, "compared"),
                 object_number(bytes, "first"));
}

/* "a", or "b -> z" for what was renamed. */
static void put_names(struct bytes *out, struct json_object *change)
{
    if (object_member(change, "from")) {
        put_name(out, object_member(change, "from"));
        bytes_string(out, " -> ");
    }
    put_name(out, object_member(change, "tensor"));
}

static size_t widest(struct json_object *changes)
{
    size_t width = 0;

    for (size_t i = 0; i < json_object_array_length(changes); i++) {
        auto_bytes names = BYTES_EMPTY;
        put_names(&names, json_object_array_get_idx(changes, i));
        if (names.length > width && names.length <= COLUMN_MAX)
            width = names.length;
    }
    return width;
}

static void put_change(struct bytes *out, struct json_object *change, size_t width)
{
    struct json_object *old = object_member(change, "old");
    auto_bytes before = BYTES_EMPTY;
    auto_bytes after = BYTES_EMPTY;

    bytes_printf(out, "  %-9s ", object_text(change, "kind"));
    size_t end = out->length + width;
    put_names(out, change);
    while (out->length < end && !out->failed)
        bytes_char(out, ' ');
    bytes_string(out, "  ");
    put_declaration(&before, old);
    put_declaration(&after, change);
    if (old && (before.length != after.length || memcmp(before.data, after.data, after.length) != 0)) {
        bytes_append(out, before.data, before.length);
        bytes_string(out, " -> ");
    }
    bytes_append(out, after.data, after.length);
    put_sizes(out, change);
    put_bytes(out, object_member(change, "bytes"));
    bytes_char(out, '\n');
}

static void put_value(struct bytes *out, struct json_object *value)
{
    bytes_char(out, '"');
    put_name(out, value);
    bytes_char(out, '"');
}

static void put_pair(struct bytes *out, struct json_object *pair)
{
    struct json_object *from = object_member(pair, "from");
    struct json_object *to = object_member(pair, "to");

    bytes_string(out, "  metadata  ");
    put_name(out, object_member(pair, "key"));
    bytes_string(out, from ? ": " : ": added ");
    if (from)
        put_value(out, from);
    bytes_string(out, from && to ? " -> " : from ? " removed" : "");
    if (to)
        put_value(out, to);
    bytes_char(out, '\n');
}

static void put_layout(struct bytes *out, struct json_object *layout)
{
    uint64_t begin = object_number(layout, "data_offset");
    uint64_t old_begin = object_number(layout, "old_data_offset");
    uint64_t moved = object_number(layout, "moved");

    if (begin == old_begin && moved == 0)
        return;
    bytes_string(out, "  layout    ");
    if (begin != old_begin)
        bytes_printf(out, "the data begins at %" PRIu64 " -> %" PRIu64, old_begin, begin);
    if (moved > 0)
        bytes_printf(out, "%s%" PRIu64 " unchanged tensors get another place", begin != old_begin ? "; " : "",
                     moved);
    bytes_char(out, '\n');
}

void diff_print(struct json_object *diff, struct bytes *out)
{
    struct json_object *changes = object_member(diff, "changes");
    struct json_object *pairs = object_member(diff, "metadata");
    uint64_t problems = object_number(diff, "problems");
    size_t width = widest(changes);

    for (size_t i = 0; i < json_object_array_length(changes); i++)
        put_change(out, json_object_array_get_idx(changes, i), width);
    for (size_t i = 0; i < json_object_array_length(pairs); i++)
        put_pair(out, json_object_array_get_idx(pairs, i));
    if (json_object_array_length(pairs) == 0 &&
        json_object_get_boolean(object_member(diff, "metadata_changed")))
        bytes_string(out, "  metadata  the empty map\n");
    put_layout(out, object_member(diff, "layout"));
    if (problems > 0)
        bytes_printf(out,
                     "problem: %" PRIu64 " problem%s this from being committed; 'weightfs status' tells\n",
                     problems, problems == 1 ? " keeps" : "s keep");
}
