/* SPDX-License-Identifier: Apache-2.0
 *
 * What the JSON of a header may look like: the verdicts of the official library (docs/format.md 2.5), the
 * strict rules, and the two tolerant modes.
 */
#include "unit/headers.h"

#define JSON_ERROR "InvalidHeaderDeserialization"

/* A header of one tensor `a` of one byte, its entry given. */
#define ENTRY(entry) "{\"a\":" entry "}"
#define U8           "\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]"

START_TEST(names_shapes_and_offsets_are_read)
{
    struct wfs_header *header =
        RIGHT("{\"b\":{\"dtype\":\"F32\",\"shape\":[2,300],\"data_offsets\":[8,2408]},"
              "\"a\\u002fc\":{\"data_offsets\":[0,8],\"shape\":[],\"dtype\":\"I64\"}}",
              2408, HEADER_OFFICIAL);
    ck_assert_uint_eq(wfs_header_count(header), 2);
    ck_assert_tensor(header, 0, "a/c", WFS_I64, "[]", 0, 8);
    ck_assert_tensor(header, 1, "b", WFS_F32, "[2,300]", 8, 2408);
    wfs_header_free(header);
}

END_TEST

START_TEST(blanks_may_stand_anywhere_between_tokens)
{
    ck_assert_accepted(" \t\n\r{ \"a\" :\n{ \"dtype\"\t: \"U8\" , \"shape\" : [ ] , \"data_offsets\" : [ 0 , "
                       "1 ] } } \r\n\t ",
                       1);
    ck_assert_accepted("{}", 0);
    ck_assert_accepted("\x09\x0a{}\x0d\x20", 0);
    ck_assert_refused("{}\0", 0, JSON_ERROR);
    ck_assert_refused("{}x", 0, JSON_ERROR);
    ck_assert_refused("{}{}", 0, JSON_ERROR);
    ck_assert_refused("\xef\xbb\xbf{}", 0, JSON_ERROR);
    ck_assert_refused("", 0, JSON_ERROR);
    ck_assert_refused("   ", 0, JSON_ERROR);
    ck_assert_refused("[]", 0, JSON_ERROR);
    ck_assert_refused("{\"a\":{" U8 "},}", 1, JSON_ERROR);
}

END_TEST

START_TEST(an_entry_may_be_an_array_of_exactly_three)
{
    ck_assert_accepted(ENTRY("[\"U8\",[],[0,1]]"), 1);
    ck_assert_refused(ENTRY("[\"U8\",[]]"), 1, JSON_ERROR);
    ck_assert_refused(ENTRY("[\"U8\",[],[0,1],null]"), 1, JSON_ERROR);
    ck_assert_refused(ENTRY("[]"), 1, JSON_ERROR);
    ck_assert_refused(ENTRY("[[],\"U8\",[0,1]]"), 1, JSON_ERROR);
}

END_TEST

START_TEST(a_dtype_may_be_an_object_of_one_null)
{
    ck_assert_accepted(ENTRY("{\"dtype\":{\"U8\":null},\"shape\":[],\"data_offsets\":[0,1]}"), 1);
    ck_assert_accepted(ENTRY("[{\"\\u00558\":null},[],[0,1]]"), 1);
    ck_assert_refused(ENTRY("{\"dtype\":{},\"shape\":[],\"data_offsets\":[0,1]}"), 1, JSON_ERROR);
    ck_assert_refused(ENTRY("{\"dtype\":{\"U8\":{}},\"shape\":[],\"data_offsets\":[0,1]}"), 1, JSON_ERROR);
    ck_assert_refused(ENTRY("{\"dtype\":{\"U8\":1},\"shape\":[],\"data_offsets\":[0,1]}"), 1, JSON_ERROR);
    ck_assert_refused(ENTRY("{\"dtype\":{\"U8\":null,\"I8\":null},\"shape\":[],\"data_offsets\":[0,1]}"), 1,
                      JSON_ERROR);
    ck_assert_refused(ENTRY("{\"dtype\":{\"U8\":null,\"U8\":null},\"shape\":[],\"data_offsets\":[0,1]}"), 1,
                      JSON_ERROR);
    ck_assert_refused(ENTRY("{\"dtype\":[\"U8\"],\"shape\":[],\"data_offsets\":[0,1]}"), 1, JSON_ERROR);
    ck_assert_refused(ENTRY("{\"dtype\":\"u8\",\"shape\":[],\"data_offsets\":[0,1]}"), 1, JSON_ERROR);
    ck_assert_refused(ENTRY("{\"dtype\":4,\"shape\":[],\"data_offsets\":[0,1]}"), 1, JSON_ERROR);
}

END_TEST

