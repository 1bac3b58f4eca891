/* SPDX-License-Identifier: Apache-2.0 */
#include "format/name.h"
#include "unit/scratch.h"

static void ck_assert_named(const char *name, size_t length, const char *expected)
{
    char file_name[FILE_NAME_BUFFER];
    char back[FILE_NAME_BUFFER + 1];
    size_t back_length = 0;
    ck_assert_uint_eq(name_encode(name, length, file_name), strlen(expected));
    ck_assert_str_eq(file_name, expected);
    ck_assert_int_eq(name_decode(file_name, back, &back_length), NAME_TENSOR);
    ck_assert_uint_eq(back_length, length);
    ck_assert_mem_eq(back, name, length);
    ck_assert_int_eq(back[length], '\0');
    ck_assert(name_matches(file_name, name, length));
}

#define NAMED(name, expected) ck_assert_named(name, sizeof(name) - 1, expected)

START_TEST(most_names_are_their_own_file_names)
{
    NAMED("model.layers.0.self_attn.q_proj.weight", "model.layers.0.self_attn.q_proj.weight");
    NAMED("a b[0]*?'\"\\|&;$", "a b[0]*?'\"\\|&;$");
    NAMED("\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80", "\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80");
    NAMED("a~b", "a~b");
    NAMED("~a", "~a");
    NAMED("4913a", "4913a");
    NAMED("seda", "seda");
}

END_TEST

START_TEST(what_a_directory_cannot_hold_is_escaped)
{
    NAMED("", "%");
    NAMED("%", "%25");
    NAMED("a/b", "a%2Fb");
    NAMED("a%2Fb", "a%252Fb");
    NAMED("\0\n\x1f\x7f", "%00%0A%1F%7F");
    NAMED(".", "%2E");
    NAMED("..", "%2E.");
    NAMED(".a", "%2Ea");
    NAMED("a.", "a.");
    NAMED("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd");
}

END_TEST

START_TEST(what_looks_like_a_scratch_file_is_escaped)
{
    NAMED("a~", "a%7E");
    NAMED("a~~", "a~%7E");
    NAMED("~", "%7E");
    NAMED(".~", "%2E%7E");
    NAMED("4913", "%34913");
    NAMED("sedABCDEF", "%73edABCDEF");
    NAMED("sed/abc", "%73ed%2Fabc");
    NAMED("sedabc~", "%73edabc%7E");
    NAMED("sedabcde~", "sedabcde%7E");
}

END_TEST

START_TEST(what_looks_hashed_is_escaped)
{
    NAMED("a~0123456789abcdef", "a%7E0123456789abcdef");
    NAMED("~0123456789abcdef", "%7E0123456789abcdef");
    NAMED(".~0123456789abcdef", "%2E%7E0123456789abcdef");
    NAMED("a~0123456789abcdeF", "a~0123456789abcdeF");
    NAMED("a~0123456789abcde", "a~0123456789abcde");
    NAMED("a~0123456789abcdef~", "a~0123456789abcdef%7E");
}

END_TEST

/* The file name of a long name: a beginning of `prefix` bytes of `beginning`, `~`, 16 digits. */
static void ck_assert_hashed(const char *name, size_t length, const char *beginning, size_t prefix)
{
    char file_name[FILE_NAME_BUFFER];
    char back[FILE_NAME_BUFFER + 1];
    size_t back_length;
    ck_assert_uint_eq(name_encode(name, length, file_name), prefix + 17);
    ck_assert_uint_eq(strlen(file_name), prefix + 17);
    ck_assert_mem_eq(file_name, beginning, prefix);
    ck_assert_int_eq(file_name[prefix], '~');
    ck_assert_int_eq(name_decode(file_name, back, &back_length), NAME_HASHED);
    ck_assert(name_matches(file_name, name, length));
    ck_assert(!name_matches(file_name, name, length - 1));
}

