/* SPDX-License-Identifier: Apache-2.0 */
#include "format/scan.h"
#include "unit/scratch.h"

/* A text with the NUL that the scanner wants; one test at a time. */
static struct scan scan_of(const char *text, size_t length)
{
    static char buffer[4096];
    ck_assert_uint_lt(length, sizeof buffer);
    memcpy(buffer, text, length);
    buffer[length] = '\0';
    return (struct scan){.at = buffer, .end = buffer + length};
}

static void ck_assert_string(const char *json, size_t json_length, const char *expected, size_t length)
{
    char *text = NULL;
    size_t found = 0;
    struct scan scan = scan_of(json, json_length);
    ck_assert_msg(scan_string(&scan, &text, &found), "%s: %s", json, scan.reason);
    ck_assert_uint_eq(found, length);
    ck_assert_mem_eq(text, expected, length);
    ck_assert_int_eq(text[length], '\0');
    ck_assert_ptr_eq(scan.at, scan.end);
}

#define STRING(json, expected) ck_assert_string(json, sizeof(json) - 1, expected, sizeof(expected) - 1)

static void ck_assert_no_string(const char *json, size_t length, size_t bad)
{
    char *text = NULL;
    size_t found = 0;
    struct scan scan = scan_of(json, length);
    const char *start = scan.at;
    ck_assert_msg(!scan_string(&scan, &text, &found), "%s", json);
    ck_assert_ptr_nonnull(scan.reason);
    ck_assert_msg((size_t)(scan.at - start) == bad, "%s: wrong at %zu", json, (size_t)(scan.at - start));
}

#define NO_STRING(json, bad) ck_assert_no_string(json, sizeof(json) - 1, bad)

START_TEST(strings_are_unescaped_in_place)
{
    STRING("\"\"", "");
    STRING("\"abc\"", "abc");
    STRING("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t");
    STRING("\"a\\u0041\\u00e9\\u20ac\\ud83d\\ude00z\"", "aA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z");
    STRING("\"\\u0000\"", "\0");
    STRING("\"\\u007f\\u0080\\u07ff\\u0800\\ud800\\udc00\"",
           "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xf0\x90\x80\x80");
    STRING("\"\\uFFFF\\uD7FF\\uE000\\uDBFF\\uDFFF\"", "\xef\xbf\xbf\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf");
    STRING("\"\x7f\xc3\xa9 plain, long enough for several words at once\"",
           "\x7f\xc3\xa9 plain, long enough for several words at once");
}

END_TEST

START_TEST(a_special_byte_is_found_at_every_place)
{
    for (size_t at = 0; at < 40; at++) {
        char json[64];
        char expected[64];
        memset(json, 0xc3, sizeof json); /* bytes above 0x7f are plain */
        json[0] = '"';
        json[at + 1] = '"';
        memcpy(expected, json + 1, at);
        ck_assert_string(json, at + 2, expected, at);
        json[at + 1] = '\x1f';
        json[at + 2] = '"';
        ck_assert_no_string(json, at + 3, at + 1);
    }
}

END_TEST

START_TEST(bad_strings_are_refused_where_they_go_wrong)
{
    NO_STRING("\"abc", 4);
    NO_STRING("\"a\nb\"", 2);
    NO_STRING("\"a\0b\"", 2);
    NO_STRING("\"\\x41\"", 2);
    NO_STRING("\"\\\"", 3);
    NO_STRING("\"\\u12g4\"", 5);
    NO_STRING("\"\\u12", 5);
    NO_STRING("\"\\udc00\"", 7);
    NO_STRING("\"\\ud800\"", 7);
    NO_STRING("\"\\ud800\\n\"", 7);
    NO_STRING("\"\\ud800\\u0041\"", 13);
    NO_STRING("\"\\ud800\\ud800\"", 13);
}

END_TEST

struct number {
    const char *text;
    int kind; /* 0: refused, 1: a whole number, 2: any other */
    uint64_t value;
};

static const struct number numbers[] = {
    {"0",                      1, 0         },
    {"7",                      1, 7         },
    {"18446744073709551615",   1, UINT64_MAX},
    {"18446744073709551616",   2, 0         },
    {"-0",                     2, 0         },
    {"-1",                     2, 0         },
    {"-9223372036854775809",   2, 0         },
    {"1.0",                    2, 0         },
    {"1e2",                    2, 0         },
    {"1E+2",                   2, 0         },
    {"1e-400",                 2, 0         },
    {"1e400",                  0, 0         },
    {"-1e400",                 0, 0         },
    {"0e999999999999",         2, 0         },
    {"0.0e2147483648",         2, 0         },
    {"1e-2147483649",          2, 0         },
    {"1e2147483648",           0, 0         },
    {"1.7976931348623157e308", 2, 0         },
    {"1.7976931348623158e308", 0, 0         },
    {"17976931348623157e292",  2, 0         },
    {"17976931348623158e292",  0, 0         },
    {"01",                     0, 0         },
    {"00",                     0, 0         },
    {"1.",                     0, 0         },
    {"1.e5",                   0, 0         },
    {".5",                     0, 0         },
    {"1e",                     0, 0         },
    {"1e+",                    0, 0         },
    {"-",                      0, 0         },
    {"+1",                     0, 0         },
    {"--1",                    0, 0         },
    {"NaN",                    0, 0         },
};

