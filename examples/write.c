/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes a file with one tensor of any size, block by block: write FILE
 */
#include <stdio.h>

#include <weightfs/weightfs.h>

int main(int argc, char **argv)
{
    static const uint64_t shape[] = {1000, 256};
    struct wfs_error err = {0};
    struct wfs_writer *writer = NULL;
    float row[256];
    int r = wfs_writer_create(argc > 1 ? argv[1] : "model.safetensors", NULL, &writer, &err);

    if (r == 0)
        r = wfs_writer_metadata(writer, "format", "pt", &err);
    if (r == 0)
        r = wfs_writer_declare(writer, "embedding", WFS_F32, 2, shape, &err);
    for (unsigned i = 0; r == 0 && i < 1000; i++) {
        for (unsigned j = 0; j < 256; j++)
            row[j] = (float)i + (float)j / 256;
        r = wfs_writer_append(writer, "embedding", row, sizeof row, &err);
    }
    if (r == 0)
        r = wfs_writer_finish(writer, &err);
    if (r != 0)
        fprintf(stderr, "%s\n", err.text);
    wfs_writer_close(writer);
    return r < 0;
}
