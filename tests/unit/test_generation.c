/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/io.h"
#include "format/name.h"
#include "model/generation.h"
#include "unit/scratch.h"

#include <zlib.h>

static struct scratch scratch;

static void setup(void)
{
    scratch = scratch_open();
}

static void teardown(void)
{
    scratch_close(&scratch);
}

/* Writes prefix, `json` and `data_length` bytes that count 0, 1, 2, ... */
static void write_model(const char *name, const char *json, size_t data_length)
{
    auto_bytes bytes = BYTES_EMPTY;
    uint64_t length = strlen(json);
    bytes_append(&bytes, &length, sizeof length);
    bytes_string(&bytes, json);
    for (size_t i = 0; i < data_length; i++)
        bytes_char(&bytes, (char)i);
    scratch_write(&scratch, name, bytes.data, bytes.length);
}

static const char small_json[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                                 "\"b\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                                 "\"none\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[24,24]},"
                                 "\"a/x\":{\"dtype\":\"BF16\",\"shape\":[4],\"data_offsets\":[24,32]}}";

static struct generation *open_model(const char *name, uint64_t first_id)
{
    struct generation *generation = NULL;
    struct wfs_error err = {0};
    ck_assert_msg(generation_open(scratch.fd, name, 0, first_id, &generation, &err) == 0, "%s", err.text);
    return generation;
}

static struct generation *open_small(uint64_t first_id)
{
    write_model("model", small_json, 32);
    return open_model("model", first_id);
}

static size_t index_of(const struct generation *generation, const char *name)
{
    size_t index = 0;
    ck_assert(wfs_header_find(generation_header(generation), name, strlen(name), &index));
    return index;
}

/* Opens what cannot be opened; returns the sentence. */
static const char *refusal(const char *name, int errnum, enum wfs_code code)
{
    static struct wfs_error err;
    struct generation *generation = NULL;
    ck_assert_int_eq(generation_open(scratch.fd, name, 0, 1, &generation, &err), -errnum);
    ck_assert_ptr_null(generation);
    ck_assert_msg(err.code == code, "%s: %s", wfs_code_name(err.code), err.text);
    ck_assert_int_eq(generation_open(scratch.fd, name, 0, 1, &generation, NULL), -errnum);
    return err.text;
}

static void assert_begins(const char *text, const char *beginning)
{
    ck_assert_msg(strncmp(text, beginning, strlen(beginning)) == 0, "'%s' does not begin with '%s'", text,
                  beginning);
}

static void assert_has(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "'%s' does not say '%s'", text, part);
}

/* --- opening --- */

START_TEST(a_model_knows_its_tensors)
{
    struct generation *generation = open_small(100);
    ck_assert_uint_eq(generation_count(generation), 3);
    ck_assert(!generation_is_empty(generation));
    ck_assert_int_eq(generation_stat(generation)->st_size, (off_t)(8 + strlen(small_json) + 32));
    size_t index = index_of(generation, "a/x");
    struct wfs_tensor tensor = generation_tensor(generation, index);
    ck_assert_int_eq(tensor.dtype, WFS_BF16);
    ck_assert_uint_eq(generation_offset(generation, index), 8 + strlen(small_json) + 24);
    generation_unref(generation);
    generation_unref(NULL);
}

END_TEST

START_TEST(the_hash_is_the_crc_of_prefix_and_header)
{
    struct generation *generation = open_small(0);
    uint64_t length = strlen(small_json);
    uLong crc = crc32(0, (const Bytef *)&length, sizeof length);
    crc = crc32(crc, (const Bytef *)small_json, (uInt)length);
    ck_assert_uint_eq(generation_header_hash(generation), crc);
    generation_unref(generation);
}

END_TEST

START_TEST(a_model_without_a_file_is_empty)
{
    struct generation *generation = NULL;
    size_t index = 0;
    ck_assert_int_eq(generation_empty(&generation, NULL), 0);
    ck_assert(generation_is_empty(generation));
    ck_assert_ptr_null(generation_file(generation));
    ck_assert_uint_eq(generation_count(generation), 0);
    ck_assert(S_ISREG(generation_stat(generation)->st_mode));
    ck_assert(!generation_find_id(generation, 0, &index));
    ck_assert(!generation_find_file(generation, "a", &index));
    struct image *image = generation_whole_image(generation);
    ck_assert_uint_eq(image_length(image), 0);
    image_unref(image);
    image = generation_document_image(generation);
    ck_assert_uint_ge(image_length(image), 3);
    image_unref(image);
    generation_unref(generation);
}

END_TEST

