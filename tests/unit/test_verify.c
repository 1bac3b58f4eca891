/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/scratch.h"

#include <weightfs/weightfs.h>

static struct scratch scratch;
static char path[300];
static struct wfs_error err;

/* What was reported of one file. */
static struct {
    size_t count;
    enum wfs_code codes[16];
    char messages[16][700];
} seen;

static void setup(void)
{
    scratch = scratch_open();
    snprintf(path, sizeof path, "%s/m.safetensors", scratch.path);
    err = (struct wfs_error){0};
    memset(&seen, 0, sizeof seen);
}

static void teardown(void)
{
    scratch_close(&scratch);
}

static int note(void *context, const struct wfs_problem *problem)
{
    (void)context;
    ck_assert_uint_lt(seen.count, 16);
    seen.codes[seen.count] = problem->code;
    snprintf(seen.messages[seen.count++], sizeof seen.messages[0], "%s", problem->message);
    return 0;
}

static void write_model(const char *json, const char *data, size_t data_length)
{
    char file[4096];
    uint64_t length = strlen(json);
    ck_assert_uint_lt(8 + length + data_length, sizeof file);
    memcpy(file, &length, 8);
    memcpy(file + 8, json, length);
    if (data_length)
        memcpy(file + 8 + length, data, data_length);
    scratch_write(&scratch, "m.safetensors", file, 8 + length + data_length);
}

static struct wfs_verdict verify(unsigned flags, int crc)
{
    struct wfs_verify_options options = {.flags = flags, .crc = crc};
    struct wfs_verdict verdict;
    ck_assert_msg(wfs_verify_path(path, &options, note, NULL, &verdict, &err) == 0, "%s", err.text);
    return verdict;
}

#define ENTRY(name, shape, begin, end) \
    "\"" name "\":{\"dtype\":\"U8\",\"shape\":[" #shape "],\"data_offsets\":[" #begin "," #end "]}"
#define ENTRY_CRC(name, shape, begin, end, crc)                                                \
    "\"" name "\":{\"dtype\":\"U8\",\"shape\":[" #shape "],\"data_offsets\":[" #begin "," #end \
    "],\"crc32\":" #crc "}"

START_TEST(a_good_file_has_no_problem)
{
    write_model("{" ENTRY("a", 2, 0, 2) "}", "12", 2);
    struct wfs_verdict verdict = verify(WFS_READ_STRICT, 0);
    ck_assert(verdict.is_valid);
    ck_assert_int_eq(verdict.official, WFS_CODE_NONE);
    ck_assert_uint_eq(verdict.tensor_count, 1);
    ck_assert_uint_eq(seen.count, 0);
    ck_assert_ptr_null(verdict.kind);
}

END_TEST

START_TEST(every_problem_is_told_and_the_official_verdict_is_the_first)
{
    write_model("{" ENTRY("a", 2, 0, 2) "," ENTRY("b", 3, 4, 6) "}", "123456", 6);
    struct wfs_verdict verdict = verify(0, 0);
    ck_assert(!verdict.is_valid);
    ck_assert_int_eq(verdict.official, WFS_CODE_INVALID_OFFSET);
    ck_assert_uint_ge(seen.count, 2);
    ck_assert_int_eq(seen.codes[0], WFS_CODE_INVALID_OFFSET);
    ck_assert_int_eq(seen.codes[1], WFS_CODE_TENSOR_INVALID_INFO);
    ck_assert_ptr_nonnull(strstr(seen.messages[0], "tensor 'b': InvalidOffset: "));
}

END_TEST

START_TEST(what_is_no_model_is_named)
{
    scratch_write(&scratch, "m.safetensors", "version https://git-lfs.github.com/spec/v1\n", 43);
    struct wfs_verdict verdict = verify(0, 0);
    ck_assert(!verdict.is_valid);
    ck_assert_int_eq(verdict.official, WFS_CODE_HEADER_TOO_LARGE);
    ck_assert_ptr_nonnull(verdict.kind);
    ck_assert_ptr_nonnull(strstr(verdict.kind, "LFS"));
}

END_TEST

START_TEST(an_empty_file_is_too_small)
{
    scratch_write(&scratch, "m.safetensors", "", 0);
    struct wfs_verdict verdict = verify(0, 0);
    ck_assert_int_eq(verdict.official, WFS_CODE_HEADER_TOO_SMALL);
    ck_assert_uint_eq(verdict.error_count, 1);
}

END_TEST

