/* SPDX-License-Identifier: Apache-2.0
 *
 * Prints the first values of an F32 tensor: read FILE TENSOR
 */
#include <stdio.h>

#include <weightfs/weightfs.h>

int main(int argc, char **argv)
{
    struct wfs_error err = {0};
    struct wfs_reader *reader = NULL;
    struct wfs_tensor tensor;
    float values[4] = {0};

    if (argc != 3 || wfs_reader_open(argv[1], 0, &reader, &err) < 0 ||
        wfs_reader_find(reader, argv[2], &tensor, &err) < 0 ||
        wfs_reader_read(reader, &tensor, 0, values, sizeof values, &err) < 0)
        fprintf(stderr, "%s\n", err.text);
    else
        printf("%g %g %g %g\n", values[0], values[1], values[2], values[3]);
    wfs_reader_close(reader);
    return err.errnum != 0;
}
