/* SPDX-License-Identifier: Apache-2.0 */
#include "format/name.h"
#include "unit/scratch.h"

static int compare(const char *a, const char *b)
{
    int order = name_compare_natural(a, strlen(a), b, strlen(b));
    int reverse = name_compare_natural(b, strlen(b), a, strlen(a));
    ck_assert_int_eq((order > 0) - (order < 0), (reverse < 0) - (reverse > 0));
    return order;
}

START_TEST(digits_compare_as_numbers)
{
    static const char *const ordered[] = {"",
                                          "a",
                                          "a1",
                                          "a01",
                                          "a001",
                                          "a2",
                                          "a9",
                                          "a10",
                                          "a10b",
                                          "a11",
                                          "a18446744073709551616",
                                          "a99999999999999999999999",
                                          "aa",
                                          "b",
                                          "layer.2.x",
                                          "layer.10.x",
                                          "\xc3\xa9"};
    for (size_t i = 0; i < sizeof ordered / sizeof ordered[0]; i++)
        for (size_t j = i + 1; j < sizeof ordered / sizeof ordered[0]; j++)
            ck_assert_msg(compare(ordered[i], ordered[j]) < 0, "%s %s", ordered[i], ordered[j]);
}

END_TEST

START_TEST(only_equal_names_are_equal)
{
    ck_assert_int_eq(compare("a1b02", "a1b02"), 0);
    ck_assert_int_eq(compare("", ""), 0);
    ck_assert_int_ne(compare("0", "00"), 0);
    ck_assert_int_ne(compare("a00b1", "a0b01"), 0);
    ck_assert_int_lt(name_compare_natural("a", 1, "a\0", 2), 0);
}

END_TEST

START_TEST(the_order_is_an_order)
{
    static const char alphabet[] = "0012a.";
    char names[3][6];
    uint32_t state = 1;
    for (unsigned round = 0; round < 200000; round++) {
        for (unsigned i = 0; i < 3; i++) {
            for (unsigned at = 0; at < 5; at++) {
                state = state * 1664525 + 1013904223;
                names[i][at] = alphabet[(state >> 16) % 6];
            }
            names[i][1 + (state >> 24) % 5] = '\0';
        }
        if (compare(names[0], names[1]) <= 0 && compare(names[1], names[2]) <= 0)
            ck_assert_msg(compare(names[0], names[2]) <= 0, "%s %s %s", names[0], names[1], names[2]);
    }
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        digits_compare_as_numbers,
        only_equal_names_are_equal,
        the_order_is_an_order,
    };
    return RUN_TESTS("natural", tests);
}
