/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/error.h"
#include "cli/cmd.h"
#include "cli/source.h"
#include "cli/text.h"

#include <getopt.h>
#include <inttypes.h>
#include <string.h>

#define VALUE_WIDTH_MAX 160u /* longer metadata is cut on a terminal's line; --json has all of it */

struct dtype_total {
    uint64_t count; /* tensors */
    uint64_t size;  /* bytes */
};

struct summary {
    const char *path;
    const struct wfs_header *header;
    uint64_t file_size;
    uint64_t parameters;
    struct dtype_total dtypes[WFS_DTYPE_COUNT];
};

static void sum_up(struct summary *summary, const struct source *source)
{
    const struct wfs_header *header = wfs_reader_header(source->reader);
    size_t count = wfs_header_count(header);

    summary->path = source->path;
    summary->header = header;
    summary->file_size = wfs_header_data_offset(header);
    for (size_t i = 0; i < count; i++) {
        struct wfs_tensor tensor = wfs_header_tensor(header, i);
        uint64_t size = tensor.end - tensor.begin;
        summary->dtypes[tensor.dtype].count++;
        summary->dtypes[tensor.dtype].size += size;
        summary->file_size += size;
        summary->parameters += (uint64_t)((unsigned __int128)size * 8 / wfs_dtype_bits(tensor.dtype));
    }
}

static void print_metadata_json(const struct wfs_header *header, struct bytes *out)
{
    json_key(out, "metadata");
    if (!wfs_header_has_metadata(header)) {
        bytes_string(out, "null");
        return;
    }
    bytes_char(out, '{');
    for (size_t i = 0; i < wfs_header_metadata_count(header); i++) {
        const char *key = NULL;
        const char *value = NULL;
        size_t key_length = 0;
        size_t value_length = 0;
        wfs_header_metadata(header, i, &key, &key_length, &value, &value_length);
        if (i > 0)
            bytes_char(out, ',');
        bytes_json(out, key, key_length);
        bytes_char(out, ':');
        bytes_json(out, value, value_length);
    }
    bytes_char(out, '}');
}

static void print_json(const struct summary *summary, struct bytes *out)
{
    uint64_t data_offset = wfs_header_data_offset(summary->header);

    bytes_char(out, '{');
    json_path(out, "file", summary->path);
    json_u64(out, "file_size", summary->file_size);
    json_u64(out, "header_size", data_offset - 8);
    json_u64(out, "data_offset", data_offset);
    json_u64(out, "tensor_count", wfs_header_count(summary->header));
    json_u64(out, "parameter_count", summary->parameters);
    json_key(out, "dtypes");
    bytes_char(out, '{');
    for (size_t i = 0; i < WFS_DTYPE_COUNT; i++) {
        if (summary->dtypes[i].count == 0)
            continue;
        json_key(out, wfs_dtype_name((enum wfs_dtype)i));
        bytes_char(out, '{');
        json_u64(out, "count", summary->dtypes[i].count);
        json_u64(out, "size", summary->dtypes[i].size);
        bytes_char(out, '}');
    }
    bytes_char(out, '}');
    print_metadata_json(summary->header, out);
    bytes_string(out, "}\n");
}

/* 12345678 as "12,345,678" */
static void print_grouped(struct bytes *out, uint64_t number)
{
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%" PRIu64, number);

    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            bytes_char(out, ',');
        bytes_char(out, digits[i]);
    }
}

static void print_value(struct bytes *out, const char *value, size_t length)
{
    size_t shown = length > VALUE_WIDTH_MAX ? VALUE_WIDTH_MAX : length;

    while (shown < length && shown > 0 && ((unsigned char)value[shown] & 0xc0) == 0x80)
        shown--; /* never through the middle of a character */
    text_name(out, value, shown);
    if (shown < length) {
        bytes_string(out, "... (");
        print_grouped(out, length);
        bytes_string(out, " bytes)");
    }
}

static void print_metadata(const struct wfs_header *header, struct bytes *out)
{
    size_t count = wfs_header_metadata_count(header);

    if (count == 0)
        bytes_printf(out, "metadata    %s\n", wfs_header_has_metadata(header) ? "empty" : "none");
    for (size_t i = 0; i < count; i++) {
        const char *key = NULL;
        const char *value = NULL;
        size_t key_length = 0;
        size_t value_length = 0;
        wfs_header_metadata(header, i, &key, &key_length, &value, &value_length);
        bytes_string(out, i == 0 ? "metadata    " : "            ");
        print_value(out, key, key_length);
        bytes_string(out, " = ");
        print_value(out, value, value_length);
        bytes_char(out, '\n');
    }
}

static void print_text(const struct summary *summary, struct bytes *out)
{
    uint64_t data_offset = wfs_header_data_offset(summary->header);
    const char *label = "dtypes";

    bytes_string(out, "file        ");
    text_name(out, summary->path, strlen(summary->path));
    bytes_printf(out, "\nsize        %s (", text_size(summary->file_size).text);
    print_grouped(out, summary->file_size);
    bytes_string(out, " bytes)\nheader      ");
    print_grouped(out, data_offset - 8);
    bytes_string(out, " bytes, data at ");
    print_grouped(out, data_offset);
    bytes_string(out, "\ntensors     ");
    print_grouped(out, wfs_header_count(summary->header));
    bytes_string(out, "\nparameters  ");
    print_grouped(out, summary->parameters);
    bytes_char(out, '\n');
    for (size_t i = WFS_DTYPE_COUNT; i-- > 0;) {
        const struct dtype_total *total = &summary->dtypes[i];
        if (total->count == 0)
            continue;
        bytes_printf(out, "%-10s  %-7s %9" PRIu64 "  %10s\n", label, wfs_dtype_name((enum wfs_dtype)i),
                     total->count, text_size(total->size).text);
        label = "";
    }
    print_metadata(summary->header, out);
}

static int inspect(const char *given, bool json)
{
    auto_source source = SOURCE_NONE;
    auto_bytes out = BYTES_EMPTY;
    struct summary summary = {0};
    struct wfs_error err = {0};

    if (source_open(given, &source, &err) < 0)
        return cmd_fail_input(&err);
    sum_up(&summary, &source);
    if (json)
        print_json(&summary, &out);
    else
        print_text(&summary, &out);
    text_flush(&out);
    return cmd_finish(EXIT_DONE);
}

int cmd_inspect(int argc, char **argv)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},
        {NULL,   0,           NULL, 0  },
    };
    bool json = false;

    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option != 'j')
            return EXIT_USAGE;
        json = true;
    }
    if (argc - optind != 1)
        return cmd_usage("inspect", "inspect wants one file");
    return inspect(argv[optind], json);
}
