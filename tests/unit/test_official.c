/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of the official library's own tests and attacks, byte for byte, and its verdicts. Each test names
 * the one it comes from (safetensors/src/tensor.rs, attacks/).
 */
#include "unit/headers.h"

#define I32_2X2 "{\"test\":{\"dtype\":\"I32\",\"shape\":[2,2],\"data_offsets\":[0,16]}}"
#define ZEROS16 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"

/* The verdict on a whole file. */
static struct wfs_header *parse(const char *file, size_t size, enum wfs_code expected)
{
    struct wfs_header *header = NULL;
    struct wfs_error err = {0};
    int r = wfs_header_parse(file, size, size, &header, &err);
    ck_assert_int_eq(r, expected == WFS_CODE_NONE ? 0 : -EINVAL);
    ck_assert_str_eq(wfs_code_name(err.code), wfs_code_name(expected));
    return header;
}

#define ACCEPTED(file)          parse(file, sizeof(file) - 1, WFS_CODE_NONE)
#define REFUSED(file, expected) ck_assert_ptr_null(parse(file, sizeof(file) - 1, expected))

static void ck_assert_only_tensor(struct wfs_header *header, const char *shape, uint64_t end)
{
    ck_assert_uint_eq(wfs_header_count(header), 1);
    ck_assert_tensor(header, 0, "test", WFS_I32, shape, 0, end);
    wfs_header_free(header);
}

START_TEST(test_empty_shapes_allowed)
{
    ck_assert_only_tensor(
        ACCEPTED("8\0\0\0\0\0\0\0{\"test\":{\"dtype\":\"I32\",\"shape\":[],\"data_offsets\":[0,4]}}\0\0\0\0"),
        "[]", 4);
}

END_TEST

START_TEST(test_deserialization)
{
    ck_assert_only_tensor(ACCEPTED("<\0\0\0\0\0\0\0" I32_2X2 ZEROS16), "[2,2]", 16);
}

END_TEST

START_TEST(test_json_attack)
{
    struct bytes file = BYTES_EMPTY;
    bytes_fill(&file, '\0', 8);
    bytes_char(&file, '{');
    for (int i = 0; i < 10; i++)
        bytes_printf(&file, "%s\"weight_%d\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}",
                     i ? "," : "", i);
    bytes_char(&file, '}');
    uint64_t length = file.length - 8;
    memcpy(file.data, &length, sizeof length);
    bytes_fill(&file, '\0', 16);
    ck_assert_ptr_null(parse(file.data, file.length, WFS_CODE_INVALID_OFFSET));
    bytes_clear(&file);
}

END_TEST

