/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/pending.h"
#include "unit/scratch.h"

static struct table table;

static void setup(void)
{
    ck_assert_int_eq(table_init(&table), 0);
}

static void teardown(void)
{
    table_free(&table);
}

static struct key key(enum space space, const char *name)
{
    return (struct key){space, name, strlen(name)};
}

START_TEST(a_name_is_found_in_its_own_space_only)
{
    struct slot *slot = slot_get(&table, key(SPACE_TENSOR, "a"));
    ck_assert_ptr_eq(slot_find(&table, key(SPACE_TENSOR, "a")), slot);
    ck_assert_ptr_eq(slot_get(&table, key(SPACE_TENSOR, "a")), slot);
    ck_assert_ptr_null(slot_find(&table, key(SPACE_RAW, "a")));
    ck_assert_ptr_ne(slot_get(&table, key(SPACE_RAW, "a")), slot);
    ck_assert_ptr_null(slot_find(&table, (struct key){SPACE_TENSOR, "a\0", 2}));
    ck_assert_uint_eq(table.count, 2);
    ck_assert_str_eq(slot_key(slot).name, "a");
}

END_TEST

START_TEST(only_an_empty_slot_is_dropped)
{
    struct slot *slot = slot_get(&table, key(SPACE_TENSOR, "a"));
    slot->removed = true;
    slot_drop_if_empty(&table, slot);
    ck_assert_uint_eq(table.count, 1);
    slot->removed = false;
    slot->last.dtype = WFS_F32;
    slot_drop_if_empty(&table, slot);
    ck_assert_uint_eq(table.count, 1);
    slot->last = DECLARATION_NONE;
    slot_drop_if_empty(&table, slot);
    ck_assert_uint_eq(table.count, 0);
    ck_assert_ptr_null(slot_find(&table, key(SPACE_TENSOR, "a")));
}

END_TEST

START_TEST(a_walk_meets_each_of_many_names_once)
{
    char name[32];
    size_t bucket = 0;
    size_t seen = 0;
    size_t sum = 0;
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "%d", i);
        ck_assert_ptr_nonnull(slot_get(&table, key(SPACE_TENSOR, name)));
    }
    for (struct slot *slot = slot_next(&table, &bucket, NULL); slot;
         slot = slot_next(&table, &bucket, slot)) {
        seen++;
        sum += (size_t)atoi(slot->name);
    }
    ck_assert_uint_eq(seen, 1000);
    ck_assert_uint_eq(sum, 499500);
    ck_assert_uint_ge(table.bucket_count, 1000);
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_name_is_found_in_its_own_space_only,
        only_an_empty_slot_is_dropped,
        a_walk_meets_each_of_many_names_once,
    };
    return RUN_TESTS_WITH("slot", tests, setup, teardown);
}
