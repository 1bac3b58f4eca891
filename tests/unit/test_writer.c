/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/scratch.h"

#include <weightfs/weightfs.h>

static struct scratch scratch;
static char path[300];
static struct wfs_error err;
static struct wfs_writer *writer;

static const uint64_t shape_2[] = {2};
static const uint64_t shape_1[] = {1};
static const float ones_and_twos[] = {1.0F, 2.0F};
static const float zero[] = {0.0F};

static void setup(void)
{
    scratch = scratch_open();
    snprintf(path, sizeof path, "%s/m.safetensors", scratch.path);
    err = (struct wfs_error){0};
    writer = NULL;
}

static void teardown(void)
{
    wfs_writer_close(writer);
    scratch_close(&scratch);
}

#define OK(call) ck_assert_msg((call) == 0, "%s", err.text)

/* The call is refused as misuse, with a sentence that says so. */
#define MISUSE(call, words)                                                   \
    do {                                                                      \
        ck_assert_int_eq((call), -EINVAL);                                    \
        ck_assert_int_eq(err.code, WFS_CODE_WRITER_MISUSE);                   \
        ck_assert_msg(strstr(err.text, words) != NULL, "said: %s", err.text); \
    } while (0)

static void create(const struct wfs_writer_options *options)
{
    OK(wfs_writer_create(path, options, &writer, &err));
}

/* aprender's model: coefficients 1 and 2, intercept 0. */
static void declare_regression(void)
{
    OK(wfs_writer_declare(writer, "intercept", WFS_F32, 1, shape_1, &err));
    OK(wfs_writer_declare(writer, "coefficients", WFS_F32, 1, shape_2, &err));
}

static void write_regression(void)
{
    OK(wfs_writer_append(writer, "intercept", zero, sizeof zero, &err));
    OK(wfs_writer_append(writer, "coefficients", ones_and_twos, sizeof ones_and_twos, &err));
}

/* format.md 4.3: aprender's header of 127 bytes, padded to 128 as the official library does. */
static const char regression[] = "\x80\0\0\0\0\0\0\0"
                                 "{\"coefficients\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
                                 "\"intercept\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}} "
                                 "\0\0\x80\x3f\0\0\0\x40\0\0\0\0";

START_TEST(writes_the_bytes_of_the_official_library)
{
    create(NULL);
    declare_regression();
    write_regression();
    OK(wfs_writer_finish(writer, &err));
    ck_assert(scratch_holds(&scratch, "m.safetensors", regression, sizeof regression - 1));
}

END_TEST

START_TEST(nothing_is_there_before_the_finish_and_after_an_abort)
{
    create(NULL);
    declare_regression();
    write_regression();
    ck_assert_int_eq(access(path, F_OK), -1);
    wfs_writer_close(writer);
    writer = NULL;
    ck_assert_int_eq(scratch_count(&scratch), 0);
}

END_TEST

START_TEST(an_abort_leaves_the_old_file)
{
    scratch_write(&scratch, "m.safetensors", "old", 3);
    create(NULL);
    declare_regression();
    write_regression();
    wfs_writer_close(writer);
    writer = NULL;
    ck_assert(scratch_holds(&scratch, "m.safetensors", "old", 3));
    ck_assert_int_eq(scratch_count(&scratch), 1);
}

END_TEST

START_TEST(replacing_keeps_the_mode)
{
    struct stat st;
    scratch_write(&scratch, "m.safetensors", "old", 3);
    ck_assert_int_eq(chmod(path, 0640), 0);
    create(NULL);
    declare_regression();
    write_regression();
    OK(wfs_writer_finish(writer, &err));
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0640);
}

END_TEST

START_TEST(exclusive_refuses_an_existing_file)
{
    struct wfs_writer_options options = {.exclusive = 1};
    scratch_write(&scratch, "m.safetensors", "old", 3);
    ck_assert_int_eq(wfs_writer_create(path, &options, &writer, &err), -EEXIST);
    ck_assert_int_eq(err.code, WFS_CODE_TARGET_EXISTS);
}

