/* SPDX-License-Identifier: Apache-2.0
 *
 * A model as a directory of plain files, the tree of a mount without the mount:
 *
 *     DIR/metadata.json       the header as a person reads and edits it
 *     DIR/tensors/NAME        raw bytes, or DIR/npy/NAME.npy
 *     DIR/.weightfs/header    the JSON of the header as it stood in the file, so that pack can give back its
 * very bytes
 *
 * src/model/pack.h is the inverse.
 */
#ifndef MODEL_EXTRACT_H
#define MODEL_EXTRACT_H

#include "model/generation.h"

#define EXTRACT_DOCUMENT "metadata.json"
#define EXTRACT_TENSORS  "tensors"
#define EXTRACT_NPY      "npy"
#define EXTRACT_HIDDEN   ".weightfs"
#define EXTRACT_HEADER   ".weightfs/header"

struct extract_options {
    bool npy;              /* .npy files, for the tensors that can have one */
    const size_t *indices; /* the tensors; NULL: all */
    size_t count;
    struct image_observer observer;
};

/* Writes into `directory`, which is made when it is missing and must not hold a model yet: -EEXIST. What was
 * written before a failure stays. */
int extract_model(struct generation *generation, const char *directory, const struct extract_options *options,
                  struct wfs_error *err);

#endif
