/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files that read a directory of tensors share: folder.c walks through it, folder_file.c looks at
 * one file.
 */
#ifndef MODEL_FOLDER_INTERNAL_H
#define MODEL_FOLDER_INTERNAL_H

#include "model/folder.h"

/* Tells a problem of a tensor, or of the directory (NULL). */
void folder_tell(struct folder *folder, enum wfs_code code, bool is_warning, const struct wfs_tensor *tensor,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Adds the tensor `name` (malloc'd, taken over) that a file holds, or tells what is wrong with it. -ENOMEM.
 */
int folder_add_file(struct folder *folder, const char *file_name, const char *name, size_t name_length,
                    bool is_npy);

void folder_free_foreign(struct folder_item *item);

#endif