START_TEST(unknown_members_are_ignored_whatever_they_hold)
{
    ck_assert_accepted(ENTRY("{\"crc32\":1," U8 ",\"strides\":[1,{\"x\":[null,true,-1.5e3]}]}"), 1);
    ck_assert_accepted(ENTRY("{\"x\":1,\"x\":2," U8 "}"), 1);
    ck_assert_refused(ENTRY("{\"x\":1e400," U8 "}"), 1, JSON_ERROR);
    ck_assert_refused(ENTRY("{\"x\":\"\\ud800\"," U8 "}"), 1, JSON_ERROR);
    ck_assert_refused(ENTRY("{\"x\":tru," U8 "}"), 1, JSON_ERROR);
}

END_TEST

START_TEST(nesting_counts_from_the_outermost_object)
{
    char text[600];
    for (int levels = 124; levels <= 127; levels++) {
        char brackets[2][130];
        memset(brackets[0], '[', sizeof brackets[0]);
        memset(brackets[1], ']', sizeof brackets[1]);
        int length = snprintf(text, sizeof text, "{\"a\":{\"x\":%.*s%.*s," U8 "}}", levels, brackets[0],
                              levels, brackets[1]);
        if (levels <= 125)
            wfs_header_free(decode_right(text, (size_t)length, 1, HEADER_OFFICIAL));
        else
            ck_assert_int_eq(decode_wrong(text, (size_t)length, 1, HEADER_OFFICIAL).code,
                             WFS_CODE_INVALID_HEADER_DESERIALIZATION);
    }
}

END_TEST

START_TEST(members_must_be_there_once)
{
    ck_assert_refused(ENTRY("{}"), 1, JSON_ERROR);
    ck_assert_refused(ENTRY("{\"shape\":[],\"data_offsets\":[0,1]}"), 1, JSON_ERROR);
    ck_assert_refused(ENTRY("{\"dtype\":\"U8\",\"data_offsets\":[0,1]}"), 1, JSON_ERROR);
    ck_assert_refused(ENTRY("{\"dtype\":\"U8\",\"shape\":[]}"), 1, JSON_ERROR);
    ck_assert_refused(ENTRY("{\"dtype\":\"U8\"," U8 "}"), 1, JSON_ERROR);
    ck_assert_refused(ENTRY("{" U8 ",\"shape\":[]}"), 1, JSON_ERROR);
    ck_assert_refused(ENTRY("{" U8 ",\"data_o\\u0066fsets\":[0,1]}"), 1, JSON_ERROR);
    ck_assert_refused(ENTRY("null"), 1, JSON_ERROR);
    ck_assert_refused(ENTRY("\"U8\""), 1, JSON_ERROR);
}

END_TEST

START_TEST(dimensions_and_offsets_are_whole_numbers_of_64_bits)
{
    static const char *const wrong[] = {"1.0",   "1e0",  "-1",  "-0", "18446744073709551616",
                                        "\"1\"", "null", "[1]", "01", "+1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[200];
        int length = snprintf(text, sizeof text,
                              ENTRY("{\"dtype\":\"U8\",\"shape\":[%s],\"data_offsets\":[0,1]}"), wrong[i]);
        ck_assert_str_eq(wfs_code_name(decode_wrong(text, (size_t)length, 1, HEADER_OFFICIAL).code),
                         JSON_ERROR);
        length = snprintf(text, sizeof text, ENTRY("{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,%s]}"),
                          wrong[i]);
        ck_assert_str_eq(wfs_code_name(decode_wrong(text, (size_t)length, 1, HEADER_OFFICIAL).code),
                         JSON_ERROR);
    }
    ck_assert_refused(ENTRY("{\"dtype\":\"U8\",\"shape\":[18446744073709551615],\"data_offsets\":[0,1]}"), 1,
                      "ValidationOverflow");
    ck_assert_refused(ENTRY("{\"dtype\":\"U8\",\"shape\":{},\"data_offsets\":[0,1]}"), 1, JSON_ERROR);
    ck_assert_refused(ENTRY("{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[1]}"), 1, JSON_ERROR);
    ck_assert_refused(ENTRY("{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1,1]}"), 1, JSON_ERROR);
    ck_assert_refused(ENTRY("{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[]}"), 1, JSON_ERROR);
}

END_TEST

