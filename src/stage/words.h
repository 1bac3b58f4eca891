/* SPDX-License-Identifier: Apache-2.0
 *
 * A line cut into words, and words into what `commit` is to do: the same for the control file and the command
 * line.
 */
#ifndef STAGE_WORDS_H
#define STAGE_WORDS_H

#include "stage/stage.h"

struct words {
    size_t count;
    char **word; /* NULL-terminated */
    char *storage;
};

#define WORDS_NONE ((struct words){0, NULL, NULL})
#define auto_words __attribute__((cleanup(words_clear))) struct words

/* Blanks part words; "..." keeps them, with a backslash before a byte meant as it is. -EOPNOTSUPP with a
 * sentence (an open quote, a NUL), -ENOMEM. */
int words_split(const char *line, size_t length, struct words *ret_words, struct wfs_error *err);
void words_clear(struct words *words);

/* What follows `commit`, NULL-terminated: --force, --allow-empty, --backup[=SUFFIX], --layout L, --follow,
 * --replace-link. The strings
 * are borrowed. -EOPNOTSUPP with a sentence. */
int words_commit_options(const char *const *arguments, struct commit_options *ret_options,
                         struct wfs_error *err);

#endif
