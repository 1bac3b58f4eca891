/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the problems of a header go: into the caller's error, which ends the search at the first, or to a
 * report, which goes on. Rules that only --strict knows wait until no other is broken.
 */
#ifndef FORMAT_PROBLEMS_H
#define FORMAT_PROBLEMS_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct problems {
    struct wfs_error *err; /* where the first goes, when there is no report */
    wfs_report *report;
    void *context;
    const char
        *document; /* the text as a person wrote it: places are told as line and column; NULL: a header */
    size_t document_length;
    size_t count;            /* told so far, strict ones included */
    size_t json_count;       /* of these, those that leave nothing to check the offsets of */
    struct wfs_error strict; /* the first strict one, while there is no report */
};

/* What a problem is about. */
struct site {
    const char *tensor; /* NULL: no tensor */
    size_t tensor_length;
    size_t place; /* byte in the header's text, SITE_NOWHERE: none */
    const char *expected;
    const char *found;
};

#define SITE_NOWHERE SIZE_MAX

/* Tells one problem; the format gives what follows "tensor 'x': InvalidOffset: ". 0: go on; negative: stop
 * and return it. */
int problem(struct problems *problems, enum wfs_code code, const struct site *site, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The end of the search: 0, or -EINVAL with the error filled in when a problem was told. */
int problems_verdict(struct problems *problems);

#endif
