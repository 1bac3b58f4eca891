/* SPDX-License-Identifier: Apache-2.0
 *
 * Offsets, sizes and names, in the official order, and the sentences that tell what is wrong.
 */
#include "unit/headers.h"

#define TENSOR(name, dtype, shape, offsets) \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

START_TEST(a_hole_an_overlap_and_a_reversed_tensor_are_invalid_offsets)
{
    ck_assert_sentence("{" TENSOR("a.b", "U8", "[1]", "[128,129]") "}", 129, 0,
                       "tensor 'a.b': InvalidOffset: begins at 128, expected 0 (a hole of 128 bytes)");
    ck_assert_sentence("{" TENSOR("a", "U8", "[4]", "[0,4]") "," TENSOR("b", "U8", "[4]", "[3,7]") "}", 7, 0,
                       "tensor 'b': InvalidOffset: begins at 3, expected 4 (an overlap of 1 byte)");
    ck_assert_sentence("{" TENSOR("a", "U8", "[0]", "[0,0]") "," TENSOR("b", "U8", "[4]", "[0,4]") "," TENSOR(
                           "c", "U8", "[1]", "[4,3]") "}",
                       4, 0, "tensor 'c': InvalidOffset: ends at 3, before it begins at 4");
}

END_TEST

START_TEST(a_size_that_does_not_fit_is_told_with_dtype_and_shape)
{
    ck_assert_sentence("{" TENSOR("a", "I32", "[2,2]", "[0,4]") "}", 4, 0,
                       "tensor 'a': TensorInvalidInfo: has 4 bytes, expected 16 for I32 [2,2]");
    ck_assert_sentence("{" TENSOR("a", "F4", "[1,3]", "[0,2]") "}", 2, 0,
                       "tensor 'a': MisalignedSlice: F4 [1,3] does not fill whole bytes");
    ck_assert_sentence("{" TENSOR("a", "I32", "[2,18446744073709551614]", "[0,4]") "}", 4, 0,
                       "tensor 'a': ValidationOverflow: I32 [2,18446744073709551614] is more than 2^64 bits");
}

END_TEST

START_TEST(a_long_shape_is_cut)
{
    ck_assert_sentence("{" TENSOR("a", "U8",
                                  "[1000000,1000000,1000000,1000000,1000000,1000000,1000000,1000000,1000000,"
                                  "1000000,1000000,1000000,1000000,1000000,1000000,0]",
                                  "[0,4]") "}",
                       4, 0,
                       "tensor 'a': ValidationOverflow: U8 "
                       "[1000000,1000000,1000000,1000000,1000000,1000000,1000000,1000000,1000000,1000000,"
                       "1000000,1000000,...] is more than 2^64 bits");
}

END_TEST

START_TEST(the_file_must_end_where_its_last_tensor_ends)
{
    ck_assert_sentence("{" TENSOR("a", "U8", "[4]", "[0,4]") "}", 2, 0,
                       "MetadataIncompleteBuffer: the file has 63 bytes, expected 65 (2 bytes missing)");
    ck_assert_sentence("{}", 5, 0,
                       "MetadataIncompleteBuffer: the file has 15 bytes, expected 10 (5 bytes too many)");
    ck_assert_code("{" TENSOR("a", "U8", "[18446744073709551615]", "[0,18446744073709551615]") "}", 4, 0,
                   "ValidationOverflow");
    ck_assert_code("{" TENSOR("a", "F4", "[0]", "[0,0]") "," TENSOR("b", "U8", "[2305843009213693951]",
                                                                    "[0,2305843009213693951]") "}",
                   4, 0, "MetadataIncompleteBuffer");
}

END_TEST

START_TEST(each_tensor_is_checked_wholly_before_the_next)
{
    ck_assert_refused("{" TENSOR("b", "U8", "[1]", "[9,10]") "," TENSOR("a", "U8", "[3]", "[0,4]") "}", 10,
                      "TensorInvalidInfo");
    ck_assert_refused("{" TENSOR("a", "F4", "[3]", "[1,2]") "}", 10, "InvalidOffset");
    ck_assert_refused("{" TENSOR("a", "F4", "[9223372036854775808,3]", "[0,2]") "}", 10,
                      "ValidationOverflow");
}

END_TEST

START_TEST(empty_tensors_may_share_a_place_and_others_may_not)
{
    ck_assert_accepted(
        "{" TENSOR("a", "U8", "[0]", "[0,0]") "," TENSOR("b", "F32", "[2,0]", "[0,0]") "," TENSOR(
            "c", "U8", "[]", "[0,1]") "," TENSOR("d", "U8", "[0]", "[1,1]") "}",
        1);
    ck_assert_refused("{" TENSOR("a", "U8", "[1]", "[0,1]") "," TENSOR("b", "U8", "[1]", "[0,1]") "}", 1,
                      "InvalidOffset");
    ck_assert_refused("{" TENSOR("a", "U8", "[0]", "[1,1]") "," TENSOR("b", "U8", "[2]", "[0,2]") "}", 2,
                      "InvalidOffset");
}