START_TEST(an_adopted_descriptor_is_closed_in_any_case)
{
    struct generation *generation = NULL;
    struct wfs_error err = {0};
    write_model("model", small_json, 31);
    int fd = openat(scratch.fd, "model", O_RDONLY);
    ck_assert_int_eq(generation_adopt(fd, "some/path", 0, 0, calloc(3, sizeof(struct generation_version)),
                                      &generation, &err),
                     -EINVAL);
    assert_begins(err.text, "some/path: MetadataIncompleteBuffer: ");
    ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
    fd = open("/", O_RDONLY | O_DIRECTORY);
    ck_assert_int_eq(generation_adopt(fd, "some/path", 0, 0, NULL, &generation, &err), -EINVAL);
    assert_begins(err.text, "some/path: ");
    ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
}

END_TEST

START_TEST(a_file_replaced_or_removed_goes_on_being_read)
{
    struct generation *generation = open_small(0);
    ck_assert_int_eq(unlinkat(scratch.fd, "model", 0), 0);
    struct image *image = generation_tensor_image(generation, index_of(generation, "a/x"));
    char bytes[8];
    ck_assert_int_eq(image_read(image, bytes, 8, 0), 8);
    ck_assert_int_eq(bytes[0], 24);
    generation_unref(generation);
    ck_assert_int_eq(image_read(image, bytes, 8, 0), 8); /* the image holds the file */
    image_unref(image);
}

END_TEST

/* --- refusals --- */

START_TEST(broken_rules_are_told_with_path_name_and_figures)
{
    scratch_write(&scratch, "short", "1234567", 7);
    assert_begins(refusal("short", EINVAL, WFS_CODE_HEADER_TOO_SMALL), "short: HeaderTooSmall: ");
    scratch_write(&scratch, "empty", "", 0);
    assert_begins(refusal("empty", EINVAL, WFS_CODE_HEADER_TOO_SMALL), "empty: HeaderTooSmall: ");
    scratch_write(&scratch, "large", "\x01\xe1\xf5\x05\0\0\0\0{}", 10); /* 100,000,001 */
    assert_begins(refusal("large", EINVAL, WFS_CODE_HEADER_TOO_LARGE), "large: HeaderTooLarge: ");
    write_model("hole", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}", 2);
    assert_begins(refusal("hole", EINVAL, WFS_CODE_INVALID_OFFSET), "hole: tensor 'a': InvalidOffset: ");
    write_model("json", "{\"a\":}", 0);
    assert_begins(refusal("json", EINVAL, WFS_CODE_INVALID_HEADER_DESERIALIZATION),
                  "json: tensor 'a': InvalidHeaderDeserialization: ");
    assert_begins(refusal("none", ENOENT, WFS_CODE_IO_FAILED), "none: No such file or directory");
}

END_TEST

START_TEST(a_truncated_download_is_told_with_both_sizes)
{
    scratch_write(&scratch, "header", "\xe8\x03\0\0\0\0\0\0{\"a\":", 13);
    const char *text = refusal("header", EINVAL, WFS_CODE_INVALID_HEADER_LENGTH);
    assert_begins(text, "header: InvalidHeaderLength: ");
    assert_has(text, "1000");
    assert_has(text, "incomplete download");
    write_model("data", small_json, 30);
    text = refusal("data", EINVAL, WFS_CODE_METADATA_INCOMPLETE_BUFFER);
    char found[64];
    snprintf(found, sizeof found, "%zu", 8 + strlen(small_json) + 30);
    assert_has(text, found);
    snprintf(found, sizeof found, "%zu", 8 + strlen(small_json) + 32);
    assert_has(text, found);
}

END_TEST

