/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/scratch.h"

#include <weightfs/dtype.h>

START_TEST(every_dtype_has_a_name_that_leads_back_to_it)
{
    for (int i = 0; i < WFS_DTYPE_COUNT; i++) {
        const char *name = wfs_dtype_name((enum wfs_dtype)i);
        enum wfs_dtype found = WFS_DTYPE_COUNT;
        ck_assert_uint_gt(strlen(name), 0);
        ck_assert_int_eq(wfs_dtype_by_name(name, strlen(name), &found), 0);
        ck_assert_int_eq(found, i);
    }
}

END_TEST

START_TEST(bits_are_those_of_the_official_table)
{
    static const unsigned bits[] = {8,  4,  6,  6,  8,  8,  8,  8,  8,  8,  8,
                                    16, 16, 16, 16, 32, 32, 32, 64, 64, 64, 64};
    ck_assert_uint_eq(sizeof bits / sizeof bits[0], WFS_DTYPE_COUNT);
    for (int i = 0; i < WFS_DTYPE_COUNT; i++)
        ck_assert_uint_eq(wfs_dtype_bits((enum wfs_dtype)i), bits[i]);
}

END_TEST

START_TEST(spelling_and_case_count)
{
    static const char *const wrong[] = {"",     "f32", "F3",        "F322", "Bool",
                                        "bool", "F8",  "F8_E4M3FN", "F32 ", "C128"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        enum wfs_dtype found = WFS_U8;
        ck_assert_int_eq(wfs_dtype_by_name(wrong[i], strlen(wrong[i]), &found), -EINVAL);
        ck_assert_int_eq(found, WFS_U8);
    }
}

END_TEST

START_TEST(a_number_that_is_no_dtype_has_no_name_and_no_bits)
{
    ck_assert_str_eq(wfs_dtype_name(WFS_DTYPE_COUNT), "");
    ck_assert_uint_eq(wfs_dtype_bits(WFS_DTYPE_COUNT), 0);
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        every_dtype_has_a_name_that_leads_back_to_it,
        bits_are_those_of_the_official_table,
        spelling_and_case_count,
        a_number_that_is_no_dtype_has_no_name_and_no_bits,
    };
    return RUN_TESTS("dtype", tests);
}
