/* SPDX-License-Identifier: Apache-2.0 */
#include "format/utf8.h"
#include "unit/scratch.h"

#define VALID(text)   ck_assert(utf8_is_valid(text, sizeof(text) - 1))
#define INVALID(text) ck_assert(!utf8_is_valid(text, sizeof(text) - 1))

START_TEST(the_first_and_last_character_of_each_length_are_valid)
{
    VALID("");
    VALID("\0\x7f");
    VALID("\xc2\x80\xdf\xbf");
    VALID("\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf");
    VALID("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf");
}

END_TEST

START_TEST(overlong_forms_surrogates_and_what_is_beyond_unicode_are_not)
{
    INVALID("\x80");
    INVALID("\xc0\xaf");
    INVALID("\xc1\xbf");
    INVALID("\xe0\x9f\xbf");
    INVALID("\xed\xa0\x80");
    INVALID("\xed\xbf\xbf");
    INVALID("\xf0\x8f\xbf\xbf");
    INVALID("\xf4\x90\x80\x80");
    INVALID("\xf5\x80\x80\x80");
    INVALID("\xff");
}

END_TEST

START_TEST(a_character_that_is_cut_is_not_valid)
{
    INVALID("\xc3");
    INVALID("\xe2\x82");
    INVALID("\xf0\x9f\x98");
    INVALID("\xe2\x82z");
    INVALID("\xc3\xc3\xa9");
}

END_TEST

START_TEST(the_first_bad_byte_is_found_wherever_it_stands)
{
    char text[100];
    for (size_t at = 0; at < sizeof text; at++) {
        memset(text, 'x', sizeof text);
        text[at] = (char)0xff;
        ck_assert_uint_eq(utf8_valid_prefix(text, sizeof text), at);
        text[at] = 'x';
        if (at + 1 < sizeof text)
            memcpy(text + at, "\xc3\xa9", 2);
        ck_assert_uint_eq(utf8_valid_prefix(text, sizeof text), sizeof text);
    }
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        the_first_and_last_character_of_each_length_are_valid,
        overlong_forms_surrogates_and_what_is_beyond_unicode_are_not,
        a_character_that_is_cut_is_not_valid,
        the_first_bad_byte_is_found_wherever_it_stands,
    };
    return RUN_TESTS("utf8", tests);
}
