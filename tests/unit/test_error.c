/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "base/utf8.h"
#include "unit/scratch.h"

static const char *shown(const char *bytes, size_t length)
{
    static struct printable last;
    last = printable(bytes, length);
    return last.text;
}

#define SHOWN(literal) shown(literal, sizeof(literal) - 1)

START_TEST(plain_names_are_shown_as_they_are)
{
    ck_assert_str_eq(SHOWN("model.layers.0/weight"), "model.layers.0/weight");
    ck_assert_str_eq(SHOWN("\xc3\xa9\xe6\xbc\xa2\xf0\x9f\x98\x80"), "\xc3\xa9\xe6\xbc\xa2\xf0\x9f\x98\x80");
    ck_assert_str_eq(SHOWN(""), "");
}

END_TEST

START_TEST(what_a_terminal_would_obey_is_escaped)
{
    ck_assert_str_eq(SHOWN("\x1b[31m"), "\\x1b[31m");
    ck_assert_str_eq(SHOWN("a\nb\rc\td"), "a\\nb\\rc\\td");
    ck_assert_str_eq(SHOWN("nul\0del\x7f"), "nul\\x00del\\x7f");
    ck_assert_str_eq(SHOWN("\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0"), "\\u0080\\u009b\\u009f\xc2\xa0");
    ck_assert_str_eq(SHOWN("\xe2\x80\xa8\xe2\x80\xa9"), "\\u2028\\u2029");
    ck_assert_str_eq(SHOWN("\xe2\x80\xaa\xe2\x80\xae\xe2\x81\xa6\xe2\x81\xa9"),
                     "\\u202a\\u202e\\u2066\\u2069");
    ck_assert_str_eq(SHOWN("\xf3\xa0\x80\x81"), "\\U000e0001");
}

END_TEST

START_TEST(quotes_and_backslashes_cannot_end_a_quoted_name)
{
    ck_assert_str_eq(SHOWN("it's \\x1b"), "it\\'s \\\\x1b");
    ck_assert_str_eq(printable_string("'").text, "\\'");
}

END_TEST

