/* SPDX-License-Identifier: Apache-2.0
 *
 * Says what weightfs thinks of many small files: reads them from stdin, each behind its size (u32
 * little-endian), prints a line for each: the name of the error, or "ok" and the header as it was understood,
 * encoded again. Whatever is said by the first problem must be among all problems, or the line ends in "!".
 */
#include "base/cleanup.h"
#include "format/encode.h"
#include "format/header.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int note(void *context, const struct wfs_problem *problem)
{
    unsigned char *seen = context;
    seen[problem->code] = 1;
    return 0;
}

/* A copy of the header for the decoder to take over. */
static char *copy_header(const unsigned char *file, uint64_t length)
{
    char *json = malloc(length + 1);
    if (!json)
        abort();
    memcpy(json, file + HEADER_PREFIX, length);
    return json;
}

static void print_header(const struct wfs_header *header)
{
    size_t count = wfs_header_count(header);
    auto_free struct layout_item *items = calloc(count + 1, sizeof *items);
    struct metadata_map metadata = {false, 0, NULL};
    if (!items || metadata_of_header(header, &metadata) < 0)
        abort();
    auto_free struct metadata_pair *pairs = metadata.pairs;
    (void)pairs;
    for (size_t i = 0; i < count; i++) {
        size_t found = SIZE_MAX;
        items[i].tensor = wfs_header_tensor(header, i);
        wfs_header_find(header, items[i].tensor.name, items[i].tensor.name_length, &found);
        if (found != i)
            abort();
    }
    auto_bytes out = BYTES_EMPTY;
    struct layout_source source = {NULL, 0};
    if (header_encode(items, count, &metadata, &source, (struct layout){LAYOUT_CANONICAL, 0}, &out, NULL) < 0)
        abort();
    printf("ok %s\n", out.data + HEADER_PREFIX);
}

static void judge(const unsigned char *file, size_t size)
{
    struct wfs_error err = {0, WFS_CODE_NONE, ""};
    uint64_t length = 0;
    auto_header struct wfs_header *header = NULL;
    auto_header struct wfs_header *checked = NULL;
    if (header_length(file, size, size, &length, &err) < 0) {
        printf("%s\n", wfs_code_name(err.code));
        return;
    }
    unsigned char seen[WFS_CODE_COUNT] = {0};
    int r = header_decode(copy_header(file, length), length, size, HEADER_OFFICIAL, &header, &err);
    int all = header_check(copy_header(file, length), length, size, HEADER_OFFICIAL, note, seen, &checked);
    if (r == 0 && all == 0)
        print_header(header);
    else
        printf("%s%s\n", wfs_code_name(err.code), r < 0 && all < 0 && seen[err.code] ? "" : "!");
}

int main(void)
{
    uint32_t size;
    while (fread(&size, sizeof size, 1, stdin) == 1) {
        size = le32toh(size);
        auto_free unsigned char *file = malloc(size + 1);
        if (!file || fread(file, 1, size, stdin) != size)
            return 1;
        judge(file, size);
    }
    return ferror(stdin) || fflush(stdout) ? 1 : 0;
}