END_TEST

START_TEST(a_symbolic_link_is_refused)
{
    ck_assert_int_eq(symlink("elsewhere", path), 0);
    ck_assert_int_eq(wfs_writer_create(path, NULL, &writer, &err), -EPERM);
    ck_assert_int_eq(err.code, WFS_CODE_NOT_PERMITTED);
}

END_TEST

START_TEST(a_blob_of_a_download_cache_is_refused)
{
    static const char digest[] = "0123456789abcdef0123456789abcdef01234567";
    char blob[400];
    snprintf(blob, sizeof blob, "%s/blobs", scratch.path);
    ck_assert_int_eq(mkdir(blob, 0755), 0);
    snprintf(blob, sizeof blob, "%s/blobs/%s", scratch.path, digest);
    close(open(blob, O_CREAT | O_WRONLY, 0644));
    ck_assert_int_eq(wfs_writer_create(blob, NULL, &writer, &err), -EPERM);
    ck_assert_ptr_nonnull(strstr(err.text, "cache"));
    unlink(blob);
    *strrchr(blob, '/') = '\0';
    rmdir(blob);
}

END_TEST

START_TEST(blocks_come_in_any_order_and_size)
{
    static const size_t buffers[] = {1, 3, 4, 7, 1 << 20};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) {
        struct wfs_writer_options options = {.buffer_size = buffers[i]};
        create(&options);
        declare_regression();
        OK(wfs_writer_write_at(writer, "coefficients", 5, (const char *)ones_and_twos + 5, 3, &err));
        OK(wfs_writer_append(writer, "intercept", zero, 1, &err));
        OK(wfs_writer_write_at(writer, "coefficients", 0, ones_and_twos, 5, &err));
        OK(wfs_writer_append(writer, "intercept", (const char *)zero + 1, 3, &err));
        OK(wfs_writer_finish(writer, &err));
        ck_assert(scratch_holds(&scratch, "m.safetensors", regression, sizeof regression - 1));
        wfs_writer_close(writer);
        writer = NULL;
    }
}

END_TEST

START_TEST(misuse_names_the_tensor_and_loses_nothing)
{
    create(NULL);
    declare_regression();
    MISUSE(wfs_writer_declare(writer, "intercept", WFS_F32, 1, shape_1, &err), "'intercept': declared twice");
    MISUSE(wfs_writer_append(writer, "slope", zero, 4, &err), "'slope'");
    MISUSE(wfs_writer_append(writer, "intercept", ones_and_twos, 8, &err),
           "'intercept': 8 bytes at 0 are too many");
    OK(wfs_writer_append(writer, "coefficients", ones_and_twos, 4, &err));
    MISUSE(wfs_writer_declare(writer, "late", WFS_F32, 1, shape_1, &err), "'late'");
    MISUSE(wfs_writer_metadata(writer, "late", "x", &err), "metadata");
    MISUSE(wfs_writer_finish(writer, &err),
           "'intercept': misses bytes from 0 on, 0 of 4 were written; so do 1 others");
    OK(wfs_writer_append(writer, "intercept", zero, 4, &err));
    MISUSE(wfs_writer_finish(writer, &err), "'coefficients': misses bytes from 4 on, 4 of 8 were written");
    MISUSE(wfs_writer_write_at(writer, "coefficients", 9, zero, 0, &err), "'coefficients'");
    OK(wfs_writer_append(writer, "coefficients", ones_and_twos + 1, 4, &err));
    OK(wfs_writer_finish(writer, &err));
    ck_assert(scratch_holds(&scratch, "m.safetensors", regression, sizeof regression - 1));
    MISUSE(wfs_writer_finish(writer, &err), "twice");
    MISUSE(wfs_writer_append(writer, "intercept", zero, 4, &err), "after the finish");
}

END_TEST

