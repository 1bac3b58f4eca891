/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads files from stdin, each behind its size (u32 little-endian), and writes each one's header as the
 * canonical layout has it, behind its size as well. All tensors are new: nothing of the order that they came
 * in is left.
 */
#include "base/cleanup.h"
#include "format/encode.h"
#include "format/header.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>

static void rewrite(const unsigned char *file, size_t size)
{
    auto_header struct wfs_header *header = NULL;
    struct wfs_error err = {0, WFS_CODE_NONE, ""};
    struct metadata_map metadata = {false, 0, NULL};
    if (wfs_header_parse(file, size, size, &header, &err) < 0 || metadata_of_header(header, &metadata) < 0) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    auto_free struct metadata_pair *pairs = metadata.pairs;
    (void)pairs;
    size_t count = wfs_header_count(header);
    auto_free struct layout_item *items = calloc(count + 1, sizeof *items);
    if (!items)
        exit(1);
    for (size_t i = 0; i < count; i++)
        items[i] = (struct layout_item){.tensor = wfs_header_tensor(header, i), .slot = LAYOUT_NEW};
    auto_bytes out = BYTES_EMPTY;
    struct layout used;
    if (layout_place(items, count, NULL, (struct layout){LAYOUT_KEEP, 0}, &used, &err) < 0 ||
        header_encode(items, count, &metadata, NULL, used, &out, &err) < 0)
        exit(1);
    uint32_t length = htole32((uint32_t)out.length);
    fwrite(&length, sizeof length, 1, stdout);
    fwrite(out.data, 1, out.length, stdout);
}

int main(void)
{
    uint32_t size;
    while (fread(&size, sizeof size, 1, stdin) == 1) {
        size = le32toh(size);
        auto_free unsigned char *file = malloc(size + 1);
        if (!file || fread(file, 1, size, stdin) != size)
            return 1;
        rewrite(file, size);
    }
    return ferror(stdin) || fflush(stdout) ? 1 : 0;
}
