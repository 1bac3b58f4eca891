/* SPDX-License-Identifier: Apache-2.0 */
#include "model/checksum.h"
#include "model/pieces.h"
#include "unit/scratch.h"

static const char text[] = "123456789";
static struct pieces pieces;

static void setup(void)
{
    pieces = (struct pieces){NULL, 0, 0, 0};
}

static void teardown(void)
{
    pieces_clear(&pieces);
}

/* Adds the bytes [begin, end) of the text. */
static void add(uint64_t begin, uint64_t end)
{
    ck_assert_int_eq(pieces_add(&pieces, begin, end - begin, text + begin), 0);
}

START_TEST(blocks_in_order_are_one_piece)
{
    uint32_t crc = 0;
    add(0, 3);
    add(3, 4);
    add(4, 9);
    ck_assert_uint_eq(pieces.count, 1);
    ck_assert_uint_eq(pieces.total, 9);
    ck_assert_uint_eq(pieces_end(&pieces), 9);
    ck_assert(pieces_crc(&pieces, 9, &crc));
    ck_assert_uint_eq(crc, 0xcbf43926);
}

END_TEST

START_TEST(blocks_in_any_order_give_the_same_crc)
{
    static const unsigned char orders[][4] = {
        {3, 2, 1, 0},
        {0, 2, 1, 3},
        {1, 3, 0, 2},
        {2, 0, 3, 1},
        {3, 0, 1, 2},
        {1, 0, 3, 2}
    };
    static const uint64_t cuts[] = {0, 2, 3, 7, 9};
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        uint32_t crc = 0;
        for (size_t j = 0; j < 4; j++)
            add(cuts[orders[i][j]], cuts[orders[i][j] + 1]);
        ck_assert_uint_eq(pieces.count, 1);
        ck_assert(pieces_crc(&pieces, 9, &crc));
        ck_assert_uint_eq(crc, 0xcbf43926);
        pieces_clear(&pieces);
    }
}

END_TEST

START_TEST(the_first_missing_byte_is_found)
{
    ck_assert_uint_eq(pieces_missing(&pieces, 9), 0);
    add(4, 6);
    ck_assert_uint_eq(pieces_missing(&pieces, 9), 0);
    add(0, 2);
    ck_assert_uint_eq(pieces_missing(&pieces, 9), 2);
    ck_assert_uint_eq(pieces.count, 2);
    add(2, 4);
    ck_assert_uint_eq(pieces_missing(&pieces, 9), 6);
    add(6, 9);
    ck_assert_uint_eq(pieces_missing(&pieces, 9), 9);
}

END_TEST

START_TEST(bytes_written_twice_count_once_and_have_no_crc)
{
    uint32_t crc = 0;
    add(0, 5);
    add(2, 9);
    ck_assert_uint_eq(pieces.count, 1);
    ck_assert_uint_eq(pieces.total, 9);
    ck_assert(!pieces_crc(&pieces, 9, &crc));
}

END_TEST

START_TEST(one_block_can_swallow_many)
{
    uint32_t crc = 0;
    add(1, 2);
    add(3, 4);
    add(6, 8);
    ck_assert_uint_eq(pieces.count, 3);
    add(0, 9);
    ck_assert_uint_eq(pieces.count, 1);
    ck_assert_uint_eq(pieces.items[0].begin, 0);
    ck_assert_uint_eq(pieces.items[0].end, 9);
    ck_assert(!pieces_crc(&pieces, 9, &crc));
}

END_TEST

START_TEST(unseen_bytes_have_no_crc)
{
    uint32_t crc = 0;
    ck_assert_int_eq(pieces_add(&pieces, 0, 4, NULL), 0);
    add(4, 9);
    ck_assert_uint_eq(pieces_missing(&pieces, 9), 9);
    ck_assert(!pieces_crc(&pieces, 9, &crc));
}

END_TEST

START_TEST(an_empty_tensor_is_complete_and_has_crc_0)
{
    uint32_t crc = 1;
    ck_assert_int_eq(pieces_add(&pieces, 0, 0, text), 0);
    ck_assert_uint_eq(pieces.count, 0);
    ck_assert_uint_eq(pieces_missing(&pieces, 0), 0);
    ck_assert(pieces_crc(&pieces, 0, &crc));
    ck_assert_uint_eq(crc, 0);
}

END_TEST

START_TEST(the_number_of_pieces_is_bounded)
{
    for (uint64_t i = 0; i < PIECES_MAX; i++)
        ck_assert_int_eq(pieces_add(&pieces, i * 2, 1, text), 0);
    ck_assert_int_eq(pieces_add(&pieces, PIECES_MAX * 2ULL, 1, text), -ENOBUFS);
    ck_assert_int_eq(pieces_add(&pieces, 1, 1, text), 0);
    ck_assert_uint_eq(pieces.count, PIECES_MAX - 1);
}

END_TEST

int main(void)
{
    const TTest *tests[] = {
        blocks_in_order_are_one_piece,
        blocks_in_any_order_give_the_same_crc,
        the_first_missing_byte_is_found,
        bytes_written_twice_count_once_and_have_no_crc,
        one_block_can_swallow_many,
        unseen_bytes_have_no_crc,
        an_empty_tensor_is_complete_and_has_crc_0,
        the_number_of_pieces_is_bounded,
    };
    return RUN_TESTS_WITH("pieces", tests, setup, teardown);
}