START_TEST(what_nobody_could_read_is_refused)
{
    static const uint64_t odd[] = {3};
    static const uint64_t huge[] = {UINT64_MAX, 2};
    create(NULL);
    ck_assert_int_eq(wfs_writer_declare(writer, "__metadata__", WFS_F32, 1, shape_1, &err), -EINVAL);
    ck_assert_int_eq(err.code, WFS_CODE_NAME_RESERVED);
    ck_assert_int_eq(wfs_writer_declare(writer, "a", WFS_F4, 1, odd, &err), -EINVAL);
    ck_assert_int_eq(err.code, WFS_CODE_MISALIGNED_SLICE);
    ck_assert_int_eq(wfs_writer_declare(writer, "a", WFS_U8, 2, huge, &err), -EINVAL);
    ck_assert_int_eq(err.code, WFS_CODE_VALIDATION_OVERFLOW);
    MISUSE(wfs_writer_declare(writer, "a\xff", WFS_U8, 1, odd, &err), "UTF-8");
    MISUSE(wfs_writer_declare(writer, "a", WFS_DTYPE_COUNT, 1, odd, &err), "dtype");
    OK(wfs_writer_declare(writer, "a", WFS_U8, 1, odd, &err));
}

END_TEST

START_TEST(a_header_beyond_the_limit_is_refused)
{
    size_t length = 99999900;
    char *value = malloc(length + 101);
    ck_assert_ptr_nonnull(value);
    memset(value, 'x', length + 100);
    value[length + 100] = '\0';
    create(NULL);
    OK(wfs_writer_metadata(writer, "k", value, &err));
    ck_assert_int_eq(wfs_writer_finish(writer, &err), -EINVAL);
    ck_assert_int_eq(err.code, WFS_CODE_HEADER_TOO_LARGE);
    ck_assert_int_eq(access(path, F_OK), -1);
    free(value);
}

END_TEST

START_TEST(an_empty_model_is_the_official_16_bytes)
{
    create(NULL);
    OK(wfs_writer_finish(writer, &err));
    ck_assert(scratch_holds(&scratch, "m.safetensors", "\x08\0\0\0\0\0\0\0{}      ", 16));
}

END_TEST

START_TEST(metadata_is_sorted_and_a_key_replaced)
{
    static const char expected[] =
        "\x30\0\0\0\0\0\0\0{\"__metadata__\":{\"a\":\"2\",\"format\":\"pt\",\"z\":\"\"}} ";
    create(NULL);
    OK(wfs_writer_metadata(writer, "z", "", &err));
    OK(wfs_writer_metadata(writer, "a", "1", &err));
    OK(wfs_writer_metadata(writer, "format", "pt", &err));
    OK(wfs_writer_metadata(writer, "a", "2", &err));
    OK(wfs_writer_finish(writer, &err));
    ck_assert(scratch_holds(&scratch, "m.safetensors", expected, sizeof expected - 1));
}

END_TEST

START_TEST(the_data_can_be_aligned)
{
    struct wfs_writer_options options = {.layout = "align=4096"};
    struct wfs_reader *reader = NULL;
    create(&options);
    declare_regression();
    write_regression();
    OK(wfs_writer_finish(writer, &err));
    OK(wfs_reader_open(path, 0, &reader, &err));
    ck_assert_uint_eq(wfs_header_data_offset(wfs_reader_header(reader)), 4096);
    wfs_reader_close(reader);
    wfs_writer_close(writer);
    writer = NULL;
    options.layout = "align=3";
    MISUSE(wfs_writer_create(path, &options, &writer, &err), "align=3");
}

END_TEST

START_TEST(checksums_are_right_whatever_the_order)
{
    struct wfs_writer_options options = {.crc = 1};
    struct wfs_reader *reader = NULL;
    uint32_t crc = 0;
    size_t index = 0;
    static const uint64_t shape_9[] = {9};
    create(&options);
    OK(wfs_writer_declare(writer, "a", WFS_U8, 1, shape_9, &err));
    OK(wfs_writer_declare(writer, "b", WFS_U8, 1, shape_9, &err));
    OK(wfs_writer_write_at(writer, "b", 4, "56789", 5, &err));
    OK(wfs_writer_append(writer, "a", "123456789", 9, &err));
    OK(wfs_writer_write_at(writer, "b", 0, "12345", 5, &err)); /* the 5 comes twice */
    OK(wfs_writer_finish(writer, &err));
    OK(wfs_reader_open(path, 0, &reader, &err));
    for (size_t i = 0; i < 2; i++) {
        ck_assert(wfs_header_find(wfs_reader_header(reader), i ? "b" : "a", 1, &index));
        ck_assert(wfs_reader_crc(reader, index, &crc));
        ck_assert_uint_eq(crc, 0xcbf43926);
    }
    wfs_reader_close(reader);
}