START_TEST(numbers_are_what_serde_json_makes_of_them)
{
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        const struct number *number = &numbers[i];
        bool is_integer = false;
        uint64_t value = 0;
        struct scan scan = scan_of(number->text, strlen(number->text));
        bool read = scan_number(&scan, &is_integer, &value);
        ck_assert_msg(read == (number->kind > 0), "%s", number->text);
        if (!read)
            continue;
        ck_assert_ptr_eq(scan.at, scan.end);
        ck_assert_msg(is_integer == (number->kind == 1), "%s", number->text);
        if (is_integer)
            ck_assert_uint_eq(value, number->value);
    }
}

END_TEST

START_TEST(a_whole_number_of_308_digits_is_a_double_and_one_of_310_is_not)
{
    char digits[400];
    memset(digits, '1', sizeof digits);
    for (size_t length = 300; length < 320; length++) {
        bool is_integer = true;
        uint64_t value = 0;
        struct scan scan = scan_of(digits, length);
        ck_assert_msg(scan_number(&scan, &is_integer, &value) == (length <= 309), "%zu", length);
    }
}

END_TEST

/* Whether all of the text is one value. */
static bool skips(const char *text, unsigned depth)
{
    struct scan scan = scan_of(text, strlen(text));
    return scan_skip(&scan, depth) && scan.at == scan.end;
}

START_TEST(any_value_is_skipped_whole)
{
    static const char *const values[] = {"null",
                                         "true",
                                         "false",
                                         "0",
                                         "\"x\"",
                                         "[]",
                                         "{}",
                                         "[ ]",
                                         "{ }",
                                         "[1,2,[3,{}],{\"a\":[]}]",
                                         "{\"a\":{\"b\":[1,{\"c\":null}]},\"d\":\"e\"}",
                                         " [\n1\t,\r2 ]",
                                         "[[[[[[]]]]]]"};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        ck_assert_msg(skips(values[i], 0), "%s", values[i]);
}

END_TEST

START_TEST(what_is_no_value_is_not_skipped)
{
    static const char *const wrong[] = {
        "",      "nul",   "nulL", "True",      "[",       "]",        "[1",        "[1,",        "[1,]",
        "[,1]",  "[1 2]", "{",    "{\"a\"",    "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{\"a\" 1}",
        "{a:1}", "{1:2}", "[1}",  "{\"a\":1]", "'a'",     "//",       "[1//\n]"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ck_assert_msg(!skips(wrong[i], 0), "%s", wrong[i]);
}

END_TEST

START_TEST(nesting_ends_at_127_levels)
{
    for (unsigned around = 0; around <= 2; around++) {
        for (unsigned levels = 120; levels < 130; levels++) {
            char text[300];
            memset(text, '[', levels);
            memset(text + levels, ']', levels);
            text[2 * levels] = '\0';
            ck_assert_msg(skips(text, around) == (levels + around <= SCAN_DEPTH_MAX), "%u in %u", levels,
                          around);
        }
    }
}

END_TEST

START_TEST(kinds_are_remembered_at_every_depth)
{
    char text[1024];
    size_t length = 0;
    for (unsigned i = 0; i < 127; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, i % 3 ? "{\"k\":" : "[");
    text[length++] = '1';
    for (unsigned i = 127; i-- > 0;)
        text[length++] = i % 3 ? '}' : ']';
    text[length] = '\0';
    ck_assert(skips(text, 0));
    text[length - 64] = text[length - 64] == '}' ? ']' : '}';
    ck_assert(!skips(text, 0));
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        strings_are_unescaped_in_place,
        a_special_byte_is_found_at_every_place,
        bad_strings_are_refused_where_they_go_wrong,
        numbers_are_what_serde_json_makes_of_them,
        a_whole_number_of_308_digits_is_a_double_and_one_of_310_is_not,
        any_value_is_skipped_whole,
        what_is_no_value_is_not_skipped,
        nesting_ends_at_127_levels,
        kinds_are_remembered_at_every_depth,
    };
    return RUN_TESTS("scan", tests);
}
