/* SPDX-License-Identifier: Apache-2.0 */
#include "format/name.h"

#include <string.h>

/* A name and how far it was compared. */
struct rest {
    const char *at;
    const char *end;
};

static bool is_digit(const struct rest *rest)
{
    return rest->at < rest->end && *rest->at >= '0' && *rest->at <= '9';
}

/* Takes a run of digits; leading zeros do not count. */
static size_t take_digits(struct rest *rest, const char **ret_first)
{
    while (is_digit(rest) && *rest->at == '0')
        rest->at++;
    *ret_first = rest->at;
    while (is_digit(rest))
        rest->at++;
    return (size_t)(rest->at - *ret_first);
}

static int compare_numbers(struct rest *a, struct rest *b)
{
    const char *a_digits;
    const char *b_digits;
    size_t a_count = take_digits(a, &a_digits);
    size_t b_count = take_digits(b, &b_digits);
    if (a_count != b_count)
        return a_count < b_count ? -1 : 1;
    return memcmp(a_digits, b_digits, a_count);
}

static int compare_bytes(struct rest *a, struct rest *b)
{
    unsigned char left = (unsigned char)*a->at++;
    unsigned char right = (unsigned char)*b->at++;
    return left - right;
}

int name_compare_natural(const char *a, size_t a_length, const char *b, size_t b_length)
{
    struct rest left = {a, a + a_length};
    struct rest right = {b, b + b_length};
    while (left.at < left.end && right.at < right.end) {
        bool numbers = is_digit(&left) && is_digit(&right);
        int order = numbers ? compare_numbers(&left, &right) : compare_bytes(&left, &right);
        if (order)
            return order;
    }
    if (left.at < left.end || right.at < right.end)
        return left.at < left.end ? 1 : -1;
    if (a_length != b_length) /* equal but for leading zeros */
        return a_length < b_length ? -1 : 1;
    return a_length ? memcmp(a, b, a_length) : 0;
}