START_TEST(long_names_are_cut_between_characters_and_escapes)
{
    char name[600];
    memset(name, 'x', sizeof name);
    char file_name[FILE_NAME_BUFFER];
    ck_assert_uint_eq(name_encode(name, 251, file_name), 251);
    ck_assert_ptr_null(strchr(file_name, '~'));
    ck_assert_hashed(name, 252, name, 234);
    ck_assert_hashed(name, sizeof name, name, 234);
    memcpy(name + 231, "\xf0\x9f\x98\x80", 4);
    ck_assert_hashed(name, 300, name, 231);
    memcpy(name + 230, "\xf0\x9f\x98\x80", 4);
    ck_assert_hashed(name, 300, name, 234);
    memset(name, 'x', sizeof name);
    name[232] = '/';
    ck_assert_hashed(name, 300, name, 232);
    name[231] = '/';
    char escaped[600];
    memcpy(escaped, name, sizeof name);
    memcpy(escaped + 231, "%2F", 3);
    ck_assert_hashed(name, 300, escaped, 234);
}

END_TEST

START_TEST(an_escape_may_make_a_name_too_long)
{
    char name[260];
    memset(name, 'x', sizeof name);
    name[250] = '~';
    ck_assert_hashed(name, 251, name, 234); /* 251 bytes, 253 with the escape that a last ~ needs */
    char escaped[260];
    memset(name, 'x', sizeof name);
    memset(escaped, 'x', sizeof escaped);
    name[0] = '.';
    memcpy(escaped, "%2E", 3);
    ck_assert_hashed(name, 250, escaped, 234);
}

END_TEST

START_TEST(file_names_that_no_name_has_are_invalid)
{
    static const char *const invalid[] = {
        "%2",    "%2f",  "%41",  "a%",           "a%zz",   "a%2E",   "%2Ea%2E",
        "a\nb",  "\x7f", "a/b",  "%25%",         "%73eda", "%34914", "%7Ea",
        "a%7Eb", "\xff", "\xc3", "\xed\xa0\x80", "%C3%A9", "%FF",    "x~0123456789abcdef"};
    char name[FILE_NAME_BUFFER];
    size_t length;
    for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++)
        ck_assert_msg(name_decode(invalid[i], name, &length) == NAME_INVALID, "%s", invalid[i]);
    char long_name[256];
    memset(long_name, 'x', sizeof long_name);
    long_name[252] = '\0';
    ck_assert_int_eq(name_decode(long_name, name, &length), NAME_INVALID);
}

END_TEST

START_TEST(a_hashed_file_name_needs_a_beginning_that_encoding_would_cut)
{
    char file_name[FILE_NAME_BUFFER];
    char name[FILE_NAME_BUFFER];
    size_t length;
    for (size_t prefix = 225; prefix <= 238; prefix++) {
        memset(file_name, 'x', prefix);
        memcpy(file_name + prefix, "~0123456789abcdef", 18);
        ck_assert_int_eq(name_decode(file_name, name, &length),
                         prefix >= 231 && prefix <= 234 ? NAME_HASHED : NAME_INVALID);
    }
    memset(file_name, 'x', 234);
    memcpy(file_name + 234, "~0123456789abcdef", 18);
    file_name[233] = '%';
    ck_assert_int_eq(name_decode(file_name, name, &length), NAME_INVALID);
    file_name[233] = '\xc3';
    ck_assert_int_eq(name_decode(file_name, name, &length), NAME_INVALID);
    file_name[233] = '\n';
    ck_assert_int_eq(name_decode(file_name, name, &length), NAME_INVALID);
    file_name[233] = 'x';
    memcpy(file_name, "%41", 3);
    ck_assert_int_eq(name_decode(file_name, name, &length), NAME_INVALID);
    memcpy(file_name, "%2E", 3);
    ck_assert_int_eq(name_decode(file_name, name, &length), NAME_HASHED);
}

END_TEST

START_TEST(scratch_files_are_never_tensors)
{
    static const char *const scratch[] = {".a", ".",    "..",        ".a.swp",    "a~",
                                          "~",  "4913", "sedAbCdEf", "sed......", ".~0123456789abcdef"};
    char name[FILE_NAME_BUFFER];
    size_t length;
    for (size_t i = 0; i < sizeof scratch / sizeof scratch[0]; i++)
        ck_assert_msg(name_decode(scratch[i], name, &length) == NAME_SCRATCH, "%s", scratch[i]);
}

END_TEST

/* --- a bijection ---------------------------------------------------------------------------------------- */

static uint64_t state = 88172645463325252;