START_TEST(a_file_that_is_something_else_is_named)
{
    static const char pointer[] = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    scratch_write(&scratch, "pointer", pointer, sizeof pointer - 1);
    const char *text = refusal("pointer", EINVAL, WFS_CODE_HEADER_TOO_LARGE);
    assert_begins(text, "pointer: HeaderTooLarge: ");
    assert_has(text, "; this is ");
    assert_has(text, "Git LFS");
    scratch_write(&scratch, "zip", "PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
    assert_has(refusal("zip", EINVAL, WFS_CODE_HEADER_TOO_LARGE), "zip archive");
}

END_TEST

START_TEST(what_is_no_regular_file_is_refused_without_waiting)
{
    ck_assert_int_eq(mkfifoat(scratch.fd, "fifo", 0600), 0);
    assert_begins(refusal("fifo", EINVAL, WFS_CODE_USAGE), "fifo: is a FIFO");
    assert_begins(refusal(".", EINVAL, WFS_CODE_USAGE), ".: is a directory");
}

END_TEST

START_TEST(a_path_cannot_speak_to_the_terminal)
{
    scratch_write(&scratch, "a\x1b[2J", "", 0);
    assert_begins(refusal("a\x1b[2J", EINVAL, WFS_CODE_HEADER_TOO_SMALL), "a\\x1b[2J: ");
}

END_TEST

START_TEST(a_huge_sparse_file_is_read_by_its_header_only)
{
    char json[128];
    uint64_t size = (uint64_t)1 << 42;
    snprintf(json, sizeof json, "{\"a\":{\"dtype\":\"U8\",\"shape\":[%llu],\"data_offsets\":[0,%llu]}}",
             (unsigned long long)size, (unsigned long long)size);
    write_model("model", json, 0);
    int fd = scratch_open_file(&scratch, "model");
    ck_assert_int_eq(ftruncate(fd, (off_t)(size + 8 + strlen(json))), 0);
    close(fd);
    struct generation *generation = open_model("model", 0);
    struct image *image = generation_tensor_image(generation, 0);
    ck_assert_uint_eq(image_length(image), size);
    image_unref(image);
    generation_unref(generation);
}

END_TEST

/* --- ids --- */

START_TEST(ids_count_from_the_first)
{
    struct generation *generation = open_small(100);
    size_t index = 99;
    for (size_t i = 0; i < 3; i++) {
        struct generation_version version = generation_version(generation, i);
        ck_assert_uint_eq(version.id, 100 + i);
        ck_assert_int_eq(version.mtime.tv_nsec, generation_stat(generation)->st_mtim.tv_nsec);
        ck_assert(generation_find_id(generation, 100 + i, &index));
        ck_assert_uint_eq(index, i);
    }
    ck_assert(!generation_find_id(generation, 99, &index));
    ck_assert(!generation_find_id(generation, 103, &index));
    ck_assert(!generation_find_id(generation, UINT64_MAX, &index));
    generation_unref(generation);
}

END_TEST

START_TEST(given_ids_and_times_are_found)
{
    write_model("model", small_json, 32);
    struct generation_version *versions = calloc(3, sizeof *versions);
    versions[0] = (struct generation_version){
        7000, {1, 2}
    };
    versions[1] = (struct generation_version){
        3, {3, 4}
    };
    versions[2] = (struct generation_version){
        1ULL << 55, {5, 6}
    };
    struct generation *generation = NULL;
    int fd = openat(scratch.fd, "model", O_RDONLY);
    ck_assert_int_eq(generation_adopt(fd, "model", 0, 0, versions, &generation, NULL), 0);
    size_t index = 99;
    ck_assert(generation_find_id(generation, 7000, &index));
    ck_assert_uint_eq(index, 0);
    ck_assert(generation_find_id(generation, 3, &index));
    ck_assert_uint_eq(index, 1);
    ck_assert(generation_find_id(generation, 1ULL << 55, &index));
    ck_assert_uint_eq(index, 2);
    ck_assert(!generation_find_id(generation, 0, &index));
    ck_assert(!generation_find_id(generation, 4, &index));
    ck_assert(!generation_find_id(generation, UINT64_MAX, &index));
    ck_assert_int_eq(generation_version(generation, 1).mtime.tv_sec, 3);
    generation_unref(generation);
}

END_TEST

/* --- file names --- */

START_TEST(a_file_name_finds_its_tensor)
{
    struct generation *generation = open_small(0);
    size_t index = 99;
    ck_assert(generation_find_file(generation, "a%2Fx", &index));
    ck_assert_uint_eq(index, index_of(generation, "a/x"));
    ck_assert(generation_find_file(generation, "b", &index));
    ck_assert(!generation_find_file(generation, "a/x", &index));
    ck_assert(!generation_find_file(generation, "a%2fx", &index)); /* upper case only */
    ck_assert(!generation_find_file(generation, "%62", &index));
    ck_assert(!generation_find_file(generation, "c", &index));
    ck_assert(!generation_find_file(generation, "", &index));
    ck_assert(!generation_find_file(generation, ".b", &index));
    char name[5000];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    ck_assert(!generation_find_file(generation, name, &index));
    generation_unref(generation);
}

END_TEST

/* A model of tensors whose names are `length` times a letter and a number. */
static struct generation *long_names(size_t count, size_t length)
{
    auto_bytes json = BYTES_EMPTY;
    bytes_char(&json, '{');
    for (size_t i = 0; i < count; i++) {
        bytes_string(&json, i ? ",\"" : "\"");
        bytes_fill(&json, 'n', length);
        bytes_printf(&json, "%zu\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%zu,%zu]}", i, i, i + 1);
    }
    bytes_char(&json, '}');
    write_model("model", json.data, count);
    return open_model("model", 0);
}

START_TEST(hashed_file_names_find_their_tensors)
{
    struct generation *generation = long_names(300, 300);
    for (size_t i = 0; i < 300; i++) {
        char file_name[FILE_NAME_BUFFER];
        size_t index = 999;
        struct wfs_tensor tensor = generation_tensor(generation, i);
        name_encode(tensor.name, tensor.name_length, file_name);
        ck_assert(generation_find_file(generation, file_name, &index));
        ck_assert_uint_eq(index, i);
        char *digit = file_name + strlen(file_name) - 1;
        *digit = *digit == '0' ? '1' : '0';
        ck_assert(!generation_find_file(generation, file_name, &index));
    }
    generation_unref(generation);
}

END_TEST

START_TEST(long_names_that_still_fit_are_found)
{
    struct generation *generation = long_names(10, 250);
    for (size_t i = 0; i < 10; i++) {
        char file_name[FILE_NAME_BUFFER];
        size_t index = 999;
        struct wfs_tensor tensor = generation_tensor(generation, i);
        name_encode(tensor.name, tensor.name_length, file_name);
        ck_assert_uint_eq(strlen(file_name), 251);
        ck_assert(generation_find_file(generation, file_name, &index));
        ck_assert_uint_eq(index, i);
    }
    generation_unref(generation);
}

END_TEST

/* --- images --- */

START_TEST(a_tensors_image_is_its_bytes)
{
    struct generation *generation = open_small(0);
    struct image *image = generation_tensor_image(generation, index_of(generation, "a/x"));
    char bytes[9];
    ck_assert_uint_eq(image_length(image), 8);
    ck_assert_uint_eq(image_part_count(image), 1);
    ck_assert_int_eq(image_read(image, bytes, 9, 0), 8);
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(bytes[i], 24 + i);
    image_unref(image);
    image = generation_tensor_image(generation, index_of(generation, "none"));
    ck_assert_uint_eq(image_length(image), 0);
    ck_assert_uint_eq(image_part_count(image), 0);
    image_unref(image);
    generation_unref(generation);
}

END_TEST

START_TEST(an_npy_image_is_a_header_and_the_same_bytes)
{
    struct generation *generation = open_small(0);
    struct image *image = generation_npy_image(generation, index_of(generation, "b"));
    char bytes[128 + 24];
    ck_assert_uint_eq(image_length(image), sizeof bytes);
    ck_assert_int_eq(image_read(image, bytes, sizeof bytes, 0), sizeof bytes);
    ck_assert_mem_eq(bytes, "\x93NUMPY", 6);
    bytes[127] = '\0';
    assert_has(bytes + 10, "(2, 3)");
    ck_assert_int_eq(bytes[128], 0);
    ck_assert_int_eq(bytes[151], 23);
    image_unref(image);
    image = generation_npy_image(generation, index_of(generation, "none"));
    ck_assert_uint_eq(image_length(image), 128);
    image_unref(image);
    generation_unref(generation);
}

END_TEST

START_TEST(the_whole_image_is_the_file)
{
    struct generation *generation = open_small(0);
    struct image *image = generation_whole_image(generation);
    size_t length = 8 + strlen(small_json) + 32;
    char bytes[1024];
    ck_assert_uint_eq(image_part_count(image), 1);
    ck_assert_int_eq(image_read(image, bytes, sizeof bytes, 0), (ssize_t)length);
    ck_assert(scratch_holds(&scratch, "model", bytes, length));
    image_unref(image);
    generation_unref(generation);
}

END_TEST

START_TEST(the_documents_size_is_known_without_keeping_it)
{
    struct generation *generation = open_small(0);
    uint64_t size = generation_document_size(generation);
    struct image *image = generation_document_image(generation);
    char bytes[1024] = "";
    ck_assert_uint_eq(image_length(image), size);
    ck_assert_uint_eq(generation_document_size(generation), size);
    ck_assert_int_eq(image_read(image, bytes, sizeof bytes - 1, 0), (ssize_t)size);
    ck_assert_int_eq(bytes[size - 1], '\n');
    assert_has(bytes, "\"__metadata__\"");
    assert_has(bytes, "\"a/x\"");
    image_unref(image);
    generation_unref(generation);
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_model_knows_its_tensors,
        the_hash_is_the_crc_of_prefix_and_header,
        a_model_without_a_file_is_empty,
        an_adopted_descriptor_is_closed_in_any_case,
        a_file_replaced_or_removed_goes_on_being_read,
        broken_rules_are_told_with_path_name_and_figures,
        a_truncated_download_is_told_with_both_sizes,
        a_file_that_is_something_else_is_named,
        what_is_no_regular_file_is_refused_without_waiting,
        a_path_cannot_speak_to_the_terminal,
        a_huge_sparse_file_is_read_by_its_header_only,
        ids_count_from_the_first,
        given_ids_and_times_are_found,
        a_file_name_finds_its_tensor,
        hashed_file_names_find_their_tensors,
        long_names_that_still_fit_are_found,
        a_tensors_image_is_its_bytes,
        an_npy_image_is_a_header_and_the_same_bytes,
        the_whole_image_is_the_file,
        the_documents_size_is_known_without_keeping_it,
    };
    return RUN_TESTS_WITH("generation", tests, setup, teardown);
}
