/* SPDX-License-Identifier: Apache-2.0
 *
 * A directory of tensor files (src/model/extract.h), read for packing: which tensors it holds, where their
 * bytes are, and all that is wrong with it. The files are the model: an entry of metadata.json declares dtype
 * and shape of a file, and one without a file says nothing.
 */
#ifndef MODEL_FOLDER_H
#define MODEL_FOLDER_H

#include "format/header.h"
#include "format/npy.h"
#include "model/lookup.h"

#include <weightfs/header.h>

/* A tensor and the file that holds it. */
struct folder_item {
    struct wfs_tensor tensor;   /* name and shape are the item's own memory */
    char *file_name;            /* relative to the directory */
    uint64_t offset;            /* of the first element in that file */
    uint64_t length;            /* bytes of all elements */
    struct npy_header *foreign; /* how to turn them (model/convert.h); NULL: they are as they should be */
};

struct folder {
    int dirfd;
    char *path;                  /* as given */
    struct wfs_header *document; /* metadata.json; NULL: there is none */
    struct lookup hashed_names;  /* hash of a shortened file name -> index in the document */
    char *header;                /* .weightfs/header; NULL: there is none */
    size_t header_length;
    struct folder_item *items; /* sorted by name */
    size_t count, capacity;
    size_t error_count; /* problems that are no warnings */
    wfs_report *report;
    void *context;
};

#define FOLDER_NONE ((struct folder){.dirfd = -1})

/* Reads a directory, telling every problem to `report` (NULL allowed; what it returns is ignored). 0, also
 * with problems: see error_count; negative when it cannot be read at all. Call folder_close() in either case.
 */
int folder_open(const char *path, wfs_report *report, void *context, struct folder *folder,
                struct wfs_error *err);

void folder_close(struct folder *folder);

#endif