static uint32_t next_random(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32) % below;
}

static size_t make_name(char *name)
{
    static const char *const parts[] = {"%",
                                        "/",
                                        ".",
                                        "~",
                                        "..",
                                        "4913",
                                        "sed",
                                        "0123456789abcdef",
                                        "~0123456789abcdef",
                                        "a",
                                        "x",
                                        "F",
                                        "2F",
                                        "%2F",
                                        "%7E",
                                        "\x01",
                                        "\x7f",
                                        "\xc3\xa9",
                                        "\xe2\x82\xac",
                                        "\xf0\x9f\x98\x80",
                                        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
                                        "\n",
                                        " ",
                                        "layer.",
                                        "0",
                                        "\\"};
    size_t length = 0;
    if (next_random(20) == 0)
        for (uint32_t fill = 200 + next_random(60); length < fill;)
            name[length++] = 'x';
    for (uint32_t count = next_random(7); count > 0; count--) {
        const char *part = parts[next_random(sizeof parts / sizeof parts[0])];
        size_t size = strlen(part);
        memcpy(name + length, part, size);
        length += size;
        if (next_random(50) == 0)
            name[length++] = '\0';
    }
    return length;
}

START_TEST(two_million_names_come_back_and_none_looks_like_scratch)
{
    char name[600];
    char file_name[FILE_NAME_BUFFER];
    char back[FILE_NAME_BUFFER + 1];
    unsigned hashed = 0;
    for (unsigned i = 0; i < 2000000; i++) {
        size_t back_length = SIZE_MAX;
        size_t length = make_name(name);
        size_t size = name_encode(name, length, file_name);
        bool is_file_name = size > 0 && size <= FILE_NAME_ENCODED_MAX && strlen(file_name) == size &&
                            !strchr(file_name, '/') && file_name[0] != '.';
        if (!is_file_name)
            ck_abort_msg("%s", file_name);
        enum name_kind kind = name_decode(file_name, back, &back_length);
        hashed += kind == NAME_HASHED;
        bool comes_back = kind == NAME_TENSOR && back_length == length && memcmp(back, name, length) == 0;
        if (!comes_back && !(kind == NAME_HASHED && name_matches(file_name, name, length)))
            ck_abort_msg("%d %s", (int)kind, file_name);
    }
    ck_assert_uint_gt(hashed, 10000);
}

END_TEST

/* From the other side: a file name that decodes is the one that its name has. */
START_TEST(two_million_file_names_are_canonical_or_nothing)
{
    static const char alphabet[] = "%%%%272EF5e0~./ax4913sed\n\xc3\xa9";
    char file_name[FILE_NAME_BUFFER];
    char again[FILE_NAME_BUFFER];
    char name[FILE_NAME_BUFFER + 1];
    unsigned kinds[4] = {0};
    for (unsigned i = 0; i < 2000000; i++) {
        size_t length = 0;
        size_t size = next_random(10) + 1;
        for (size_t at = 0; at < size; at++)
            file_name[at] = alphabet[next_random(sizeof alphabet - 1)];
        file_name[size] = '\0';
        enum name_kind kind = name_decode(file_name, name, &length);
        kinds[kind]++;
        if (kind == NAME_TENSOR &&
            (name_encode(name, length, again) != size || strcmp(again, file_name) != 0))
            ck_abort_msg("%s", file_name);
    }
    ck_assert_uint_gt(kinds[NAME_TENSOR], 10000);
    ck_assert_uint_gt(kinds[NAME_SCRATCH], 10000);
    ck_assert_uint_gt(kinds[NAME_INVALID], 10000);
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        most_names_are_their_own_file_names,
        what_a_directory_cannot_hold_is_escaped,
        what_looks_like_a_scratch_file_is_escaped,
        what_looks_hashed_is_escaped,
        long_names_are_cut_between_characters_and_escapes,
        an_escape_may_make_a_name_too_long,
        file_names_that_no_name_has_are_invalid,
        a_hashed_file_name_needs_a_beginning_that_encoding_would_cut,
        scratch_files_are_never_tensors,
        two_million_names_come_back_and_none_looks_like_scratch,
        two_million_file_names_are_canonical_or_nothing,
    };
    return RUN_TESTS("name", tests);
}
