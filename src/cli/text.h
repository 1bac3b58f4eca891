/* SPDX-License-Identifier: Apache-2.0
 *
 * Text for people and programs: names that cannot harm a terminal, sizes, globs, JSON.
 */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include "base/bytes.h"

#include <stdio.h>

#include <weightfs/error.h>

/* Whether to use colour on a stream: a terminal, TERM not "dumb", NO_COLOR unset. */
bool text_color(FILE *stream);

/* "17 B", "1.5 KiB", "7.1 GiB": three significant digits. */
struct text_size {
    char text[16];
};

struct text_size text_size(uint64_t bytes);

/* A name of any length with control bytes, backslashes and bad UTF-8 escaped, never cut. */
void text_name(struct bytes *out, const char *name, size_t length);

/* Whether a tensor's name matches: `*` and `?` match any byte sequence or character, dots and slashes
 * included. */
bool text_glob(const char *glob, const char *name, size_t length);

/* Members of a JSON object, each with a leading comma except after '{'. Strings are UTF-8; NULL gives null.
 */
void json_key(struct bytes *out, const char *key);
void json_string(struct bytes *out, const char *key, const char *value);
void json_path(struct bytes *out, const char *key, const char *path);
void json_u64(struct bytes *out, const char *key, uint64_t value);
void json_boolean(struct bytes *out, const char *key, bool value);

/* A problem as semantics of `--json` prescribe: severity code tensor offset expected found message. */
void json_problem(struct bytes *out, const struct wfs_problem *problem);

/* Writes and empties; false when out of memory (the bytes are lost) or stdout failed. */
bool text_flush(struct bytes *out);

#endif