END_TEST

START_TEST(a_name_that_occurs_twice_is_refused_with_both_places)
{
    ck_assert_sentence(
        "{" TENSOR("a", "U8", "[1]", "[0,1]") ",\"\\u0061\":[\"U8\",[1],[0,1]]}", 1, 0,
        "tensor 'a': DuplicateTensor: the name stands at byte 9 of the file and again at byte 61");
    ck_assert_refused("{" TENSOR("a", "U8", "[1]", "[5,6]") "," TENSOR("a", "U8", "[1]", "[0,1]") "}", 1,
                      "DuplicateTensor");
    ck_assert_refused("{" TENSOR("a", "U8", "[1]", "[5,1]") "," TENSOR("a", "U8", "[1]", "[0,1]") "}", 99,
                      "DuplicateTensor");
    ck_assert_refused("{\"a\":1," TENSOR("a", "U8", "[1]", "[0,1]") "}", 1, "InvalidHeaderDeserialization");
    ck_assert_accepted("{" TENSOR("a", "U8", "[1]", "[0,1]") "," TENSOR("a\\u0000", "U8", "[1]", "[1,2]") "}",
                       2);
}

END_TEST

START_TEST(an_empty_model_is_right)
{
    ck_assert_accepted("{}", 0);
    ck_assert_accepted("{\"__metadata__\":{\"a\":\"b\"}}      ", 0);
}

END_TEST

/* --- all problems --------------------------------------------------------------------------------------- */

struct told {
    struct bytes lines;
    size_t limit;
    size_t count;
};

static int tell(void *context, const struct wfs_problem *problem)
{
    struct told *told = context;
    bytes_printf(&told->lines, "%lld|%.*s|%s|%s|%s\n", (long long)problem->offset,
                 (int)problem->tensor_length, problem->tensor ? problem->tensor : "",
                 problem->expected ? problem->expected : "", problem->found ? problem->found : "",
                 wfs_code_name(problem->code));
    ck_assert_ptr_nonnull(strstr(problem->message, wfs_code_name(problem->code)));
    return ++told->count == told->limit ? 42 : 0;
}

static int check(const char *text, uint64_t data, unsigned mode, struct told *told)
{
    struct wfs_header *header = NULL;
    size_t length = strlen(text);
    told->lines = BYTES_EMPTY;
    told->count = 0;
    int r = header_check(copy_text(text, length), length, HEADER_PREFIX + length + data, mode, tell, told,
                         &header);
    ck_assert(r == 0 ? header != NULL : header == NULL);
    wfs_header_free(header);
    return r;
}

static void ck_assert_problems(const char *text, uint64_t data, unsigned mode, const char *expected)
{
    struct told told = {.limit = SIZE_MAX};
    ck_assert_int_eq(check(text, data, mode, &told), -EINVAL);
    ck_assert_str_eq(told.lines.data, expected);
    bytes_clear(&told.lines);
}

START_TEST(all_problems_of_the_layout_are_listed)
{
    ck_assert_problems("{" TENSOR("a", "U8", "[2]", "[1,2]") "," TENSOR("b", "F4", "[3]", "[9,2]") "}", 20, 0,
                       "9|a|0|1|InvalidOffset\n"
                       "9|a|2|1|TensorInvalidInfo\n"
                       "61|b|2|9|InvalidOffset\n"
                       "61|b|9|2|InvalidOffset\n"
                       "61|b|whole bytes|F4 [3]|MisalignedSlice\n"
                       "115||115|133|MetadataIncompleteBuffer\n");
}

END_TEST

#define WHOLE "a whole number from 0 to 2^64 - 1"

START_TEST(all_problems_of_form_are_listed_and_offsets_are_not_guessed_at)
{
    ck_assert_problems("{\"a\":{\"dtype\":\"U9\",\"shape\":[2.5,1],\"data_offsets\":[7]},\"b\":4,\"__"
                       "metadata__\":{\"k\":1,\"l\":\"\"},\"c\":{\"dtype\":\"U8\"}}",
                       0, 0,
                       "22|a|a dtype of the format|U9|InvalidHeaderDeserialization\n"
                       "36|a|" WHOLE "|2.5|InvalidHeaderDeserialization\n"
                       "58|a|an array of two numbers|1|InvalidHeaderDeserialization\n"
                       "67|b|an object|a number|InvalidHeaderDeserialization\n"
                       "89||a string|a number|InvalidHeaderDeserialization\n"
                       "103|c|shape|none|InvalidHeaderDeserialization\n"
                       "103|c|data_offsets|none|InvalidHeaderDeserialization\n");
    ck_assert_problems("{\"a\":[\"U8\",[\"1\",[[2]],null,-1],[0,{}]],\"b\":[\"U8\",7,[]]}", 0, 0,
                       "20|a|" WHOLE "|a string|InvalidHeaderDeserialization\n"
                       "24|a|" WHOLE "|an array|InvalidHeaderDeserialization\n"
                       "30|a|" WHOLE "|null|InvalidHeaderDeserialization\n"
                       "35|a|" WHOLE "|-1|InvalidHeaderDeserialization\n"
                       "42|a|" WHOLE "|an object|InvalidHeaderDeserialization\n"
                       "57|b|an array|a number|InvalidHeaderDeserialization\n"
                       "59|b|an array of two numbers|0|InvalidHeaderDeserialization\n");
}

