/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bytes_clear(struct bytes *bytes)
{
    free(bytes->data);
    *bytes = BYTES_EMPTY;
}

/* Makes room for `more` bytes and the NUL; NULL and failed when that cannot be. */
static char *make_room(struct bytes *bytes, size_t more)
{
    if (bytes->failed)
        return NULL;
    size_t needed = 0;
    if (__builtin_add_overflow(bytes->length, more, &needed) || __builtin_add_overflow(needed, 1, &needed)) {
        bytes->failed = true;
        return NULL;
    }
    if (needed > bytes->capacity) {
        size_t doubled = bytes->capacity > SIZE_MAX / 2 ? needed : bytes->capacity * 2;
        size_t capacity = needed > doubled ? needed : doubled;
        char *data = realloc(bytes->data, capacity);
        if (!data) {
            bytes->failed = true;
            return NULL;
        }
        bytes->data = data;
        bytes->capacity = capacity;
    }
    return bytes->data + bytes->length;
}

static void grow_length(struct bytes *bytes, size_t more)
{
    bytes->length += more;
    bytes->data[bytes->length] = '\0';
}

void bytes_append(struct bytes *bytes, const void *data, size_t length)
{
    char *end = make_room(bytes, length);
    if (!end)
        return;
    if (length)
        memcpy(end, data, length);
    grow_length(bytes, length);
}

void bytes_string(struct bytes *bytes, const char *string)
{
    bytes_append(bytes, string, strlen(string));
}

void bytes_char(struct bytes *bytes, char c)
{
    bytes_append(bytes, &c, 1);
}

void bytes_fill(struct bytes *bytes, char c, size_t count)
{
    char *end = make_room(bytes, count);
    if (!end)
        return;
    memset(end, c, count);
    grow_length(bytes, count);
}

void bytes_u64(struct bytes *bytes, uint64_t value)
{
    char digits[20];
    size_t first = sizeof digits;
    do {
        digits[--first] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    bytes_append(bytes, digits + first, sizeof digits - first);
}

void bytes_printf(struct bytes *bytes, const char *format, ...)
{
    va_list arguments;
    va_list again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    char *end = length < 0 ? NULL : make_room(bytes, (size_t)length);
    if (end) {
        vsnprintf(end, (size_t)length + 1, format, again);
        grow_length(bytes, (size_t)length);
    } else {
        bytes->failed = true;
    }
    va_end(again);
    va_end(arguments);
}

/* What stands in a JSON string for an ASCII character that cannot be written as it is: NULL when it can. */
static const char *json_escape(char c, char buffer[7])
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\b':
        return "\\b";
    case '\f':
        return "\\f";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        if ((unsigned char)c >= 0x20)
            return NULL;
        snprintf(buffer, 7, "\\u%04x", (unsigned)(unsigned char)c);
        return buffer;
    }
}

void bytes_json(struct bytes *bytes, const char *utf8, size_t length)
{
    size_t written = 0;
    bytes_char(bytes, '"');
    for (size_t at = 0; at < length; at++) {
        char buffer[7];
        const char *escape = json_escape(utf8[at], buffer);
        if (!escape)
            continue;
        bytes_append(bytes, utf8 + written, at - written);
        bytes_string(bytes, escape);
        written = at + 1;
    }
    bytes_append(bytes, utf8 + written, length - written);
    bytes_char(bytes, '"');
}

void bytes_json_path(struct bytes *bytes, const char *path)
{
    if (!path) {
        bytes_string(bytes, "null");
        return;
    }
    bytes_char(bytes, '"');
    size_t length = strlen(path);
    for (size_t at = 0, used; at < length; at += used) {
        char buffer[7];
        uint32_t character = 0;
        used = utf8_character(path + at, length - at, &character);
        const char *escape = used == 1 ? json_escape(path[at], buffer) : NULL;
        if (escape) {
            bytes_string(bytes, escape);
        } else if (used) {
            bytes_append(bytes, path + at, used);
        } else {
            bytes_printf(bytes, "\\udc%02x", (unsigned)(unsigned char)path[at]);
            used = 1;
        }
    }
    bytes_char(bytes, '"');
}

char *bytes_take(struct bytes *bytes)
{
    make_room(bytes, 0);
    if (bytes->failed) {
        bytes_clear(bytes);
        return NULL;
    }
    char *taken = bytes->data;
    taken[bytes->length] = '\0';
    *bytes = BYTES_EMPTY;
    return taken;
}
