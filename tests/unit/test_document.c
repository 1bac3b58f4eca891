/* SPDX-License-Identifier: Apache-2.0
 *
 * metadata.json: what a person may write (HEADER_DOCUMENT), and what weightfs shows (document_encode).
 */
#include "unit/headers.h"

START_TEST(dtype_shape_and_offsets_may_each_be_missing)
{
    struct wfs_header *header =
        RIGHT("{\"a\":{\"dtype\":\"F32\"},\n \"b\":{\"shape\":[1,300]},\n "
              "\"c\":{},\"d\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":\"?\"}}",
              0, HEADER_DOCUMENT);
    ck_assert_uint_eq(wfs_header_count(header), 4);
    struct wfs_tensor a = wfs_header_tensor(header, 0);
    ck_assert_int_eq(a.dtype, WFS_F32);
    ck_assert_ptr_null(a.shape);
    struct wfs_tensor b = wfs_header_tensor(header, 1);
    ck_assert_int_eq(b.dtype, WFS_DTYPE_COUNT);
    ck_assert_ptr_nonnull(b.shape);
    ck_assert_uint_eq(b.rank, 2);
    struct wfs_tensor c = wfs_header_tensor(header, 2);
    ck_assert_int_eq(c.dtype, WFS_DTYPE_COUNT);
    ck_assert_ptr_null(c.shape);
    struct wfs_tensor d = wfs_header_tensor(header, 3);
    ck_assert_ptr_nonnull(d.shape);
    ck_assert_uint_eq(d.rank, 0);
    wfs_header_free(header);
}

END_TEST

START_TEST(offsets_are_json_and_nothing_more)
{
    ck_assert_accepted_in("{\"a\":{\"data_offsets\":[9,1,\"x\"]},\"b\":{\"data_offsets\":null},\"c\":{\"data_"
                          "offsets\":[0,18446744073709551616]}}",
                          0, HEADER_DOCUMENT);
    ck_assert_code("{\"a\":{\"data_offsets\":[9,1}}", 0, HEADER_DOCUMENT, "DocumentInvalid");
}

END_TEST

START_TEST(metadata_may_be_absent_null_or_a_map)
{
    struct wfs_header *header = RIGHT("{}", 0, HEADER_DOCUMENT);
    ck_assert_int_eq(header_metadata_state(header), HEADER_METADATA_ABSENT);
    wfs_header_free(header);
    header = RIGHT("{\"__metadata__\":null}", 0, HEADER_DOCUMENT);
    ck_assert_int_eq(header_metadata_state(header), HEADER_METADATA_NULL);
    wfs_header_free(header);
    header = RIGHT("{\"__metadata__\":{}}", 0, HEADER_DOCUMENT);
    ck_assert_int_eq(header_metadata_state(header), HEADER_METADATA_MAP);
    wfs_header_free(header);
}

END_TEST

START_TEST(problems_are_told_with_line_and_column)
{
    ck_assert_sentence("{\n \"a\":{\"dtype\":\"F99\"}}", 0, HEADER_DOCUMENT,
                       "line 2, column 15: tensor 'a': DtypeUnknown: there is no dtype 'F99'");
    ck_assert_sentence("{\n \"a\":{}\n \"b\":{}}", 0, HEADER_DOCUMENT,
                       "line 3, column 2: DocumentInvalid: a ',' or '}' should stand here");
    ck_assert_sentence("{\"__metadata__\":{\"epoch\":\n3}}", 0, HEADER_DOCUMENT,
                       "line 2, column 1: DocumentInvalid: the value of 'epoch' in __metadata__ must be a "
                       "string, found a number");
    ck_assert_sentence("{\n \"a\":{},\n\n \"a\":{}}", 0, HEADER_DOCUMENT,
                       "line 2, column 2: tensor 'a': DocumentInvalid: the name occurs again in line 4");
    ck_assert_sentence("{\"__metadata__\":{\"a\":\"\",\"b\":\"\",\"a\":\"\"}}", 0, HEADER_DOCUMENT,
                       "line 1, column 2: DocumentInvalid: the key 'a' occurs twice in __metadata__");
    ck_assert_sentence(
        "{\n\"a\":5}", 0, HEADER_DOCUMENT,
        "line 2, column 5: tensor 'a': DocumentInvalid: an entry must be an object, found a number");
    ck_assert_sentence("{\n", 0, HEADER_DOCUMENT, "line 2, column 1: DocumentInvalid: it ends too early");
    ck_assert_sentence("{\n\"\xff\"", 0, HEADER_DOCUMENT,
                       "line 2, column 2: DocumentInvalid: this is not UTF-8");
}

