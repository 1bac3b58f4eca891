/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/object.h"

struct json_object *object_member(struct json_object *object, const char *name)
{
    struct json_object *value = NULL;
    return object && json_object_object_get_ex(object, name, &value) ? value : NULL;
}

const char *object_text(struct json_object *object, const char *name)
{
    return json_object_get_string(object_member(object, name));
}

uint64_t object_number(struct json_object *object, const char *name)
{
    return json_object_get_uint64(object_member(object, name));
}

void object_line(struct bytes *out, struct json_object *object)
{
    bytes_string(
        out, json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    bytes_char(out, '\n');
}