END_TEST

static int count_calls(void *context, uint64_t written, uint64_t total)
{
    ck_assert_uint_le(written, total);
    return ++*(int *)context == 2;
}

START_TEST(progress_is_told_and_can_cancel)
{
    int calls = 0;
    struct wfs_writer_options options = {.progress = count_calls, .context = &calls};
    create(&options);
    declare_regression();
    OK(wfs_writer_append(writer, "intercept", zero, sizeof zero, &err));
    ck_assert_int_eq(wfs_writer_append(writer, "coefficients", ones_and_twos, 8, &err), -ECANCELED);
    ck_assert_int_eq(err.code, WFS_CODE_CANCELLED);
    struct wfs_writer_stats stats = wfs_writer_stats(writer);
    ck_assert_uint_eq(stats.written, 12);
    ck_assert_uint_eq(stats.total, 12);
}

END_TEST

START_TEST(a_full_disk_is_told_before_the_first_byte)
{
    static const uint64_t exabyte[] = {1ULL << 60};
    create(NULL);
    OK(wfs_writer_declare(writer, "x", WFS_U8, 1, exabyte, &err));
    int r = wfs_writer_append(writer, "x", "1", 1, &err);
    ck_assert(r == -ENOSPC || r == -EFBIG || r == 0); /* a file system without fallocate says it later */
    ck_assert_int_eq(access(path, F_OK), -1);
}

END_TEST

START_TEST(ten_thousand_tensors_are_found_by_name)
{
    char name[32];
    create(NULL);
    for (unsigned i = 0; i < 10000; i++) {
        snprintf(name, sizeof name, "t.%u", i);
        OK(wfs_writer_declare(writer, name, WFS_U32, 0, NULL, &err));
    }
    for (unsigned i = 10000; i-- > 0;) {
        snprintf(name, sizeof name, "t.%u", i);
        OK(wfs_writer_append(writer, name, &i, sizeof i, &err));
    }
    OK(wfs_writer_finish(writer, &err));
    struct wfs_reader *reader = NULL;
    struct wfs_tensor tensor;
    unsigned value = 0;
    OK(wfs_reader_open(path, 0, &reader, &err));
    OK(wfs_reader_find(reader, "t.4711", &tensor, &err));
    OK(wfs_reader_read(reader, &tensor, 0, &value, sizeof value, &err));
    ck_assert_uint_eq(value, 4711);
    wfs_reader_close(reader);
}

END_TEST

int main(void)
{
    const TTest *tests[] = {
        writes_the_bytes_of_the_official_library,
        nothing_is_there_before_the_finish_and_after_an_abort,
        an_abort_leaves_the_old_file,
        replacing_keeps_the_mode,
        exclusive_refuses_an_existing_file,
        a_symbolic_link_is_refused,
        a_blob_of_a_download_cache_is_refused,
        blocks_come_in_any_order_and_size,
        misuse_names_the_tensor_and_loses_nothing,
        what_nobody_could_read_is_refused,
        a_header_beyond_the_limit_is_refused,
        an_empty_model_is_the_official_16_bytes,
        metadata_is_sorted_and_a_key_replaced,
        the_data_can_be_aligned,
        checksums_are_right_whatever_the_order,
        progress_is_told_and_can_cancel,
        a_full_disk_is_told_before_the_first_byte,
        ten_thousand_tensors_are_found_by_name,
    };
    return RUN_TESTS_WITH("writer", tests, setup, teardown);
}
