/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/text.h"

#include "base/cleanup.h"
#include "format/name.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <string.h>

bool text_color(FILE *stream)
{
    const char *no_color = getenv("NO_COLOR"); // NOLINT(concurrency-mt-unsafe): nobody calls setenv()
    const char *term = getenv("TERM");         // NOLINT(concurrency-mt-unsafe)

    if (no_color && *no_color)
        return false;
    return term && strcmp(term, "dumb") != 0 && isatty(fileno(stream));
}

struct text_size text_size(uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    struct text_size size;
    double value = (double)bytes;
    size_t unit = 0;

    while (value >= 1023.5 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1024;
        unit++;
    }
    int decimals = unit == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
    snprintf(size.text, sizeof(size.text), "%.*f %s", decimals, value, units[unit]);
    return size;
}

/* Bytes of the well-formed UTF-8 character at the start, 0 when there is none. */
static size_t character_length(const unsigned char *text, size_t length)
{
    size_t size = text[0] < 0x80 ? 1 : text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : text[0] >= 0xc0 ? 2 : 0;

    if (size == 0 || size > length || !utf8_is_valid((const char *)text, size))
        return 0;
    return size;
}

/* What moves a cursor, rings, or turns the direction of what follows. */
static bool is_harmless(const unsigned char *text, size_t size)
{
    if (size == 1)
        return text[0] >= 0x20 && text[0] != 0x7f && text[0] != '\\';
    if (size == 2)
        return !(text[0] == 0xc2 && text[1] < 0xa0); /* C1 controls */
    if (size == 3 && text[0] == 0xe2 && text[1] == 0x80)
        return !(text[2] >= 0xa8 && text[2] <= 0xae) && text[2] > 0x8f; /* separators, marks, embeddings */
    if (size == 3 && text[0] == 0xe2 && text[1] == 0x81)
        return !(text[2] >= 0xa6 && text[2] <= 0xa9); /* isolates */
    return !(size == 3 && text[0] == 0xef && text[1] == 0xbb && text[2] == 0xbf);
}

void text_name(struct bytes *out, const char *name, size_t length)
{
    const unsigned char *text = (const unsigned char *)name;

    for (size_t at = 0; at < length;) {
        size_t size = character_length(text + at, length - at);
        if (size > 0 && is_harmless(text + at, size)) {
            bytes_append(out, name + at, size);
            at += size;
            continue;
        }
        if (text[at] == '\\')
            bytes_string(out, "\\\\");
        else if (text[at] == '\n')
            bytes_string(out, "\\n");
        else
            for (size_t i = 0; i < (size ? size : 1); i++)
                bytes_printf(out, "\\x%02x", text[at + i]);
        at += size ? size : 1;
    }
}

size_t text_width(const char *text, size_t length)
{
    size_t width = 0;

    for (size_t i = 0; i < length; i++)
        width += ((unsigned char)text[i] & 0xc0) != 0x80;
    return width;
}

bool text_glob(const char *glob, const char *name, size_t length)
{
    return strlen(name) == length && fnmatch(glob, name, 0) == 0;
}

void json_key(struct bytes *out, const char *key)
{
    if (out->length > 0 && out->data[out->length - 1] != '{')
        bytes_char(out, ',');
    bytes_json(out, key, strlen(key));
    bytes_char(out, ':');
}

void json_string(struct bytes *out, const char *key, const char *value)
{
    json_key(out, key);
    if (value)
        bytes_json(out, value, strlen(value));
    else
        bytes_string(out, "null");
}

void json_path(struct bytes *out, const char *key, const char *path)
{
    json_key(out, key);
    bytes_json_path(out, path);
}

void json_u64(struct bytes *out, const char *key, uint64_t value)
{
    json_key(out, key);
    bytes_u64(out, value);
}

void json_bool(struct bytes *out, const char *key, bool value)
{
    json_key(out, key);
    bytes_string(out, value ? "true" : "false");
}

void json_problem(struct bytes *out, const struct wfs_problem *problem)
{
    bytes_char(out, '{');
    json_string(out, "severity", problem->is_warning ? "warning" : "error");
    json_string(out, "code", wfs_code_name(problem->code));
    json_key(out, "tensor");
    if (problem->tensor)
        bytes_json(out, problem->tensor, problem->tensor_length);
    else
        bytes_string(out, "null");
    json_key(out, "offset");
    if (problem->offset >= 0)
        bytes_u64(out, (uint64_t)problem->offset);
    else
        bytes_string(out, "null");
    json_string(out, "expected", problem->expected);
    json_string(out, "found", problem->found);
    json_string(out, "message", problem->message);
    bytes_char(out, '}');
}

bool text_flush(struct bytes *out)
{
    bool good = !out->failed && fwrite(out->data ? out->data : "", 1, out->length, stdout) == out->length;

    out->length = 0;
    return good;
}