END_TEST

START_TEST(a_document_longer_than_any_header_is_refused)
{
    size_t length = HEADER_LENGTH_MAX + 1;
    char *json = malloc(length + 1);
    struct wfs_header *header = NULL;
    struct wfs_error err = {0};
    ck_assert_ptr_nonnull(json);
    memset(json, ' ', length);
    ck_assert_int_eq(header_decode(json, length, 0, HEADER_DOCUMENT, &header, &err), -EINVAL);
    ck_assert_str_eq(err.text, "DocumentInvalid: it has 100000001 bytes, the limit is 100000000");
}

END_TEST

START_TEST(a_position_counts_from_one)
{
    static const char text[] = "ab\n\ncd";
    static const size_t expected[][3] = {
        {0,  1, 1},
        {1,  1, 2},
        {2,  1, 3},
        {3,  2, 1},
        {4,  3, 1},
        {5,  3, 2},
        {6,  3, 3},
        {99, 3, 3}
    };
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        size_t line = 0;
        size_t column = 0;
        header_position(text, sizeof text - 1, expected[i][0], &line, &column);
        ck_assert_uint_eq(line, expected[i][1]);
        ck_assert_uint_eq(column, expected[i][2]);
    }
    size_t line = 0;
    size_t column = 0;
    header_position("\nx", 2, 1, &line, &column);
    ck_assert_uint_eq(line, 2);
    ck_assert_uint_eq(column, 1);
}

END_TEST

/* The document of a header. */
static char *show(struct wfs_header *header)
{
    struct bytes out = BYTES_EMPTY;
    struct wfs_tensor tensors[8];
    struct metadata_map metadata;
    size_t count = wfs_header_count(header);
    ck_assert_uint_le(count, 8);
    for (size_t i = 0; i < count; i++)
        tensors[i] = wfs_header_tensor(header, i);
    ck_assert_int_eq(metadata_of_header(header, &metadata), 0);
    document_encode(tensors, count, &metadata, &out);
    free(metadata.pairs);
    wfs_header_free(header);
    return bytes_take(&out);
}

static void ck_assert_shown(struct wfs_header *header, const char *expected)
{
    char *document = show(header);
    ck_assert_str_eq(document, expected);
    free(document);
}

START_TEST(a_document_has_one_tensor_a_line)
{
    ck_assert_shown(RIGHT("{}", 0, HEADER_OFFICIAL), "{}\n");
    ck_assert_shown(RIGHT("{\"__metadata__\":{}}", 0, HEADER_OFFICIAL), "{\n \"__metadata__\":{}\n}\n");
    ck_assert_shown(RIGHT("{\"b\":[\"F32\",[2,3],[0,24]],\"__metadata__\":{\"z\":\"1\",\"a\":\"2\"},\"a\\n\":"
                          "[\"U8\",[],[24,25]]}",
                          25, HEADER_OFFICIAL),
                    "{\n"
                    " \"__metadata__\":{\"a\":\"2\",\"z\":\"1\"},\n"
                    " \"b\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},\n"
                    " \"a\\n\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[24,25]}\n"
                    "}\n");
}

END_TEST

START_TEST(a_document_reads_back_as_what_it_shows)
{
    char *document = show(RIGHT(
        "{\"b\":[\"F32\",[2,3],[0,24]],\"__metadata__\":{\"z\":\"\\u0000\"},\"\\u0001\":[\"U8\",[],[24,25]]}",
        25, HEADER_OFFICIAL));
    struct wfs_header *header = decode_right(document, strlen(document), 0, HEADER_DOCUMENT);
    free(document);
    ck_assert_uint_eq(wfs_header_count(header), 2);
    ck_assert_tensor(header, 0, "b", WFS_F32, "[2,3]", 0, 0);
    ck_assert_tensor(header, 1, "\x01", WFS_U8, "[]", 0, 0);
    ck_assert_uint_eq(wfs_header_metadata_count(header), 1);
    wfs_header_free(header);
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        dtype_shape_and_offsets_may_each_be_missing,
        offsets_are_json_and_nothing_more,
        metadata_may_be_absent_null_or_a_map,
        problems_are_told_with_line_and_column,
        a_document_longer_than_any_header_is_refused,
        a_position_counts_from_one,
        a_document_has_one_tensor_a_line,
        a_document_reads_back_as_what_it_shows,
    };
    return RUN_TESTS("document", tests);
}
