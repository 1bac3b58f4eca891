/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads beginnings of .npy files from stdin, each behind its size (u32 little-endian), and prints a line for
 * each: what the header says and the header written again in hexadecimal, "again" when it is not all there,
 * or the reason why it cannot be read.
 */
#include "format/npy.h"

#include "base/cleanup.h"
#include "format/shape.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void print_header(const struct npy_header *header)
{
    auto_bytes shape = BYTES_EMPTY;
    auto_bytes again = BYTES_EMPTY;
    const char *name = header->dtype == WFS_DTYPE_COUNT ? "V1" : wfs_dtype_name(header->dtype);
    shape_print(&shape, header->rank, header->shape);
    npy_encode(header->dtype == WFS_DTYPE_COUNT ? WFS_F8_E4M3 : header->dtype, header->rank, header->shape,
               &again);
    printf("ok %s %s %s %s %" PRIu64 " %" PRIu64 " ", name, header->big_endian ? "big" : "little",
           header->fortran_order ? "F" : "C", shape.data, header->data_offset, header->data_size);
    for (size_t i = 0; i < again.length; i++)
        printf("%02x", (unsigned)(unsigned char)again.data[i]);
    printf("\n");
}

static void judge(const unsigned char *bytes, size_t size)
{
    struct npy_header header;
    struct wfs_error err = {0, WFS_CODE_NONE, ""};
    int r = npy_decode(bytes, size, &header, &err);
    if (r < 0) {
        printf("%s\n", r == -EAGAIN ? "again" : err.text);
        return;
    }
    print_header(&header);
    npy_header_clear(&header);
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
