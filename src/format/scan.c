/* SPDX-License-Identifier: Apache-2.0 */
#include "format/scan.h"

#include <string.h>

bool scan_fail(struct scan *scan, const char *reason, const char *expected)
{
    scan->reason = scan->at >= scan->end ? "it ends too early" : reason;
    scan->expected = expected;
    return false;
}

bool scan_literal(struct scan *scan, const char *literal)
{
    size_t length = strlen(literal);
    if (strncmp(scan->at, literal, length) != 0)
        return scan_fail(scan, "this is no JSON value", "a JSON value");
    scan->at += length;
    return true;
}

bool scan_key(struct scan *scan, char **ret_text, size_t *ret_length)
{
    if (scan_peek(scan) != '"')
        return scan_fail(scan, "a name in quotes should stand here", "a name in quotes");
    if (!scan_string(scan, ret_text, ret_length))
        return false;
    if (!scan_take(scan, ':'))
        return scan_fail(scan, "a ':' should stand here", "':'");
    return true;
}

bool scan_next(struct scan *scan, char closer, bool *ret_more)
{
    *ret_more = scan_take(scan, ',');
    if (*ret_more)
        return true;
    if (scan_take(scan, closer))
        return true;
    return closer == '}' ? scan_fail(scan, "a ',' or '}' should stand here", "',' or '}'")
                         : scan_fail(scan, "a ',' or ']' should stand here", "',' or ']'");
}

/* --- any value ------------------------------------------------------------------------------------------ */

/* The arrays and objects that are open, one bit each: whether it is an object. */
struct nesting {
    unsigned depth;
    uint64_t objects[2];
};

static bool nesting_open(struct scan *scan, struct nesting *nesting, bool is_object)
{
    if (nesting->depth == SCAN_DEPTH_MAX)
        return scan_fail(scan, "this is nested deeper than 127 levels", "at most 127 levels");
    uint64_t bit = UINT64_C(1) << (nesting->depth % 64);
    uint64_t *word = &nesting->objects[nesting->depth / 64];
    *word = is_object ? *word | bit : *word & ~bit;
    nesting->depth++;
    scan->at++;
    return true;
}

static bool nesting_in_object(const struct nesting *nesting)
{
    unsigned level = nesting->depth - 1;
    return nesting->objects[level / 64] >> (level % 64) & 1;
}

static bool skip_key(struct scan *scan)
{
    char *text;
    size_t length;
    return scan_key(scan, &text, &length);
}

static bool skip_scalar(struct scan *scan)
{
    char *text;
    size_t length;
    bool is_integer;
    uint64_t value;
    switch (*scan->at) {
    case '"':
        return scan_string(scan, &text, &length);
    case 't':
        return scan_literal(scan, "true");
    case 'f':
        return scan_literal(scan, "false");
    case 'n':
        return scan_literal(scan, "null");
    default:
        return scan_number(scan, &is_integer, &value);
    }
}

/* Takes the beginning of a value: all of a scalar or of an empty container, else up to the first thing inside
 * (*ret_inside). */
static bool skip_begin(struct scan *scan, struct nesting *nesting, bool *ret_inside)
{
    char opener = scan_peek(scan);
    *ret_inside = false;
    if (opener != '{' && opener != '[')
        return skip_scalar(scan);
    bool is_object = opener == '{';
    if (!nesting_open(scan, nesting, is_object))
        return false;
    if (scan_take(scan, is_object ? '}' : ']')) {
        nesting->depth--;
        return true;
    }
    *ret_inside = true;
    return !is_object || skip_key(scan);
}

/* After a value: closes what ends here, down to `depth`, and stops before the next value if there is one. */
static bool skip_closers(struct scan *scan, struct nesting *nesting, unsigned depth)
{
    while (nesting->depth > depth) {
        bool in_object = nesting_in_object(nesting);
        bool more;
        if (!scan_next(scan, in_object ? '}' : ']', &more))
            return false;
        if (more)
            return !in_object || skip_key(scan);
        nesting->depth--;
    }
    return true;
}

bool scan_skip(struct scan *scan, unsigned depth)
{
    struct nesting nesting = {.depth = depth};
    do {
        bool inside;
        if (!skip_begin(scan, &nesting, &inside))
            return false;
        if (!inside && !skip_closers(scan, &nesting, depth))
            return false;
    } while (nesting.depth > depth);
    return true;
}