START_TEST(bytes_that_are_not_utf8_are_written_in_hex)
{
    ck_assert_str_eq(SHOWN("\xff"), "\\xff");
    ck_assert_str_eq(SHOWN("\xc0\xaf"), "\\xc0\\xaf");
    ck_assert_str_eq(SHOWN("\xed\xa0\x80"), "\\xed\\xa0\\x80");
    ck_assert_str_eq(SHOWN("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
    ck_assert_str_eq(SHOWN("\xe6\xbc"), "\\xe6\\xbc");
    ck_assert_str_eq(SHOWN("\xe6\xbcZ"), "\\xe6\\xbcZ");
    ck_assert_str_eq(SHOWN("\xf8\x88\x80\x80\x80"), "\\xf8\\x88\\x80\\x80\\x80");
}

END_TEST

START_TEST(a_name_that_just_fits_is_not_cut)
{
    char name[223];
    memset(name, 'n', sizeof name);
    ck_assert_uint_eq(strlen(shown(name, 223)), 223);
    ck_assert_ptr_null(strstr(shown(name, 223), "..."));
}

END_TEST

START_TEST(a_long_name_is_cut_between_characters)
{
    char name[1 << 12];
    for (size_t shift = 0; shift < 4; shift++) {
        memset(name, 'n', shift);
        for (size_t i = shift; i + 4 <= sizeof name; i += 4)
            memcpy(name + i, "\xf0\x9f\x98\x80", 4);
        const char *text = shown(name, sizeof name - 4);
        size_t length = strlen(text);
        ck_assert_uint_ge(length, 220);
        ck_assert_uint_le(length, 223);
        ck_assert_str_eq(text + length - 3, "...");
        ck_assert_uint_eq((length - 3 - shift) % 4, 0);
        ck_assert_mem_eq(text, name, length - 3);
    }
}

END_TEST

START_TEST(a_broken_rule_has_the_rules_errno_and_code)
{
    struct wfs_error err = {0};
    ck_assert_int_eq(error_rule(&err, WFS_CODE_SOURCE_CHANGED, "%s: %d", "x", 7), -ESTALE);
    ck_assert_int_eq(err.errnum, ESTALE);
    ck_assert_int_eq(err.code, WFS_CODE_SOURCE_CHANGED);
    ck_assert_str_eq(err.text, "x: 7");
    ck_assert_int_eq(error_rule(NULL, WFS_CODE_INVALID_OFFSET, "x"), -EINVAL);
}

END_TEST

START_TEST(a_failed_call_is_explained_by_the_systems_words)
{
    struct wfs_error err = {0};
    ck_assert_int_eq(error_errno(&err, ENOSPC, "writing %s", "x"), -ENOSPC);
    ck_assert_str_eq(err.text, "writing x: No space left on device");
    ck_assert_int_eq(err.code, WFS_CODE_NO_SPACE);
    error_errno(&err, EDQUOT, "x");
    ck_assert_int_eq(err.code, WFS_CODE_NO_SPACE);
    error_errno(&err, EROFS, "x");
    ck_assert_int_eq(err.code, WFS_CODE_READ_ONLY);
    error_errno(&err, EBUSY, "x");
    ck_assert_int_eq(err.code, WFS_CODE_BUSY);
    error_errno(&err, 99999, "x");
    ck_assert_int_eq(err.code, WFS_CODE_IO_FAILED);
    ck_assert_str_eq(err.text, "x: error 99999");
    ck_assert_int_eq(error_errno(NULL, EIO, "x"), -EIO);
    ck_assert_int_eq(error_no_memory(NULL), -ENOMEM);
    ck_assert_int_eq(error_no_memory(&err), -ENOMEM);
    ck_assert_str_eq(err.text, "out of memory");
}

END_TEST

START_TEST(a_sentence_never_holds_control_bytes)
{
    struct wfs_error err = {0};
    error_rule(&err, WFS_CODE_USAGE, "it's %s", "\x1b[2J\n\xff\xc2\x9b");
    ck_assert_str_eq(err.text, "it's \\x1b[2J\\n\\xff\\u009b");
    error_prefix(&err, "%s: ", "\a");
    ck_assert_str_eq(err.text, "\\x07: it's \\x1b[2J\\n\\xff\\u009b");
}

END_TEST

START_TEST(an_escaped_name_is_not_escaped_twice)
{
    struct wfs_error err = {0};
    error_rule(&err, WFS_CODE_USAGE, "'%s'", printable_string("a'\x1b").text);
    ck_assert_str_eq(err.text, "'a\\'\\x1b'");
}

END_TEST

START_TEST(a_prefix_keeps_code_and_errno)
{
    struct wfs_error err = {0};
    error_rule(&err, WFS_CODE_INVALID_OFFSET, "InvalidOffset: begins at 128");
    error_prefix(&err, "%s: ", "model.safetensors");
    ck_assert_str_eq(err.text, "model.safetensors: InvalidOffset: begins at 128");
    ck_assert_int_eq(err.code, WFS_CODE_INVALID_OFFSET);
    ck_assert_int_eq(err.errnum, EINVAL);
    error_prefix(NULL, "x");
}

END_TEST

static void assert_utf8(const char *text)
{
    uint32_t character = 0;
    for (size_t at = 0, length = strlen(text), used; at < length; at += used) {
        used = utf8_character(text + at, length - at, &character);
        ck_assert_uint_gt(used, 0);
    }
}

START_TEST(a_sentence_that_is_too_long_keeps_its_beginning_and_its_end)
{
    char path[4000];
    for (size_t i = 0; i + 3 <= sizeof path; i += 3)
        memcpy(path + i, "\xe6\xbc\xa2", 3);
    path[sizeof path - 1] = '\0';
    for (size_t shift = 0; shift < 3; shift++) {
        struct wfs_error err = {0};
        error_errno(&err, ENOSPC, "%.*s%s", (int)shift, "ab", path);
        size_t length = strlen(err.text);
        ck_assert_uint_le(length, 639);
        ck_assert_uint_gt(length, 630);
        ck_assert_mem_eq(err.text, "ab", shift);
        ck_assert_ptr_nonnull(strstr(err.text, ": No space left on device"));
        ck_assert_ptr_nonnull(strstr(err.text, "..."));
        ck_assert_ptr_null(strchr(err.text, '\\')); /* no character was cut in two */
        assert_utf8(err.text);
        error_prefix(&err, "%s: ", path);
        ck_assert_ptr_nonnull(strstr(err.text, ": No space left on device"));
        assert_utf8(err.text);
    }
}

END_TEST

START_TEST(escapes_do_not_overflow_a_sentence)
{
    char bytes[2000];
    memset(bytes, '\xff', sizeof bytes);
    bytes[sizeof bytes - 1] = '\0';
    struct wfs_error err = {0};
    error_rule(&err, WFS_CODE_USAGE, "%s: end", bytes);
    ck_assert_uint_le(strlen(err.text), 639);
    ck_assert_str_eq(err.text + strlen(err.text) - 5, ": end");
}

END_TEST

START_TEST(codes_and_names_belong_together)
{
    for (int code = WFS_CODE_NONE + 1; code < WFS_CODE_COUNT; code++) {
        const char *name = wfs_code_name((enum wfs_code)code);
        ck_assert_str_ne(name, "");
        ck_assert_int_eq(wfs_code_by_name(name), code);
        ck_assert_str_ne(wfs_code_sentence((enum wfs_code)code), "");
        ck_assert(wfs_code_section((enum wfs_code)code)[1] == ' ');
        ck_assert_int_lt(error_rule(NULL, (enum wfs_code)code, "x"), 0);
    }
}

END_TEST

START_TEST(an_unknown_code_has_an_empty_name)
{
    ck_assert_str_eq(wfs_code_name(WFS_CODE_NONE), "");
    ck_assert_str_eq(wfs_code_name(WFS_CODE_COUNT), "");
    ck_assert_str_eq(wfs_code_sentence(WFS_CODE_COUNT), "");
    ck_assert_int_eq(wfs_code_by_name("invalidoffset"), WFS_CODE_NONE);
    ck_assert_int_eq(wfs_code_by_name(""), WFS_CODE_NONE);
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        plain_names_are_shown_as_they_are,
        what_a_terminal_would_obey_is_escaped,
        quotes_and_backslashes_cannot_end_a_quoted_name,
        bytes_that_are_not_utf8_are_written_in_hex,
        a_name_that_just_fits_is_not_cut,
        a_long_name_is_cut_between_characters,
        a_broken_rule_has_the_rules_errno_and_code,
        a_failed_call_is_explained_by_the_systems_words,
        a_sentence_never_holds_control_bytes,
        an_escaped_name_is_not_escaped_twice,
        a_prefix_keeps_code_and_errno,
        a_sentence_that_is_too_long_keeps_its_beginning_and_its_end,
        escapes_do_not_overflow_a_sentence,
        codes_and_names_belong_together,
        an_unknown_code_has_an_empty_name,
    };
    return RUN_TESTS("error", tests);
}
