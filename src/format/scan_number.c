/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers as serde_json reads them. Only whole numbers matter to the format; of all others we need to know
 * what serde_json knows: whether it is one, and whether a double can hold it. Its arithmetic is repeated step
 * by step, because its edge is not that of IEEE 754: 1.7976931348623158e308 is refused although it rounds to
 * the largest double.
 */
#include "format/scan.h"

#include <limits.h>
#include <math.h>

/* The digits read so far as `significand` times ten to the `exponent`. */
struct decimal {
    uint64_t significand;
    int exponent;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Appends a digit to the significand; false when there is no room. */
static bool add_digit(struct decimal *decimal, char digit)
{
    uint64_t value;
    if (__builtin_mul_overflow(decimal->significand, 10, &value) ||
        __builtin_add_overflow(value, (uint64_t)(digit - '0'), &value))
        return false;
    decimal->significand = value;
    return true;
}

static int saturated_sum(int a, int b)
{
    int sum;
    if (__builtin_add_overflow(a, b, &sum))
        return b > 0 ? INT_MAX : INT_MIN;
    return sum;
}

/* A significand below 2^64 needs ten to the 289 to get beyond the largest double. */
static bool check_range(struct scan *scan, const struct decimal *decimal)
{
    static const double powers[] = {1e289, 1e290, 1e291, 1e292, 1e293, 1e294, 1e295, 1e296, 1e297, 1e298,
                                    1e299, 1e300, 1e301, 1e302, 1e303, 1e304, 1e305, 1e306, 1e307, 1e308};
    if (decimal->exponent < 289 || decimal->significand == 0)
        return true;
    if (decimal->exponent <= 308 && !isinf((double)decimal->significand * powers[decimal->exponent - 289]))
        return true;
    return scan_fail(scan, "this number is out of range", "a number that fits a double");
}

/* From the 'e' on. */
static bool take_exponent(struct scan *scan, struct decimal *decimal)
{
    scan->at++;
    bool is_negative = *scan->at == '-';
    if (is_negative || *scan->at == '+')
        scan->at++;
    if (!is_digit(*scan->at))
        return scan_fail(scan, "this is no number", "a number");
    int exponent = 0;
    for (; is_digit(*scan->at); scan->at++) {
        if (__builtin_mul_overflow(exponent, 10, &exponent) ||
            __builtin_add_overflow(exponent, *scan->at - '0', &exponent))
            exponent = INT_MAX;
    }
    decimal->exponent = saturated_sum(decimal->exponent, is_negative ? -exponent : exponent);
    return check_range(scan, decimal);
}

static bool at_exponent(const struct scan *scan)
{
    return *scan->at == 'e' || *scan->at == 'E';
}

/* From the point on. Digits behind the point that the significand cannot take do not count. */
static bool take_fraction(struct scan *scan, struct decimal *decimal)
{
    scan->at++;
    if (!is_digit(*scan->at))
        return scan_fail(scan, "this is no number", "a number");
    for (; is_digit(*scan->at) && add_digit(decimal, *scan->at); scan->at++)
        decimal->exponent--;
    while (is_digit(*scan->at))
        scan->at++;
    return at_exponent(scan) ? take_exponent(scan, decimal) : check_range(scan, decimal);
}

/* The digits before the point; those that the significand cannot take only raise the exponent. */
static void take_whole(struct scan *scan, struct decimal *decimal)
{
    for (; is_digit(*scan->at) && add_digit(decimal, *scan->at); scan->at++)
        ;
    for (; is_digit(*scan->at); scan->at++)
        decimal->exponent++;
}

/* A whole number of up to 18 digits, which is what nearly all are; false leaves it to take_any(). */
static bool take_short(struct scan *scan, uint64_t *ret_value)
{
    char *at = scan->at;
    uint64_t value = 0;
    for (; is_digit(*at) && at - scan->at < 18; at++)
        value = value * 10 + (uint64_t)(*at - '0');
    bool is_whole = at > scan->at && !is_digit(*at) && *at != '.' && *at != 'e' && *at != 'E';
    if (!is_whole || (*scan->at == '0' && at - scan->at > 1))
        return false;
    scan->at = at;
    *ret_value = value;
    return true;
}

static bool take_any(struct scan *scan, bool *ret_is_integer, uint64_t *ret_value)
{
    struct decimal decimal = {0, 0};
    bool is_negative = *scan->at == '-';
    if (is_negative)
        scan->at++;
    if (!is_digit(*scan->at))
        return scan_fail(scan, is_negative ? "this is no number" : "this is no JSON value",
                         is_negative ? "a number" : "a JSON value");
    if (*scan->at == '0' && is_digit(scan->at[1]))
        return scan_fail(scan, "a number cannot begin with 0", "a number without leading zeros");
    take_whole(scan, &decimal);
    *ret_is_integer = false;
    if (*scan->at == '.')
        return take_fraction(scan, &decimal);
    if (at_exponent(scan))
        return take_exponent(scan, &decimal);
    *ret_is_integer = !is_negative && decimal.exponent == 0;
    *ret_value = decimal.significand;
    return check_range(scan, &decimal);
}

bool scan_number(struct scan *scan, bool *ret_is_integer, uint64_t *ret_value)
{
    *ret_is_integer = take_short(scan, ret_value);
    return *ret_is_integer || take_any(scan, ret_is_integer, ret_value);
}