START_TEST(metadata_is_a_map_of_strings_or_null)
{
    struct wfs_header *header =
        RIGHT("{\"__metadata__\":{\"format\":\"pt\",\"k\\u0065y\":\"v\\nw\"}}", 0, HEADER_OFFICIAL);
    ck_assert(wfs_header_has_metadata(header));
    ck_assert_uint_eq(wfs_header_metadata_count(header), 2);
    ck_assert_metadata(header, 0, "format", "pt");
    ck_assert_metadata(header, 1, "key", "v\nw");
    wfs_header_free(header);
    header = RIGHT("{\"__metadata__\":{}}", 0, HEADER_OFFICIAL);
    ck_assert(wfs_header_has_metadata(header));
    ck_assert_uint_eq(wfs_header_metadata_count(header), 0);
    wfs_header_free(header);
    header = RIGHT("{\"__metadata__\":null}", 0, HEADER_OFFICIAL);
    ck_assert(!wfs_header_has_metadata(header));
    ck_assert_int_eq(header_metadata_state(header), HEADER_METADATA_NULL);
    wfs_header_free(header);
    ck_assert_refused("{\"__metadata__\":[]}", 0, JSON_ERROR);
    ck_assert_refused("{\"__metadata__\":{\"a\":1}}", 0, JSON_ERROR);
    ck_assert_refused("{\"__metadata__\":{\"a\":null}}", 0, JSON_ERROR);
    ck_assert_refused("{\"__metadata__\":null,\"__metadata__\":null}", 0, JSON_ERROR);
    ck_assert_refused("{\"__metadata__\":{},\"\\u005f_metadata__\":{}}", 0, JSON_ERROR);
}

END_TEST

START_TEST(a_wrong_metadata_value_is_named_and_a_tensor_in_its_place_recognised)
{
    ck_assert_sentence("{\"__metadata__\":{\"a\":\"\",\"b\\n\":true}}", 0, HEADER_OFFICIAL,
                       "InvalidHeaderDeserialization: the value of 'b\\n' in __metadata__ must be a string, "
                       "found a boolean (byte 38 of the file)");
    ck_assert_sentence("{\"__metadata__\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4,
                       HEADER_OFFICIAL,
                       "InvalidHeaderDeserialization: no tensor can be called __metadata__, its 'shape' must "
                       "be a string, found an array (byte 47 of the file)");
    ck_assert_sentence("{\"__metadata__\":{\"shape\":1}}", 0, HEADER_OFFICIAL,
                       "InvalidHeaderDeserialization: the value of 'shape' in __metadata__ must be a string, "
                       "found a number (byte 33 of the file)");
}

END_TEST

START_TEST(of_equal_metadata_keys_the_last_wins)
{
    struct wfs_header *header = RIGHT(
        "{\"__metadata__\":{\"a\":\"1\",\"b\":\"22\",\"a\":\"333\",\"c\":\"\",\"\\u0061\":\"4\",\"b\":\"\"}}",
        0, HEADER_OFFICIAL);
    ck_assert_uint_eq(wfs_header_metadata_count(header), 3);
    ck_assert_metadata(header, 0, "c", "");
    ck_assert_metadata(header, 1, "a", "4");
    ck_assert_metadata(header, 2, "b", "");
    wfs_header_free(header);
}

END_TEST

START_TEST(bytes_that_are_not_utf8_come_before_any_other_problem)
{
    ck_assert_refused("\xff", 0, "InvalidHeader");
    ck_assert_refused("{\"a\":\"\xed\xa0\x80\"", 0, "InvalidHeader");
    ck_assert_refused("}{,\xc3", 0, "InvalidHeader");
}

END_TEST

START_TEST(strict_rules_have_a_code_each)
{
    ck_assert_code(" {}", 0, HEADER_STRICT, "StrictHeaderStart");
    ck_assert_code("{}  \n", 0, HEADER_STRICT, "StrictPadding");
    ck_assert_code("{\"a\\u0000\":" EMPTY_ENTRY "}", 0, HEADER_STRICT, "StrictNulInName");
    ck_assert_code("{\"__metadata__\":{\"dtype\":\"F32\",\"shape\":\"[1]\",\"data_offsets\":\"[0,4]\"}}", 0,
                   HEADER_STRICT, "StrictReservedName");
    ck_assert_code(ENTRY("{\"x\":1," U8 "}"), 1, HEADER_STRICT, "StrictUnknownField");
    ck_assert_code(ENTRY("[\"U8\",[],[0,1]]"), 1, HEADER_STRICT, "StrictEntryForm");
    ck_assert_code(ENTRY("{\"dtype\":{\"U8\":null},\"shape\":[],\"data_offsets\":[0,1]}"), 1, HEADER_STRICT,
                   "StrictEntryForm");
    ck_assert_code("{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}", 0, HEADER_STRICT, "StrictDuplicateKey");
    ck_assert_code("{\"__metadata__\":null}", 0, HEADER_STRICT, "StrictNullMetadata");
    ck_assert_accepted_in("{\"__metadata__\":{\"a\":\"\"},\"a\": {" U8 "}}   ", 1, HEADER_STRICT);
}

