/* SPDX-License-Identifier: Apache-2.0 */
#include "model/checksum.h"
#include "unit/scratch.h"

/* Published check values: CRC-32/ISO-HDLC, and XXH32 with seed 0. */

START_TEST(crc32_is_the_ieee_one)
{
    ck_assert_uint_eq(checksum_crc32(0, "123456789", 9), 0xcbf43926);
    ck_assert_uint_eq(checksum_crc32(0, "", 0), 0);
}

END_TEST

START_TEST(crc32_of_two_runs_can_be_joined)
{
    uint32_t first = checksum_crc32(0, "1234", 4);
    uint32_t second = checksum_crc32(0, "56789", 5);
    ck_assert_uint_eq(checksum_crc32_join(first, second, 5), 0xcbf43926);
    ck_assert_uint_eq(checksum_crc32_join(first, 0, 0), first);
}

END_TEST

static uint32_t xxh32_of(const char *text, size_t length, size_t step)
{
    struct xxh32 state;
    xxh32_begin(&state);
    for (size_t at = 0; at < length; at += step)
        xxh32_add(&state, text + at, length - at < step ? length - at : step);
    return xxh32_end(&state);
}

START_TEST(xxh32_has_its_published_values)
{
    ck_assert_uint_eq(xxh32_of("", 0, 1), 0x02cc5d05);
    ck_assert_uint_eq(xxh32_of("a", 1, 1), 0x550d7456);
    ck_assert_uint_eq(xxh32_of("abc", 3, 3), 0x32d153ff);
    ck_assert_uint_eq(xxh32_of("Nobody inspects the spammish repetition", 39, 39), 0xe2293b2f);
}

END_TEST

START_TEST(xxh32_does_not_depend_on_the_blocks)
{
    char text[1000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(i * 7);
    uint32_t whole = xxh32_of(text, sizeof text, sizeof text);
    for (size_t step = 1; step < 40; step++)
        ck_assert_uint_eq(xxh32_of(text, sizeof text, step), whole);
}

END_TEST

START_TEST(a_range_of_a_file_has_the_sum_of_its_bytes)
{
    struct scratch scratch = scratch_open();
    uint32_t sum = 0;
    scratch_write(&scratch, "file", "xx123456789yy", 13);
    int fd = scratch_open_file(&scratch, "file");
    ck_assert_int_eq(checksum_of_range(fd, 2, 9, CHECKSUM_CRC32, NULL, NULL, &sum), 0);
    ck_assert_uint_eq(sum, 0xcbf43926);
    ck_assert_int_eq(checksum_of_range(fd, 2, 0, CHECKSUM_XXH32, NULL, NULL, &sum), 0);
    ck_assert_uint_eq(sum, 0x02cc5d05);
    ck_assert_int_eq(checksum_of_range(fd, 5, 9, CHECKSUM_CRC32, NULL, NULL, &sum), -ENODATA);
    close(fd);
    scratch_close(&scratch);
}

END_TEST

static int stop(void *context, uint64_t done)
{
    *(uint64_t *)context += done;
    return -ECANCELED;
}

START_TEST(a_sum_can_be_cancelled)
{
    struct scratch scratch = scratch_open();
    uint32_t sum = 0;
    uint64_t done = 0;
    scratch_write(&scratch, "file", "123456789", 9);
    int fd = scratch_open_file(&scratch, "file");
    ck_assert_int_eq(checksum_of_range(fd, 0, 9, CHECKSUM_CRC32, stop, &done, &sum), -ECANCELED);
    ck_assert_uint_eq(done, 9);
    close(fd);
    scratch_close(&scratch);
}

END_TEST

int main(void)
{
    const TTest *tests[] = {
        crc32_is_the_ieee_one,
        crc32_of_two_runs_can_be_joined,
        xxh32_has_its_published_values,
        xxh32_does_not_depend_on_the_blocks,
        a_range_of_a_file_has_the_sum_of_its_bytes,
        a_sum_can_be_cancelled,
    };
    return RUN_TESTS("checksum", tests);
}
