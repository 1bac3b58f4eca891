/* SPDX-License-Identifier: Apache-2.0
 *
 * What generation.c (opening and finding) and generation_image.c (its bytes) share.
 */
#ifndef MODEL_GENERATION_INTERNAL_H
#define MODEL_GENERATION_INTERNAL_H

#include "model/generation.h"
#include "model/lookup.h"

#include <stdatomic.h>

struct generation {
    atomic_uint references;
    struct file *file; /* NULL: an empty model */
    struct stat st;
    struct wfs_header *header;
    uint32_t header_hash;
    uint64_t first_id;
    struct generation_version *versions; /* NULL: first_id + index, with the file's mtime */
    struct lookup ids;                   /* of `versions` */
    struct lookup hashed_names;          /* file names that do not tell the tensor's name, by their hash */
    _Atomic uint64_t document_size;      /* 0: not known yet */
};

#endif
