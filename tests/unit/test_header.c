/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/headers.h"

static const char two[] = "{\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[1,9]},\"a\":{\"dtype\":"
                          "\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}";

START_TEST(tensors_are_in_the_order_of_their_bytes_and_found_by_name)
{
    size_t index = 99;
    struct wfs_header *header = decode_right(two, sizeof two - 1, 9, HEADER_OFFICIAL);
    ck_assert_tensor(header, 0, "a", WFS_U8, "[]", 0, 1);
    ck_assert_tensor(header, 1, "b", WFS_F32, "[2]", 1, 9);
    ck_assert(wfs_header_find(header, "b", 1, &index));
    ck_assert_uint_eq(index, 1);
    ck_assert(wfs_header_find(header, "a", 1, NULL));
    ck_assert(!wfs_header_find(header, "c", 1, &index));
    ck_assert(!wfs_header_find(header, "", 0, &index));
    ck_assert(!wfs_header_find(header, "a\0", 2, &index));
    ck_assert_uint_eq(index, 1);
    ck_assert_uint_eq(wfs_header_data_offset(header), 8 + sizeof two - 1);
    wfs_header_free(header);
}

END_TEST

START_TEST(names_and_values_may_hold_nul)
{
    struct wfs_header *header = RIGHT("{\"a\\u0000b\":" EMPTY_ENTRY ",\"a\":" EMPTY_ENTRY ",\"\":" EMPTY_ENTRY
                                      ",\"__metadata__\":{\"x\\u0000\":\"\\u0000\"}}",
                                      0, HEADER_OFFICIAL);
    size_t index = 0;
    ck_assert(wfs_header_find(header, "a\0b", 3, &index));
    struct wfs_tensor tensor = wfs_header_tensor(header, index);
    ck_assert_uint_eq(tensor.name_length, 3);
    ck_assert_mem_eq(tensor.name, "a\0b", 4);
    ck_assert(wfs_header_find(header, "", 0, &index));
    const char *key;
    const char *value;
    size_t key_length;
    size_t value_length;
    wfs_header_metadata(header, 0, &key, &key_length, &value, &value_length);
    ck_assert_uint_eq(key_length, 2);
    ck_assert_uint_eq(value_length, 1);
    ck_assert_mem_eq(key, "x\0\0", 3);
    ck_assert_mem_eq(value, "\0\0", 2);
    wfs_header_free(header);
}

END_TEST

START_TEST(a_long_shape_stays_whole)
{
    enum {
        RANK = 5000
    };

    struct bytes text = BYTES_EMPTY;
    bytes_string(&text, "{\"a\":{\"data_offsets\":[0,0],\"crc32\":4294967295,\"shape\":[0");
    for (unsigned i = 1; i < RANK; i++)
        bytes_printf(&text, ",%u", i);
    bytes_string(&text, "],\"dtype\":\"U8\"},\"b\":" EMPTY_ENTRY "}");
    struct wfs_header *header = decode_right(text.data, text.length, 0, HEADER_OFFICIAL);
    bytes_clear(&text);
    struct wfs_tensor tensor = wfs_header_tensor(header, 0);
    static uint64_t dims[RANK];
    ck_assert_uint_eq(tensor.rank, RANK);
    ck_assert_uint_eq(wfs_tensor_shape(&tensor, dims, RANK), RANK);
    for (unsigned i = 0; i < RANK; i++)
        ck_assert_uint_eq(dims[i], i);
    uint32_t crc = 0;
    ck_assert(header_crc(header, 0, &crc));
    ck_assert_uint_eq(crc, UINT32_MAX);
    ck_assert_tensor(header, 1, "b", WFS_U8, "[0]", 0, 0);
    wfs_header_free(header);
}

END_TEST

START_TEST(an_empty_header_has_nothing)
{
    struct wfs_header *header = NULL;
    ck_assert_int_eq(header_empty(&header), 0);
    ck_assert_uint_eq(wfs_header_count(header), 0);
    ck_assert_uint_eq(wfs_header_metadata_count(header), 0);
    ck_assert(!wfs_header_has_metadata(header));
    ck_assert(!wfs_header_find(header, "a", 1, NULL));
    ck_assert_uint_eq(wfs_header_data_offset(header), 16);
    wfs_header_free(header);
    wfs_header_free(NULL);
}

