/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/text.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/utf8.h"

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

    while (value >= 1023.5 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1024;
        unit++;
    }
    int decimals = unit == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
    snprintf(size.text, sizeof size.text, "%.*f %s", decimals, value, units[unit]);
    return size;
}

/* Whether nothing needs a second look: printable ASCII without a backslash. */
static bool is_plain(const char *name, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (name[i] < 0x20 || name[i] > 0x7e || name[i] == '\\')
            return false;
    return true;
}

void text_name(struct bytes *out, const char *name, size_t length)
{
    if (is_plain(name, length)) {
        bytes_append(out, name, length);
        return;
    }
    for (size_t at = 0, size; at < length; at += size) {
        uint32_t character = 0;
        size = utf8_character(name + at, length - at, &character);
        size = size ? size : 1;
        if (name[at] == '\'') /* printable() escapes it, for its place between quotes */
            bytes_char(out, '\'');
        else
            bytes_string(out, printable(name + at, size).text);
    }
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

void json_boolean(struct bytes *out, const char *key, bool value)
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
