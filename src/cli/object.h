/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects of JSON that were read or are to be told: members that may be missing, and all of it as a line.
 */
#ifndef CLI_OBJECT_H
#define CLI_OBJECT_H

#include "base/bytes.h"

#include <json-c/json.h>

/* NULL where the object is NULL, has no such member, or has null there. */
struct json_object *object_member(struct json_object *object, const char *name);

/* The same of a member's value: NULL, 0. */
const char *object_text(struct json_object *object, const char *name);
uint64_t object_number(struct json_object *object, const char *name);

void object_line(struct bytes *out, struct json_object *object);

#endif
