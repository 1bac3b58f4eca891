/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "cli/cmd.h"
#include "cli/source.h"
#include "cli/text.h"
#include "format/name.h"
#include "format/shape.h"

#include <getopt.h>
#include <inttypes.h>
#include <string.h>

#define FLUSH_SIZE      65536u
#define SHAPE_WIDTH_MAX 24 /* longer ones push the rest of their line */

struct listing {
    const struct wfs_header *header;
    const char *path;
    bool json, details, in_bytes;
    int shape_width, size_width, offset_width;
};

static void print_size(const struct listing *listing, uint64_t bytes, struct bytes *out)
{
    out->length = 0;
    if (listing->in_bytes)
        bytes_u64(out, bytes);
    else
        bytes_string(out, text_size(bytes).text);
}

static void measure(struct listing *listing, const struct selection *selection)
{
    auto_bytes text = BYTES_EMPTY;

    for (size_t i = 0; i < selection->count; i++) {
        struct wfs_tensor tensor = wfs_header_tensor(listing->header, selection->indices[i]);
        if (tensor.rank <= SHAPE_WIDTH_MAX / 2) {
            text.length = 0;
            shape_print(&text, tensor.rank, tensor.shape);
            if ((int)text.length > listing->shape_width && text.length <= SHAPE_WIDTH_MAX)
                listing->shape_width = (int)text.length;
        }
        print_size(listing, tensor.end - tensor.begin, &text);
        if ((int)text.length > listing->size_width)
            listing->size_width = (int)text.length;
        text.length = 0;
        bytes_u64(&text, wfs_header_data_offset(listing->header) + tensor.begin);
        if ((int)text.length > listing->offset_width)
            listing->offset_width = (int)text.length;
    }
}

static void print_line(const struct listing *listing, const struct wfs_tensor *tensor, struct bytes *out)
{
    auto_bytes text = BYTES_EMPTY;

    shape_print(&text, tensor->rank, tensor->shape);
    bytes_printf(out, "%-7s ", wfs_dtype_name(tensor->dtype));
    bytes_append(out, text.data, text.length);
    if (text.length < (size_t)listing->shape_width)
        bytes_fill(out, ' ', (size_t)listing->shape_width - text.length);
    print_size(listing, tensor->end - tensor->begin, &text);
    bytes_printf(out, "  %*s  ", listing->size_width, text.data ? text.data : "");
    if (listing->details)
        bytes_printf(out, "%*" PRIu64 "  ", listing->offset_width,
                     wfs_header_data_offset(listing->header) + tensor->begin);
    text_name(out, tensor->name, tensor->name_length);
    bytes_char(out, '\n');
}

static void print_json(const struct listing *listing, const struct wfs_tensor *tensor, struct bytes *out)
{
    char file_name[FILE_NAME_BUFFER];

    name_encode(tensor->name, tensor->name_length, file_name);
    bytes_char(out, '{');
    json_key(out, "name");
    bytes_json(out, tensor->name, tensor->name_length);
    json_string(out, "dtype", wfs_dtype_name(tensor->dtype));
    json_key(out, "shape");
    shape_print(out, tensor->rank, tensor->shape);
    json_u64(out, "size", tensor->end - tensor->begin);
    json_u64(out, "begin", tensor->begin);
    json_u64(out, "end", tensor->end);
    json_u64(out, "file_offset", wfs_header_data_offset(listing->header) + tensor->begin);
    json_path(out, "file", listing->path);
    json_string(out, "path", file_name);
    bytes_string(out, "}\n");
}

static void print_all(struct listing *listing, const struct selection *selection)
{
    auto_bytes out = BYTES_EMPTY;

    if (!listing->json)
        measure(listing, selection);
    for (size_t i = 0; i < selection->count; i++) {
        struct wfs_tensor tensor = wfs_header_tensor(listing->header, selection->indices[i]);
        if (listing->json)
            print_json(listing, &tensor, &out);
        else
            print_line(listing, &tensor, &out);
        if (out.length >= FLUSH_SIZE && !text_flush(&out))
            return;
    }
    text_flush(&out);
}

static int list(struct listing *listing, char *const *arguments, size_t count)
{
    auto_source source = SOURCE_NONE;
    struct wfs_error err = {0};
    struct selection selection = {0, NULL};

    if (source_open(arguments[0], &source, &err) < 0)
        return cmd_fail_input(&err);
    listing->header = wfs_reader_header(source.reader);
    listing->path = source.path;
    int code = select_tensors(listing->header, source.path, arguments + 1, count - 1, &selection);
    if (selection.indices)
        print_all(listing, &selection);
    free(selection.indices);
    return cmd_finish(code);
}

int cmd_ls(int argc, char **argv)
{
    static const struct option options[] = {
        {"json",  no_argument, NULL, 'j'},
        {"long",  no_argument, NULL, 'l'},
        {"bytes", no_argument, NULL, 'b'},
        {NULL,    0,           NULL, 0  },
    };
    struct listing listing = {0};

    for (int option; (option = getopt_long(argc, argv, "lb", options, NULL)) != -1;) {
        switch (option) {
        case 'j':
            listing.json = true;
            break;
        case 'l':
            listing.details = true;
            break;
        case 'b':
            listing.in_bytes = true;
            break;
        default:
            return EXIT_USAGE;
        }
    }
    if (optind == argc)
        return cmd_usage("ls", "which file?");
    return list(&listing, argv + optind, (size_t)(argc - optind));
}
