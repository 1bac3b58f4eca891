/* SPDX-License-Identifier: Apache-2.0
 *
 * The bytes of two tensors compared, wherever they come from.
 */
#ifndef CLI_DIFF_BYTES_H
#define CLI_DIFF_BYTES_H

#include "cli/model.h"

#include <weightfs/reader.h>

/* The bytes of one tensor. */
struct stream {
    int fd;              /* of a file that holds nothing else; or */
    struct image *image; /* or */
    const struct wfs_reader *reader;
    struct wfs_tensor tensor;
    uint64_t size;
};

#define STREAM_NONE ((struct stream){.fd = -1})
#define auto_stream __attribute__((cleanup(stream_close))) struct stream

/* A tensor of the model as it is, and of the one that is staged. -ENOENT: it has no such file. */
int stream_of_model(struct model *model, const char *name, size_t length, struct stream *ret_stream);
int stream_of_staging(struct model *model, const char *name, size_t length, struct stream *ret_stream);
void stream_of_reader(const struct wfs_reader *reader, const struct wfs_tensor *tensor,
                      struct stream *ret_stream);
void stream_close(struct stream *stream);

struct byte_difference {
    uint64_t compared; /* bytes that both have */
    uint64_t differing;
    uint64_t first; /* offset of the first of them */
};

int streams_compare(const struct stream *a, const struct stream *b, struct byte_difference *ret_difference);

#endif
