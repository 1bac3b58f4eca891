/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON exactly as the official library's parser (serde_json) takes it, token by token, over a buffer that is
 * ours to change: strings are unescaped where they stand. No recursion, no allocation, one pass.
 *
 * The buffer must be UTF-8 and end in a NUL behind its last byte: no JSON has one, so every loop ends there.
 */
#ifndef FORMAT_SCAN_H
#define FORMAT_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCAN_DEPTH_MAX 127u /* open arrays and objects, all in all */

struct scan {
    char *at;             /* the next byte; after a failure the one that is wrong */
    const char *end;      /* the NUL */
    const char *reason;   /* why scanning failed, as the end of "InvalidHeaderDeserialization: ..." */
    const char *expected; /* what should stand at `at` instead: "a JSON value" */
};

/* Every function returns false when the text is not JSON; scan->reason and scan->at say why and where. */

bool scan_fail(struct scan *scan, const char *reason, const char *expected);

static inline bool scan_is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* The next byte that is not blank. */
static inline char scan_peek(struct scan *scan)
{
    while (scan_is_space(*scan->at))
        scan->at++;
    return *scan->at;
}

/* Takes `c` when it comes next. */
static inline bool scan_take(struct scan *scan, char c)
{
    if (scan_peek(scan) != c)
        return false;
    scan->at++;
    return true;
}

/* A string, at its opening quote: unescaped in place and NUL-terminated (which overwrites the closing quote).
 */
bool scan_string(struct scan *scan, char **ret_text, size_t *ret_length);

/* The key of a member and the colon behind it. */
bool scan_key(struct scan *scan, char **ret_text, size_t *ret_length);

/* A number, at its first byte. *ret_is_integer: it is a whole number from 0 to 2^64 - 1 written without sign,
 * point and exponent. Others are checked, too: beyond the range of a double they are no JSON to serde_json.
 */
bool scan_number(struct scan *scan, bool *ret_is_integer, uint64_t *ret_value);

/* true, false or null, whole. */
bool scan_literal(struct scan *scan, const char *literal);

/* Any value; `depth` arrays and objects are open around it. */
bool scan_skip(struct scan *scan, unsigned depth);

/* What follows a member or an element: *ret_more when it is a comma, else `closer` was taken. */
bool scan_next(struct scan *scan, char closer, bool *ret_more);

#endif