START_TEST(strict_rules_do_not_change_the_official_verdict)
{
    write_model(" {" ENTRY("a", 2, 0, 2) "}\n", "12", 2);
    struct wfs_verdict verdict = verify(WFS_READ_STRICT, 0);
    ck_assert(!verdict.is_valid);
    ck_assert_int_eq(verdict.official, WFS_CODE_NONE);
    ck_assert_uint_eq(seen.count, 2);
    verdict = verify(0, 0);
    ck_assert(verdict.is_valid);
}

END_TEST

START_TEST(a_wrong_checksum_is_found)
{
    write_model(
        "{" ENTRY_CRC("a", 9, 0, 9, 3421780262) "," ENTRY_CRC("b", 9, 9, 18, 5) "," ENTRY("c", 1, 18, 19) "}",
        "123456789123456789x", 19);
    struct wfs_verdict verdict = verify(0, 1);
    ck_assert(!verdict.is_valid);
    ck_assert_uint_eq(verdict.crc_count, 2);
    ck_assert_uint_eq(verdict.error_count, 1);
    ck_assert_uint_eq(verdict.warning_count, 1);
    ck_assert_int_eq(seen.codes[0], WFS_CODE_CHECKSUM_MISMATCH);
    ck_assert_str_eq(seen.messages[0],
                     "tensor 'b': ChecksumMismatch: its bytes have CRC-32 cbf43926, stored is 00000005");
    ck_assert_int_eq(seen.codes[1], WFS_CODE_CHECKSUM_MISSING);
    ck_assert_int_eq(verdict.official, WFS_CODE_NONE);
}

END_TEST

START_TEST(no_checksum_at_all_is_no_success)
{
    write_model("{" ENTRY("a", 2, 0, 2) "}", "12", 2);
    struct wfs_verdict verdict = verify(0, 1);
    ck_assert(!verdict.is_valid);
    ck_assert_int_eq(seen.codes[0], WFS_CODE_CHECKSUM_MISSING);
}

END_TEST

START_TEST(stsw_files_are_tolerated_with_either_of_their_hashes)
{
    /* XXH32 of "abc" is 0x32d153ff */
    write_model("{\"__version__\":\"1.0\"," ENTRY_CRC("a", 9, 0, 9, 3421780262) "," ENTRY_CRC("b", 3, 64, 67,
                                                                                              852579327) "}",
                "123456789.......................................................abc.............", 80);
    struct wfs_verdict verdict = verify(0, 0);
    ck_assert(!verdict.is_valid);
    ck_assert_ptr_nonnull(verdict.kind);
    ck_assert_ptr_nonnull(strstr(verdict.kind, "stsw"));
    verdict = verify(WFS_READ_STSW, 1);
    ck_assert_msg(verdict.is_valid, "%s", seen.messages[seen.count - 1]);
    ck_assert_uint_eq(verdict.crc_count, 2);
    ck_assert_int_eq(verdict.official, WFS_CODE_INVALID_HEADER_DESERIALIZATION);
}

END_TEST

START_TEST(what_cannot_be_read_is_an_error)
{
    struct wfs_verdict verdict;
    ck_assert_int_eq(wfs_verify_path("/nonexistent", NULL, NULL, NULL, &verdict, &err), -ENOENT);
    ck_assert_int_eq(wfs_verify_path(scratch.path, NULL, NULL, NULL, &verdict, &err), -EISDIR);
    ck_assert_ptr_nonnull(strstr(err.text, scratch.path));
    char fifo[300];
    snprintf(fifo, sizeof fifo, "%s/fifo", scratch.path);
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    ck_assert_int_eq(wfs_verify_path(fifo, NULL, NULL, NULL, &verdict, &err), -EINVAL);
}

END_TEST

static int refuse(void *context, uint64_t done, uint64_t total)
{
    (void)context;
    ck_assert_uint_le(done, total);
    return 1;
}

START_TEST(checksums_can_be_cancelled)
{
    struct wfs_verify_options options = {.crc = 1, .progress = refuse};
    struct wfs_verdict verdict;
    write_model("{" ENTRY_CRC("a", 9, 0, 9, 3421780262) "}", "123456789", 9);
    ck_assert_int_eq(wfs_verify_path(path, &options, NULL, NULL, &verdict, &err), -ECANCELED);
}

END_TEST

int main(void)
{
    const TTest *tests[] = {
        a_good_file_has_no_problem,
        every_problem_is_told_and_the_official_verdict_is_the_first,
        what_is_no_model_is_named,
        an_empty_file_is_too_small,
        strict_rules_do_not_change_the_official_verdict,
        a_wrong_checksum_is_found,
        no_checksum_at_all_is_no_success,
        stsw_files_are_tolerated_with_either_of_their_hashes,
        what_cannot_be_read_is_an_error,
        checksums_can_be_cancelled,
    };
    return RUN_TESTS_WITH("verify", tests, setup, teardown);
}