END_TEST

START_TEST(strict_problems_are_listed_among_the_others)
{
    ck_assert_problems(" {" TENSOR("a", "U8", "[2]", "[0,1]") ",\"__metadata__\":null}\n", 1, HEADER_STRICT,
                       "8||'{'|byte 0x20|StrictHeaderStart\n"
                       "62||a map|null|StrictNullMetadata\n"
                       "82||spaces|byte 0x0a|StrictPadding\n"
                       "10|a|2|1|TensorInvalidInfo\n");
}

END_TEST

START_TEST(where_a_name_occurs_twice_the_layout_is_not_judged)
{
    ck_assert_problems("{" TENSOR("a", "U8", "[2]", "[0,1]") "," TENSOR("a", "U8", "[2]", "[0,2]") "}", 2, 0,
                       "9|a|one entry|entries at bytes 9 and 61|DuplicateTensor\n");
}

END_TEST

START_TEST(sizes_are_judged_also_where_the_layout_is_not)
{
    ck_assert_problems("{" TENSOR("a", "U8", "[2]", "[0,2]") "," TENSOR("a", "U8", "[2]", "[0,3]") "}", 9, 0,
                       "9|a|one entry|entries at bytes 9 and 61|DuplicateTensor\n"
                       "61|a|2|3|TensorInvalidInfo\n");
    ck_assert_problems(
        "{\"x\":0," TENSOR("a", "U8", "[2]", "[7,6]") "," TENSOR("b", "F4", "[3]", "[50,52]") "}", 9, 0,
        "13|x|an object|a number|InvalidHeaderDeserialization\n"
        "15|a|7|6|InvalidOffset\n"
        "67|b|whole bytes|F4 [3]|MisalignedSlice\n");
}

END_TEST

START_TEST(every_key_that_occurs_again_is_listed)
{
    ck_assert_problems("{\"__metadata__\":{\"a\":\"1\",\"b\":\"2\",\"a\":\"3\",\"b\":\"4\",\"c\":\"5\"}}", 0,
                       HEADER_STRICT,
                       "9||one|a second|StrictDuplicateKey\n"
                       "9||one|a second|StrictDuplicateKey\n");
}

END_TEST

START_TEST(nothing_can_be_said_behind_a_syntax_error)
{
    ck_assert_problems("{\"a\":1,\"b\" \"c\":2}", 0, 0,
                       "13|a|an object|a number|InvalidHeaderDeserialization\n"
                       "19||':'|'\"'|InvalidHeaderDeserialization\n");
}

END_TEST

START_TEST(a_report_can_stop_the_search_anywhere)
{
    static const char text[] = " {\"a\":{\"dtype\":\"U9\",\"shape\":[2.5,1],\"data_offsets\":[7]},\"b\":4,\"_"
                               "_metadata__\":{\"k\":1},\"c\":{}}\n";
    struct told told = {.limit = SIZE_MAX};
    check(text, 0, HEADER_STRICT, &told);
    size_t count = told.count;
    ck_assert_uint_gt(count, 5);
    bytes_clear(&told.lines);
    for (told.limit = 1; told.limit <= count; told.limit++) {
        ck_assert_int_eq(check(text, 0, HEADER_STRICT, &told), 42);
        ck_assert_uint_eq(told.count, told.limit);
        bytes_clear(&told.lines);
    }
    static const char layout[] =
        "{" TENSOR("a", "U8", "[2]", "[1,2]") "," TENSOR("b", "F4", "[3]", "[9,2]") "}";
    for (told.limit = 1; told.limit <= 6; told.limit++) {
        ck_assert_int_eq(check(layout, 20, 0, &told), 42);
        ck_assert_uint_eq(told.count, told.limit);
        bytes_clear(&told.lines);
    }
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_hole_an_overlap_and_a_reversed_tensor_are_invalid_offsets,
        a_size_that_does_not_fit_is_told_with_dtype_and_shape,
        a_long_shape_is_cut,
        the_file_must_end_where_its_last_tensor_ends,
        each_tensor_is_checked_wholly_before_the_next,
        empty_tensors_may_share_a_place_and_others_may_not,
        a_name_that_occurs_twice_is_refused_with_both_places,
        an_empty_model_is_right,
        all_problems_of_the_layout_are_listed,
        all_problems_of_form_are_listed_and_offsets_are_not_guessed_at,
        strict_problems_are_listed_among_the_others,
        where_a_name_occurs_twice_the_layout_is_not_judged,
        sizes_are_judged_also_where_the_layout_is_not,
        every_key_that_occurs_again_is_listed,
        nothing_can_be_said_behind_a_syntax_error,
        a_report_can_stop_the_search_anywhere,
    };
    return RUN_TESTS("validate", tests);
}
