/* SPDX-License-Identifier: Apache-2.0
 *
 * Tensor name <-> file name (docs/staging.md 3): a bijection. Short names are percent-encoded; an encoding of
 * more than 251 bytes becomes a prefix, `~` and 16 hex digits of a hash of the name.
 */
#ifndef FORMAT_NAME_H
#define FORMAT_NAME_H

#include "format/hash.h" /* file names use the key 0,0 */
#include "format/utf8.h"

#include <stdbool.h>
#include <stddef.h>

#include <weightfs/error.h>

#define FILE_NAME_ENCODED_MAX 251u /* so that ".npy" fits into 255 */
#define FILE_NAME_BUFFER      256u

/* Writes the NUL-terminated file name for tensors/ (npy/ appends ".npy"). Returns its length. */
size_t name_encode(const char *name, size_t length, char file_name[FILE_NAME_BUFFER]);

enum name_kind {
    NAME_TENSOR,  /* decoded */
    NAME_SCRATCH, /* leading dot, trailing ~, 4913, sed?????? : never a tensor */
    NAME_HASHED,  /* the long form: only an xattr or the model can tell the tensor's name */
    NAME_INVALID, /* not what name_encode() gives for any name: bad escape, not UTF-8, too long */
};

/* Classifies and decodes a file name without ".npy". For NAME_TENSOR, `name` (at least as large as the file
 * name, plus 1) gets the NUL-terminated tensor name and *ret_length its length. */
enum name_kind name_decode(const char *file_name, char *name, size_t *ret_length);

/* Whether a hashed file name belongs to that tensor name. */
bool name_matches(const char *file_name, const char *name, size_t length);

/* The order in which people count: digit runs compare as numbers ("layer.2" before "layer.10"). <0, 0, >0 */
int name_compare_natural(const char *a, size_t a_length, const char *b, size_t b_length);

#endif
