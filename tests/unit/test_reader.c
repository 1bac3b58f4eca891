/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/scratch.h"

#include <weightfs/weightfs.h>

static struct scratch scratch;
static char path[300];
static struct wfs_error err;
static struct wfs_reader *reader;

static void setup(void)
{
    scratch = scratch_open();
    snprintf(path, sizeof path, "%s/m.safetensors", scratch.path);
    err = (struct wfs_error){0};
    reader = NULL;
}

static void teardown(void)
{
    wfs_reader_close(reader);
    scratch_close(&scratch);
}

#define OK(call) ck_assert_msg((call) == 0, "%s", err.text)

/* aprender's own file (format.md 4.3): 127 bytes of header, not padded. */
static const char unpadded[] = "\x7f\0\0\0\0\0\0\0"
                               "{\"coefficients\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
                               "\"intercept\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}"
                               "\0\0\x80\x3f\0\0\0\x40\0\0\0\0";
#define UNPADDED_SIZE (sizeof unpadded - 1)

/* realizar's vector: coefficients 2, 3, 1.5 and intercept 0.5. */
static const char realizar[] = "\x81\0\0\0\0\0\0\0"
                               "{\"coefficients\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]},"
                               "\"intercept\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[12,16]}}"
                               "\0\0\0\x40\0\0\x40\x40\0\0\xc0\x3f\0\0\0\x3f";

static void open_bytes(const void *bytes, size_t size)
{
    scratch_write(&scratch, "m.safetensors", bytes, size);
    OK(wfs_reader_open(path, 0, &reader, &err));
}

static struct wfs_tensor find(const char *name)
{
    struct wfs_tensor tensor;
    OK(wfs_reader_find(reader, name, &tensor, &err));
    return tensor;
}

START_TEST(reads_aprenders_unpadded_file)
{
    float values[2] = {0};
    uint64_t dims[1] = {0};
    ck_assert_uint_eq(UNPADDED_SIZE, 147);
    open_bytes(unpadded, UNPADDED_SIZE);
    struct wfs_tensor tensor = find("coefficients");
    ck_assert_int_eq(tensor.dtype, WFS_F32);
    ck_assert_uint_eq(wfs_tensor_shape(&tensor, dims, 1), 1);
    ck_assert_uint_eq(dims[0], 2);
    OK(wfs_reader_read(reader, &tensor, 0, values, sizeof values, &err));
    ck_assert_float_eq(values[0], 1.0F);
    ck_assert_float_eq(values[1], 2.0F);
}

END_TEST

START_TEST(reads_realizars_file)
{
    float value = 0;
    ck_assert_uint_eq(sizeof realizar - 1, 153);
    open_bytes(realizar, sizeof realizar - 1);
    struct wfs_tensor tensor = find("coefficients");
    OK(wfs_reader_read(reader, &tensor, 8, &value, sizeof value, &err));
    ck_assert_float_eq(value, 1.5F);
    tensor = find("intercept");
    OK(wfs_reader_read(reader, &tensor, 0, &value, sizeof value, &err));
    ck_assert_float_eq(value, 0.5F);
}

END_TEST

START_TEST(a_missing_tensor_is_named)
{
    struct wfs_tensor tensor;
    open_bytes(unpadded, UNPADDED_SIZE);
    ck_assert_int_eq(wfs_reader_find(reader, "slope", &tensor, &err), -ENOENT);
    ck_assert_int_eq(err.code, WFS_CODE_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.text, "'slope'"));
}

END_TEST

START_TEST(nothing_beyond_a_tensors_end_is_read)
{
    char byte;
    open_bytes(unpadded, UNPADDED_SIZE);
    struct wfs_tensor tensor = find("coefficients");
    ck_assert_int_eq(wfs_reader_read(reader, &tensor, 8, &byte, 1, &err), -ERANGE);
    ck_assert_int_eq(wfs_reader_read(reader, &tensor, 9, &byte, 0, &err), -ERANGE);
    ck_assert_int_eq(wfs_reader_read(reader, &tensor, UINT64_MAX, &byte, 1, &err), -ERANGE);
    OK(wfs_reader_read(reader, &tensor, 8, &byte, 0, &err));
}

END_TEST

START_TEST(a_mapped_tensor_is_its_bytes)
{
    const void *bytes = NULL;
    open_bytes(unpadded, UNPADDED_SIZE);
    struct wfs_tensor tensor = find("coefficients");
    OK(wfs_reader_map(reader, &tensor, &bytes, &err));
    ck_assert_mem_eq(bytes, unpadded + UNPADDED_SIZE - 12, 8);
    tensor = find("intercept");
    OK(wfs_reader_map(reader, &tensor, &bytes, &err));
    ck_assert_mem_eq(bytes, unpadded + UNPADDED_SIZE - 4, 4);
}

END_TEST

