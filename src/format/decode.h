/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files that decode a header share: decode.c reads the outermost object, decode_entry.c a tensor's
 * entry, decode_metadata.c the map of __metadata__.
 */
#ifndef FORMAT_DECODE_H
#define FORMAT_DECODE_H

#include "format/problems.h"
#include "format/scan.h"
#include "format/storage.h"

struct decoder {
    struct scan scan;
    struct wfs_header *header;
    struct problems *problems;
    unsigned mode;
    bool has_metadata;
};

/* A name that was read, and where it stands. */
struct member {
    const char *name;
    size_t length;
};

bool member_is(const struct member *member, const char *name);

static inline size_t place_of(const struct decoder *decoder, const char *at)
{
    return (size_t)(at - decoder->header->text);
}

/* The scanner's failure, told as a problem of `tensor` (may be NULL): always negative, nothing can be read
 * behind it. */
int syntax_problem(struct decoder *decoder, const struct member *tensor);

/* What a problem compares, in few words; NULL: the sentence says it. */
struct compared {
    const char *expected;
    const char *found;
};

/* JSON, but not what the format prescribes at `at`: 0 when the search goes on. */
int form_problem(struct decoder *decoder, const struct member *tensor, const char *at,
                 struct compared compared, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The same for any rule. */
int decode_problem(struct decoder *decoder, enum wfs_code code, const struct member *tensor, const char *at,
                   struct compared compared, const char *what);

/* A value that is not what it should be: told ("the shape must be an array, found null"), and skipped.
 * `depth` containers are open around it. */
int skip_wrong(struct decoder *decoder, const struct member *tensor, unsigned depth, const char *subject,
               const char *expected);

/* "a string", "an object", "null", ... by the first byte of a value. */
const char *kind_of_value(char first);

/* What follows the colon of a tensor's name. */
int decode_tensor(struct decoder *decoder, const struct member *tensor);

/* What follows the colon of "__metadata__". */
int decode_metadata(struct decoder *decoder, char *key);

#endif
