/* SPDX-License-Identifier: Apache-2.0 */
#include "format/storage.h"
#include "unit/scratch.h"

#define MOST 5000u

static struct tensor_record records[MOST];
static uint32_t state;

static uint32_t next_random(void)
{
    state = state * 1664525 + 1013904223;
    return state >> 8;
}

static bool is_sorted(size_t count)
{
    for (size_t i = 1; i < count; i++) {
        const struct tensor_record *a = &records[i - 1];
        const struct tensor_record *b = &records[i];
        if (a->begin > b->begin ||
            (a->begin == b->begin && (a->end > b->end || (a->end == b->end && a->name >= b->name))))
            return false;
    }
    return true;
}

/* The i-th of `count` tensors in one of the orders that sorting algorithms dislike. */
static uint64_t begin_of(unsigned pattern, size_t i, size_t count)
{
    switch (pattern) {
    case 0:
        return i;
    case 1:
        return count - i;
    case 2:
        return 7;
    case 3:
        return next_random();
    case 4:
        return next_random() % 4;
    case 5:
        return i < count / 2 ? i : count - i; /* organ pipe */
    case 6:
        return i % 2 ? i : count - i;
    default:
        return i * 7919 % count;
    }
}

static void fill(unsigned pattern, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t begin = begin_of(pattern, i, count);
        records[i] = (struct tensor_record){
            .begin = begin, .end = begin + (pattern == 4 ? next_random() % 2 : 0), .name = (uint32_t)i};
    }
}

static uint64_t sum_of_names(size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (uint64_t)records[i].name * records[i].name;
    return sum;
}

START_TEST(every_order_becomes_sorted_and_loses_nothing)
{
    static const size_t counts[] = {0, 1, 2, 3, 24, 25, 26, 100, 1000, MOST};
    for (unsigned pattern = 0; pattern < 8; pattern++) {
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
            struct wfs_header header = {.tensors = records, .tensor_count = counts[i]};
            fill(pattern, counts[i]);
            uint64_t sum = sum_of_names(counts[i]);
            storage_sort(&header);
            ck_assert_msg(is_sorted(counts[i]), "pattern %u, %zu tensors", pattern, counts[i]);
            ck_assert_uint_eq(sum_of_names(counts[i]), sum);
        }
    }
}

END_TEST

START_TEST(small_orders_become_sorted_all_of_them)
{
    for (unsigned order = 0; order < 46656; order++) { /* six tensors with six places each */
        struct wfs_header header = {.tensors = records, .tensor_count = 6};
        for (unsigned i = 0, rest = order; i < 6; i++, rest /= 6)
            records[i] = (struct tensor_record){.begin = rest % 6, .end = rest % 6, .name = i};
        storage_sort(&header);
        ck_assert_msg(is_sorted(6), "order %u", order);
    }
}

END_TEST

/* McIlroy's antiquicksort would need a comparison of its own; median-of-three killers are what a file can
 * carry. */
START_TEST(the_worst_order_for_median_of_three_takes_no_longer)
{
    size_t half = MOST / 2;
    for (size_t i = 0; i < half; i++) {
        uint64_t low = i % 2 ? half + i + (half % 2) : i + 1;
        records[i] = (struct tensor_record){.begin = low, .end = low, .name = (uint32_t)i};
        records[half + i] =
            (struct tensor_record){.begin = 2 * (i + 1), .end = 2 * (i + 1), .name = (uint32_t)(half + i)};
    }
    struct wfs_header header = {.tensors = records, .tensor_count = 2 * half};
    storage_sort(&header);
    ck_assert(is_sorted(2 * half));
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        every_order_becomes_sorted_and_loses_nothing,
        small_orders_become_sorted_all_of_them,
        the_worst_order_for_median_of_three_takes_no_longer,
    };
    return RUN_TESTS("storage_sort", tests);
}
