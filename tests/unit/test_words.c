/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/words.h"
#include "unit/scratch.h"

static struct words split(const char *line)
{
    struct words words = WORDS_NONE;
    struct wfs_error err = {0};
    ck_assert_msg(words_split(line, strlen(line), &words, &err) == 0, "'%s': %s", line, err.text);
    ck_assert_ptr_null(words.word[words.count]);
    return words;
}

START_TEST(blanks_part_words)
{
    struct words words = split(" commit\t--force  --layout keep\r\n");
    ck_assert_uint_eq(words.count, 4);
    ck_assert_str_eq(words.word[0], "commit");
    ck_assert_str_eq(words.word[1], "--force");
    ck_assert_str_eq(words.word[3], "keep");
    words_clear(&words);
}

END_TEST

START_TEST(quotes_keep_blanks_and_a_backslash_keeps_what_follows)
{
    struct words words = split("discard \"a b\" \"q\\\"\\\\\" pre\"fix \"x \"\" a\\b");
    ck_assert_uint_eq(words.count, 6);
    ck_assert_str_eq(words.word[1], "a b");
    ck_assert_str_eq(words.word[2], "q\"\\");
    ck_assert_str_eq(words.word[3], "prefix x");
    ck_assert_str_eq(words.word[4], "");
    ck_assert_str_eq(words.word[5], "a\\b");
    words_clear(&words);
}

END_TEST

START_TEST(nothing_gives_no_words)
{
    struct words words = split("");
    ck_assert_uint_eq(words.count, 0);
    words_clear(&words);
    words = split(" \n");
    ck_assert_uint_eq(words.count, 0);
    words_clear(&words);
}

END_TEST

START_TEST(open_quotes_and_nul_bytes_are_refused)
{
    struct words words = WORDS_NONE;
    struct wfs_error err = {0};
    ck_assert_int_eq(words_split("discard \"a", 10, &words, &err), -EOPNOTSUPP);
    ck_assert_int_eq(words_split("\"\\", 2, &words, &err), -EOPNOTSUPP);
    ck_assert_int_eq(words_split("a\0b", 3, &words, &err), -EOPNOTSUPP);
    ck_assert_ptr_null(words.word);
}

END_TEST

START_TEST(single_letters_do_not_overflow_the_tables)
{
    for (size_t length = 1; length < 40; length++) {
        char line[40];
        for (size_t i = 0; i < length; i++)
            line[i] = i % 2 ? ' ' : 'x';
        line[length] = '\0';
        struct words words = split(line);
        ck_assert_uint_eq(words.count, (length + 1) / 2);
        words_clear(&words);
    }
}

END_TEST

static int options_of(const char *line, struct commit_options *ret_options, struct wfs_error *err)
{
    static struct words words;
    words_clear(&words);
    words = split(line);
    return words_commit_options((const char *const *)words.word, ret_options, err);
}

START_TEST(options_of_a_commit_are_read)
{
    struct commit_options options;
    ck_assert_int_eq(options_of("", &options, NULL), 0);
    ck_assert(!options.force && !options.allow_empty && !options.backup_suffix && !options.has_layout);
    ck_assert_int_eq(options_of("--force --allow-empty --backup --layout align=64", &options, NULL), 0);
    ck_assert(options.force && options.allow_empty && options.has_layout);
    ck_assert_str_eq(options.backup_suffix, "~");
    ck_assert_int_eq(options.layout.kind, LAYOUT_ALIGN);
    ck_assert_uint_eq(options.layout.align, 64);
    ck_assert_int_eq(options_of("--backup=.bak --layout=canonical", &options, NULL), 0);
    ck_assert_str_eq(options.backup_suffix, ".bak");
    ck_assert_int_eq(options.layout.kind, LAYOUT_CANONICAL);
    options_of("", &options, NULL);
}

END_TEST

START_TEST(wrong_options_of_a_commit_are_named)
{
    static const char *const lines[] = {"--bogus",   "now",        "--layout",  "--layout bogus", "--layout=",
                                        "--backup=", "--backup=/", "--force=1", "--backup=a/b",   "--"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct commit_options options;
        struct wfs_error err = {0};
        ck_assert_msg(options_of(lines[i], &options, &err) == -EOPNOTSUPP, "accepted: %s", lines[i]);
        ck_assert_int_eq(err.code, WFS_CODE_USAGE);
    }
    struct commit_options options;
    options_of("", &options, NULL);
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        blanks_part_words,
        quotes_keep_blanks_and_a_backslash_keeps_what_follows,
        nothing_gives_no_words,
        open_quotes_and_nul_bytes_are_refused,
        single_letters_do_not_overflow_the_tables,
        options_of_a_commit_are_read,
        wrong_options_of_a_commit_are_named,
    };
    return RUN_TESTS("words", tests);
}
