/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "unit/scratch.h"

START_TEST(appended_bytes_stand_one_behind_the_other)
{
    auto_bytes bytes = BYTES_EMPTY;
    bytes_string(&bytes, "ab");
    bytes_char(&bytes, '\0');
    bytes_append(&bytes, "cd", 2);
    bytes_fill(&bytes, ' ', 3);
    bytes_u64(&bytes, 0);
    bytes_u64(&bytes, UINT64_MAX);
    bytes_printf(&bytes, "<%s %d>", "x", -1);
    static const char expected[] = "ab\0cd   018446744073709551615<x -1>";
    ck_assert_uint_eq(bytes.length, sizeof expected - 1);
    ck_assert_mem_eq(bytes.data, expected, sizeof expected); /* the NUL as well */
    ck_assert(!bytes.failed);
}

END_TEST

START_TEST(many_bytes_fit)
{
    auto_bytes bytes = BYTES_EMPTY;
    for (int i = 0; i < 100000; i++)
        bytes_printf(&bytes, "%05d", i);
    ck_assert_uint_eq(bytes.length, 500000);
    ck_assert_mem_eq(bytes.data + 5 * 54321, "54321", 5);
}

END_TEST

START_TEST(nothing_appended_changes_nothing)
{
    auto_bytes bytes = BYTES_EMPTY;
    bytes_append(&bytes, NULL, 0);
    bytes_fill(&bytes, 'x', 0);
    ck_assert_uint_eq(bytes.length, 0);
    ck_assert(!bytes.failed);
}

END_TEST

START_TEST(memory_taken_from_an_empty_run_is_an_empty_string)
{
    struct bytes bytes = BYTES_EMPTY;
    char *taken = bytes_take(&bytes);
    ck_assert_ptr_nonnull(taken);
    ck_assert_str_eq(taken, "");
    free(taken);
}

END_TEST

START_TEST(memory_taken_is_no_longer_there)
{
    struct bytes bytes = BYTES_EMPTY;
    bytes_string(&bytes, "abc");
    char *taken = bytes_take(&bytes);
    ck_assert_str_eq(taken, "abc");
    ck_assert_ptr_null(bytes.data);
    ck_assert_uint_eq(bytes.length, 0);
    free(taken);
}

END_TEST

START_TEST(a_failure_sticks)
{
    struct bytes bytes = BYTES_EMPTY;
    bytes_string(&bytes, "abc");
    bytes_fill(&bytes, 'x', SIZE_MAX);
    ck_assert(bytes.failed);
    bytes_string(&bytes, "def");
    ck_assert_uint_eq(bytes.length, 3);
    ck_assert_ptr_null(bytes_take(&bytes));
    ck_assert_ptr_null(bytes.data);
}

END_TEST

static void assert_json(const char *input, size_t length, const char *expected)
{
    auto_bytes bytes = BYTES_EMPTY;
    bytes_json(&bytes, input, length);
    ck_assert_str_eq(bytes.data, expected);
}

START_TEST(json_escapes_what_the_official_writer_escapes)
{
    assert_json("", 0, "\"\"");
    assert_json("a\"b\\c/d", 7, "\"a\\\"b\\\\c/d\"");
    assert_json("\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\"");
    assert_json("\0\x01\x0b\x1f", 4, "\"\\u0000\\u0001\\u000b\\u001f\"");
    assert_json("\x7f\xc2\x80\xe2\x80\xa8\xf0\x9f\x98\x80", 10,
                "\"\x7f\xc2\x80\xe2\x80\xa8\xf0\x9f\x98\x80\"");
}

END_TEST

static void assert_json_path(const char *path, const char *expected)
{
    auto_bytes bytes = BYTES_EMPTY;
    bytes_json_path(&bytes, path);
    ck_assert_str_eq(bytes.data, expected);
}

START_TEST(bytes_of_a_path_that_are_not_utf8_are_written_as_python_does)
{
    assert_json_path(NULL, "null");
    assert_json_path("/a/\xc3\xa9\"\n", "\"/a/\xc3\xa9\\\"\\n\"");
    assert_json_path("/\xff\xc3", "\"/\\udcff\\udcc3\"");
    assert_json_path("\xed\xb2\x80", "\"\\udced\\udcb2\\udc80\"");
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        appended_bytes_stand_one_behind_the_other,
        many_bytes_fit,
        nothing_appended_changes_nothing,
        memory_taken_from_an_empty_run_is_an_empty_string,
        memory_taken_is_no_longer_there,
        a_failure_sticks,
        json_escapes_what_the_official_writer_escapes,
        bytes_of_a_path_that_are_not_utf8_are_written_as_python_does,
    };
    return RUN_TESTS("bytes", tests);
}