END_TEST

/* --- the first eight bytes ------------------------------------------------------------------------------ */

static const char *length_code(uint64_t length, size_t size, uint64_t file_size)
{
    unsigned char prefix[8];
    uint64_t found = 0;
    struct wfs_error err = {0};
    for (size_t i = 0; i < 8; i++)
        prefix[i] = (unsigned char)(length >> (8 * i));
    int r = header_length(prefix, size, file_size, &found, &err);
    ck_assert(r == 0 || r == -EINVAL);
    if (r == 0)
        ck_assert_uint_eq(found, length);
    return wfs_code_name(err.code);
}

START_TEST(the_length_is_checked_in_the_official_order)
{
    ck_assert_str_eq(length_code(0, 0, 0), "HeaderTooSmall");
    ck_assert_str_eq(length_code(0, 7, 7), "HeaderTooSmall");
    ck_assert_str_eq(length_code(0, 8, 8), "");
    ck_assert_str_eq(length_code(1, 8, 8), "InvalidHeaderLength");
    ck_assert_str_eq(length_code(2, 8, 10), "");
    ck_assert_str_eq(length_code(100000000, 8, 100000008), "");
    ck_assert_str_eq(length_code(100000000, 8, 100000007), "InvalidHeaderLength");
    ck_assert_str_eq(length_code(100000001, 8, UINT64_MAX), "HeaderTooLarge");
    ck_assert_str_eq(length_code(UINT64_MAX, 8, 8), "HeaderTooLarge");
    ck_assert_str_eq(length_code(UINT64_C(0xffffff000000003c), 8, 76), "HeaderTooLarge");
}

END_TEST

/* --- the installed call --------------------------------------------------------------------------------- */

static struct wfs_error parse_error(const char *bytes, size_t size, uint64_t file_size)
{
    struct wfs_error err = {0};
    struct wfs_header *header = NULL;
    ck_assert_int_eq(wfs_header_parse(bytes, size, file_size, &header, &err), -EINVAL);
    ck_assert_ptr_null(header);
    return err;
}

START_TEST(the_installed_call_copies_what_it_reads)
{
    char file[] = "\x36\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}  x";
    struct wfs_error err = {0};
    struct wfs_header *header = NULL;
    ck_assert_int_eq(wfs_header_parse(file, sizeof file - 1, sizeof file - 1, &header, &err), 0);
    ck_assert_str_eq(err.text, "");
    memset(file, 0, sizeof file);
    ck_assert_tensor(header, 0, "a", WFS_U8, "[]", 0, 1);
    wfs_header_free(header);
}

END_TEST

START_TEST(the_installed_call_says_what_the_file_is_instead)
{
    static const char pointer[] = "version https://git-lfs.github.com/spec/v1\n";
    struct wfs_error err = parse_error(pointer, sizeof pointer - 1, sizeof pointer - 1);
    ck_assert_int_eq(err.code, WFS_CODE_HEADER_TOO_LARGE);
    ck_assert_ptr_nonnull(strstr(err.text, "HeaderTooLarge: "));
    ck_assert_ptr_nonnull(strstr(err.text, "a Git LFS pointer"));
    err = parse_error("PK\3", 3, 3);
    ck_assert_int_eq(err.code, WFS_CODE_HEADER_TOO_SMALL);
    err = parse_error("\x40\0\0\0\0\0\0\0{}", 10, 100);
    ck_assert_int_eq(err.code, WFS_CODE_INVALID_HEADER_LENGTH);
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        tensors_are_in_the_order_of_their_bytes_and_found_by_name,
        names_and_values_may_hold_nul,
        a_long_shape_stays_whole,
        an_empty_header_has_nothing,
        the_length_is_checked_in_the_official_order,
        the_installed_call_copies_what_it_reads,
        the_installed_call_says_what_the_file_is_instead,
    };
    return RUN_TESTS("header", tests);
}
