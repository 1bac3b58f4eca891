/* SPDX-License-Identifier: Apache-2.0
 *
 * A safetensors file from a directory of tensor files: the inverse of src/model/extract.h, byte for byte as
 * long as the tensors, their dtypes, shapes and sizes and __metadata__ are what they were.
 */
#ifndef MODEL_PACK_H
#define MODEL_PACK_H

#include "model/folder.h"

struct pack_options {
    const char *layout; /* "keep", "canonical", "align=N"; NULL: the header that extract left, while it is
                         * still true, else canonical */
    bool crc;
    bool replace; /* an existing file */
    int (*progress)(void *context, uint64_t written, uint64_t total);
    void *context;
};

/* Packs a folder that has no errors. Returns what wfs_writer_finish() does. */
int pack_folder(const struct folder *folder, const char *path, const struct pack_options *options,
                struct wfs_error *err);

#endif
