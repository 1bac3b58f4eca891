/* SPDX-License-Identifier: Apache-2.0
 *
 * From what the user named to one opened safetensors file, and from names and globs to its tensors.
 */
#ifndef CLI_SOURCE_H
#define CLI_SOURCE_H

#include <stdio.h>

#include <weightfs/reader.h>

struct source {
    char *path; /* of the file that is read: as given, or what a mount or a directory stands for */
    struct wfs_reader *reader;
};

#define SOURCE_NONE ((struct source){NULL, NULL})
#define auto_source __attribute__((cleanup(source_close))) struct source

/* The file behind a mounted directory, or the only model in a directory; said on stderr. Anything else is
 * itself. */
int source_path(const char *given, char **ret_path, struct wfs_error *err);

/* Resolves and opens. Failures are for cmd_fail_input(). */
int source_open(const char *given, struct source *ret_source, struct wfs_error *err);
void source_close(struct source *source);

/* Tensors by index, malloc'd. */
struct selection {
    size_t count;
    size_t *indices;
};

/* The tensors that the names and globs select, all when there are none, each once, in natural order of their
 * names. Says on stderr which of them match nothing: EXIT_DONE, EXIT_NO then, EXIT_SYSTEM. */
int select_tensors(const struct wfs_header *header, const char *path, char *const *patterns, size_t count,
                   struct selection *ret_selection);

/* Says that there is no such tensor, and which one was probably meant; EXIT_NO. */
int say_no_tensor(const struct wfs_header *header, const char *path, const char *name);

#endif