START_TEST(a_range_can_be_read_without_the_library)
{
    uint64_t offset = 0;
    uint64_t length = 0;
    char bytes[8];
    open_bytes(unpadded, UNPADDED_SIZE);
    struct wfs_tensor tensor = find("coefficients");
    int fd = wfs_reader_range(reader, &tensor, &offset, &length);
    ck_assert_uint_eq(offset, 135);
    ck_assert_uint_eq(length, 8);
    ck_assert_int_eq(pread(fd, bytes, 8, (off_t)offset), 8);
    ck_assert_mem_eq(bytes, unpadded + 135, 8);
}

END_TEST

START_TEST(a_descriptor_stays_the_callers)
{
    scratch_write(&scratch, "m.safetensors", unpadded, UNPADDED_SIZE);
    int fd = open(path, O_RDONLY);
    OK(wfs_reader_open_fd(fd, "given", 0, &reader, &err));
    ck_assert_int_eq(close(fd), 0);
    ck_assert_uint_eq(wfs_header_count(wfs_reader_header(reader)), 2);
    char bytes[8];
    struct wfs_tensor tensor = find("coefficients");
    OK(wfs_reader_read(reader, &tensor, 0, bytes, 8, &err));
}

END_TEST

START_TEST(a_file_replaced_by_rename_goes_on_being_read)
{
    char other[300];
    float value = 0;
    open_bytes(unpadded, UNPADDED_SIZE);
    snprintf(other, sizeof other, "%s/other", scratch.path);
    scratch_write(&scratch, "other", "new", 3);
    ck_assert_int_eq(rename(other, path), 0);
    struct wfs_tensor tensor = find("coefficients");
    OK(wfs_reader_read(reader, &tensor, 4, &value, 4, &err));
    ck_assert_float_eq(value, 2.0F);
}

END_TEST

START_TEST(a_file_cut_in_place_is_noticed)
{
    char bytes[8];
    const void *map = NULL;
    open_bytes(unpadded, UNPADDED_SIZE);
    struct wfs_tensor tensor = find("coefficients");
    ck_assert_int_eq(truncate(path, 140), 0);
    ck_assert_int_eq(wfs_reader_read(reader, &tensor, 0, bytes, 8, &err), -ESTALE);
    ck_assert_int_eq(err.code, WFS_CODE_SOURCE_CHANGED);
    ck_assert_int_eq(wfs_reader_map(reader, &tensor, &map, &err), -ESTALE);
}

END_TEST

START_TEST(a_broken_file_tells_its_rule)
{
    scratch_write(&scratch, "m.safetensors", unpadded, UNPADDED_SIZE - 1);
    ck_assert_int_eq(wfs_reader_open(path, 0, &reader, &err), -EINVAL);
    ck_assert_int_eq(err.code, WFS_CODE_METADATA_INCOMPLETE_BUFFER);
    ck_assert_ptr_eq(strstr(err.text, path), err.text);
    ck_assert_int_eq(wfs_reader_open("/nonexistent/x", 0, &reader, &err), -ENOENT);
    ck_assert_int_eq(wfs_reader_open(scratch.path, 0, &reader, &err) < 0, 1);
}

END_TEST

START_TEST(stsw_files_are_read_on_request)
{
    static const char json[] = "{\"__version__\":\"1.0\",\"a\":{\"dtype\":\"U8\",\"shape\":[9],"
                               "\"data_offsets\":[0,9],\"crc32\":3421780262}}";
    char file[256] = {sizeof json - 1};
    memcpy(file + 8, json, sizeof json - 1);
    memcpy(file + 8 + sizeof json - 1, "123456789", 9); /* and zeros up to the end */
    uint32_t crc = 0;
    scratch_write(&scratch, "m.safetensors", file, sizeof file);
    ck_assert_int_eq(wfs_reader_open(path, 0, &reader, &err), -EINVAL);
    ck_assert_int_eq(err.code, WFS_CODE_INVALID_HEADER_DESERIALIZATION);
    OK(wfs_reader_open(path, WFS_READ_STSW, &reader, &err));
    char bytes[9];
    struct wfs_tensor tensor = find("a");
    OK(wfs_reader_read(reader, &tensor, 0, bytes, 9, &err));
    ck_assert_mem_eq(bytes, "123456789", 9);
    ck_assert(wfs_reader_crc(reader, 0, &crc));
    ck_assert_uint_eq(crc, 0xcbf43926);
}

END_TEST

int main(void)
{
    const TTest *tests[] = {
        reads_aprenders_unpadded_file,  reads_realizars_file,
        a_missing_tensor_is_named,      nothing_beyond_a_tensors_end_is_read,
        a_mapped_tensor_is_its_bytes,   a_range_can_be_read_without_the_library,
        a_descriptor_stays_the_callers, a_file_replaced_by_rename_goes_on_being_read,
        a_file_cut_in_place_is_noticed, a_broken_file_tells_its_rule,
        stsw_files_are_read_on_request,
    };
    return RUN_TESTS_WITH("reader", tests, setup, teardown);
}