END_TEST

START_TEST(an_official_rule_comes_before_a_strict_one)
{
    ck_assert_code(" {\"a\":{\"x\":1," U8 "}}", 2, HEADER_STRICT, "MetadataIncompleteBuffer");
    ck_assert_code(" {\"a\":1}", 2, HEADER_STRICT, JSON_ERROR);
}

END_TEST

START_TEST(nobody_need_listen_to_the_error)
{
    static const char *const texts[] = {" {}", "{", "\xff", "{\"a\":[\"U8\",[1],[0,2]]}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        size_t length = strlen(texts[i]);
        struct wfs_header *header = NULL;
        ck_assert_int_eq(header_decode(copy_text(texts[i], length), length, HEADER_PREFIX + length,
                                       HEADER_STRICT, &header, NULL),
                         -EINVAL);
    }
}

END_TEST

START_TEST(stsw_files_are_read_when_asked_to)
{
    static const char text[] =
        "{\"__version__\":\"1.0\",\"b\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12],\"crc32\":"
        "3699134100},"
        "\"a\":{\"dtype\":\"U8\",\"shape\":[5],\"data_offsets\":[64,69],\"crc32\":907060870}}";
    uint32_t crc = 0;
    struct wfs_header *header = RIGHT(text, 128, HEADER_STSW);
    ck_assert_uint_eq(wfs_header_count(header), 2);
    ck_assert_tensor(header, 1, "a", WFS_U8, "[5]", 64, 69);
    ck_assert(header_crc(header, 0, &crc));
    ck_assert_uint_eq(crc, 3699134100);
    ck_assert(header_crc(header, 1, &crc));
    ck_assert_uint_eq(crc, 907060870);
    wfs_header_free(header);
    ck_assert_refused(text, 128, JSON_ERROR);
    ck_assert_code("{\"__incomplete__\":true}", 0, HEADER_STSW, JSON_ERROR);
    ck_assert_accepted_in("{\"__incomplete__\":false,\"__x\":[1]}", 0, HEADER_STSW);
    ck_assert_code("{\"_x\":1}", 0, HEADER_STSW, JSON_ERROR);
    ck_assert_code("{\"a\":" EMPTY_ENTRY ",\"a\":" EMPTY_ENTRY "}", 0, HEADER_STSW, "DuplicateTensor");
    ck_assert_code("{\"a\":[\"U8\",[2],[0,2]],\"b\":[\"U8\",[2],[1,3]]}", 3, HEADER_STSW, "InvalidOffset");
    ck_assert_code("{\"a\":[\"U8\",[2],[0,2]]}", 1, HEADER_STSW, "MetadataIncompleteBuffer");
}

END_TEST

START_TEST(a_checksum_is_a_whole_number_of_32_bits)
{
    static const char *const values[] = {"4294967296", "-1", "1.5", "\"00000000\"", "null", "[1]"};
    uint32_t crc = 7;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char text[200];
        int length = snprintf(text, sizeof text, ENTRY("{" U8 ",\"crc32\":%s}"), values[i]);
        struct wfs_header *header = decode_right(text, (size_t)length, 1, HEADER_OFFICIAL);
        ck_assert_msg(!header_crc(header, 0, &crc), "%s", values[i]);
        wfs_header_free(header);
    }
    struct wfs_header *header = RIGHT(ENTRY("{\"crc32\":4294967295," U8 "}"), 1, HEADER_OFFICIAL);
    ck_assert(header_crc(header, 0, &crc));
    ck_assert_uint_eq(crc, UINT32_MAX);
    ck_assert_tensor(header, 0, "a", WFS_U8, "[]", 0, 1);
    wfs_header_free(header);
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        names_shapes_and_offsets_are_read,
        blanks_may_stand_anywhere_between_tokens,
        an_entry_may_be_an_array_of_exactly_three,
        a_dtype_may_be_an_object_of_one_null,
        unknown_members_are_ignored_whatever_they_hold,
        nesting_counts_from_the_outermost_object,
        members_must_be_there_once,
        dimensions_and_offsets_are_whole_numbers_of_64_bits,
        metadata_is_a_map_of_strings_or_null,
        a_wrong_metadata_value_is_named_and_a_tensor_in_its_place_recognised,
        of_equal_metadata_keys_the_last_wins,
        bytes_that_are_not_utf8_come_before_any_other_problem,
        strict_rules_have_a_code_each,
        an_official_rule_comes_before_a_strict_one,
        nobody_need_listen_to_the_error,
        stsw_files_are_read_when_asked_to,
        a_checksum_is_a_whole_number_of_32_bits,
    };
    return RUN_TESTS("decode", tests);
}