START_TEST(test_metadata_incomplete_buffer)
{
    REFUSED("<\0\0\0\0\0\0\0" I32_2X2 ZEROS16 "extra_bogus_data_for_polyglot_file",
            WFS_CODE_METADATA_INCOMPLETE_BUFFER);
    REFUSED("<\0\0\0\0\0\0\0" I32_2X2 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0", WFS_CODE_METADATA_INCOMPLETE_BUFFER);
}

END_TEST

START_TEST(test_header_too_large)
{
    REFUSED("<\0\0\0\0\xff\xff\xff" I32_2X2 ZEROS16, WFS_CODE_HEADER_TOO_LARGE);
}

END_TEST

START_TEST(test_header_too_small)
{
    REFUSED("", WFS_CODE_HEADER_TOO_SMALL);
}

END_TEST

START_TEST(test_invalid_header_length)
{
    REFUSED("<\0\0\0\0\0\0\0", WFS_CODE_INVALID_HEADER_LENGTH);
}

END_TEST

START_TEST(test_invalid_header_non_utf8)
{
    REFUSED("\1\0\0\0\0\0\0\0\xff", WFS_CODE_INVALID_HEADER);
}

END_TEST

START_TEST(test_invalid_header_not_json)
{
    REFUSED("\1\0\0\0\0\0\0\0{", WFS_CODE_INVALID_HEADER_DESERIALIZATION);
}

END_TEST

START_TEST(test_whitespace_padded_header)
{
    wfs_header_free(ACCEPTED("\6\0\0\0\0\0\0\0{}\x0d\x20\x09\x0a"));
}

END_TEST

START_TEST(test_whitespace_leading_padded_header)
{
    wfs_header_free(ACCEPTED("\6\0\0\0\0\0\0\0\x09\x0a{}\x0d\x20"));
}

END_TEST

START_TEST(test_zero_sized_tensor)
{
    ck_assert_only_tensor(
        ACCEPTED("<\0\0\0\0\0\0\0{\"test\":{\"dtype\":\"I32\",\"shape\":[2,0],\"data_offsets\":[0, 0]}}"),
        "[2,0]", 0);
}

END_TEST

START_TEST(test_invalid_info)
{
    REFUSED("<\0\0\0\0\0\0\0{\"test\":{\"dtype\":\"I32\",\"shape\":[2,2],\"data_offsets\":[0, 4]}}",
            WFS_CODE_TENSOR_INVALID_INFO);
}

END_TEST

START_TEST(test_validation_overflow)
{
    REFUSED("O\0\0\0\0\0\0\0{\"test\":{\"dtype\":\"I32\",\"shape\":[2,18446744073709551614],\"data_offsets\":"
            "[0,16]}}" ZEROS16,
            WFS_CODE_VALIDATION_OVERFLOW);
    REFUSED("N\0\0\0\0\0\0\0{\"test\":{\"dtype\":\"I32\",\"shape\":[2,9223372036854775807],\"data_offsets\":["
            "0,16]}}" ZEROS16,
            WFS_CODE_VALIDATION_OVERFLOW);
}

END_TEST

START_TEST(test_deserialization_metadata)
{
    struct wfs_header *header = ACCEPTED("f\0\0\0\0\0\0\0{\"__metadata__\":{\"framework\":\"pt\"},\"test1\":{"
                                         "\"dtype\":\"I32\",\"shape\":[2,2],\"data_offsets\":[0,16]}}"
                                         "       " ZEROS16);
    ck_assert_uint_eq(wfs_header_metadata_count(header), 1);
    ck_assert_metadata(header, 0, "framework", "pt");
    wfs_header_free(header);
}

END_TEST

/* --- attacks -------------------------------------------------------------------------------------------- */

START_TEST(safetensors_abuse_attempt_1)
{
    REFUSED(
        "\xe8\3\0\0\0\0\0\0{\"weight\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}}" ZEROS16,
        WFS_CODE_INVALID_HEADER_LENGTH);
}

END_TEST

START_TEST(safetensors_abuse_attempt_2)
{
    /* Ten million tensors: the length of their header is all that anybody looks at. */
    static const unsigned char prefix[] = {0x80, 0x56, 0x9f, 0x2e, 0, 0, 0, 0};
    uint64_t length = 0;
    struct wfs_error err = {0};
    ck_assert_int_eq(header_length(prefix, 8, 2 * UINT64_C(782194304), &length, &err), -EINVAL);
    ck_assert_int_eq(err.code, WFS_CODE_HEADER_TOO_LARGE);
}

END_TEST

START_TEST(safetensors_abuse_attempt_3)
{
    struct bytes text = BYTES_EMPTY;
    bytes_char(&text, '{');
    for (int i = 0; i < 100000; i++)
        bytes_printf(
            &text,
            "%s\"weight_%d\": {\"dtype\": \"F32\", \"shape\": [200, 200], \"data_offsets\": [0, 160000]}",
            i ? ", " : "", i);
    bytes_char(&text, '}');
    ck_assert_uint_eq(text.length, 8388890);
    struct wfs_error err = decode_wrong(text.data, text.length, text.length, HEADER_OFFICIAL);
    ck_assert_int_eq(err.code, WFS_CODE_INVALID_OFFSET);
    bytes_clear(&text);
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_empty_shapes_allowed,
        test_deserialization,
        test_json_attack,
        test_metadata_incomplete_buffer,
        test_header_too_large,
        test_header_too_small,
        test_invalid_header_length,
        test_invalid_header_non_utf8,
        test_invalid_header_not_json,
        test_whitespace_padded_header,
        test_whitespace_leading_padded_header,
        test_zero_sized_tensor,
        test_invalid_info,
        test_validation_overflow,
        test_deserialization_metadata,
        safetensors_abuse_attempt_1,
        safetensors_abuse_attempt_2,
        safetensors_abuse_attempt_3,
    };
    return RUN_TESTS("official", tests);
}
