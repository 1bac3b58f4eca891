/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/text.h"
#include "unit/scratch.h"

#include <locale.h>

START_TEST(sizes_have_three_digits)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } samples[] = {
        {0,             "0 B"     },
        {1,             "1 B"     },
        {1023,          "1023 B"  },
        {1024,          "1.00 KiB"},
        {1536,          "1.50 KiB"},
        {10239,         "10.0 KiB"},
        {102400,        "100 KiB" },
        {1048575,       "1.00 MiB"},
        {7623566950ULL, "7.10 GiB"},
        {UINT64_MAX,    "16.0 EiB"},
    };

    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++)
        ck_assert_str_eq(text_size(samples[i].bytes).text, samples[i].text);
}

END_TEST

static void check_name(const char *name, size_t length, const char *expected)
{
    auto_bytes out = BYTES_EMPTY;
    text_name(&out, name, length);
    ck_assert_str_eq(out.data ? out.data : "", expected);
}

START_TEST(names_are_escaped_and_never_cut)
{
    char *longest = malloc(100001);
    check_name("layers.0", 8, "layers.0");
    check_name("", 0, "");
    check_name("it's a \\ \"name\"", 15, "it's a \\\\ \"name\"");
    check_name("a\0b\n\x1b[0m", 8, "a\\x00b\\n\\x1b[0m");
    check_name("h\xc3\xa9llo \xe6\x97\xa5", 10, "h\xc3\xa9llo \xe6\x97\xa5");
    check_name("\xff\xc3", 2, "\\xff\\xc3");
    check_name("\xc2\x9b\xe2\x80\xae", 5, "\\u009b\\u202e");
    ck_assert_ptr_nonnull(longest);
    memset(longest, 'n', 100000);
    longest[100000] = '\0';
    check_name(longest, 100000, longest);
    free(longest);
}

END_TEST

START_TEST(globs_cross_dots_and_slashes)
{
    setlocale(LC_CTYPE, "C.UTF-8");
    ck_assert(text_glob("layer*w", "layer.1/x.w", 11));
    ck_assert(text_glob("*", "", 0));
    ck_assert(text_glob("*", ".hidden", 7));
    ck_assert(text_glob("a?c",
                        "a\xc3\xa9"
                        "c",
                        4));
    ck_assert(!text_glob("a?c", "ac", 2));
    ck_assert(!text_glob("Layer*", "layer", 5));
    ck_assert(text_glob("[a-c]1", "b1", 2));
    ck_assert(!text_glob("a*", "a\0b", 3)); /* no glob can say what such a name is */
}

END_TEST

START_TEST(json_members_are_separated_and_escaped)
{
    auto_bytes out = BYTES_EMPTY;
    bytes_char(&out, '{');
    json_string(&out, "a", "q\"\n");
    json_string(&out, "b", NULL);
    json_path(&out, "c", "x\xff");
    json_u64(&out, "d", UINT64_MAX);
    json_boolean(&out, "e", true);
    bytes_char(&out, '}');
    ck_assert_str_eq(
        out.data, "{\"a\":\"q\\\"\\n\",\"b\":null,\"c\":\"x\\udcff\",\"d\":18446744073709551615,\"e\":true}");
}

END_TEST

START_TEST(a_problem_has_all_its_keys)
{
    auto_bytes out = BYTES_EMPTY;
    struct wfs_problem problem = {.code = WFS_CODE_INVALID_OFFSET,
                                  .tensor = "x\0y",
                                  .tensor_length = 3,
                                  .offset = 12,
                                  .expected = "0",
                                  .found = "4",
                                  .message = "m"};
    json_problem(&out, &problem);
    ck_assert_str_eq(
        out.data, "{\"severity\":\"error\",\"code\":\"InvalidOffset\",\"tensor\":\"x\\u0000y\",\"offset\":12,"
                  "\"expected\":\"0\",\"found\":\"4\",\"message\":\"m\"}");
    out.length = 0;
    json_problem(&out, &(struct wfs_problem){.is_warning = 1, .offset = -1, .message = ""});
    ck_assert_str_eq(
        out.data, "{\"severity\":\"warning\",\"code\":\"\",\"tensor\":null,\"offset\":null,\"expected\":null,"
                  "\"found\":null,\"message\":\"\"}");
}

END_TEST

int main(void)
{
    const TTest *tests[] = {
        sizes_have_three_digits,      names_are_escaped_and_never_cut,
        globs_cross_dots_and_slashes, json_members_are_separated_and_escaped,
        a_problem_has_all_its_keys,
    };
    return RUN_TESTS("text", tests);
}
