/* SPDX-License-Identifier: Apache-2.0 */
#include "mount/node.h"
#include "unit/scratch.h"

/* What a node stands for: counts who holds it. */
struct thing {
    int refs;
};

static void *ref_thing(void *object)
{
    ((struct thing *)object)->refs++;
    return object;
}

static void unref_thing(void *object)
{
    ((struct thing *)object)->refs--;
}

static struct node_table *new_table(void)
{
    static const struct node_class things = {ref_thing, unref_thing};
    struct node_table *table = NULL;
    ck_assert_int_eq(node_table_new(&things, &table), 0);
    return table;
}

static struct thing *held(struct node_table *table, uint64_t number)
{
    struct thing *thing = node_get(table, number);
    if (thing)
        unref_thing(thing);
    return thing;
}

START_TEST(a_node_lives_until_every_lookup_is_forgotten)
{
    struct node_table *table = new_table();
    struct thing thing = {0};

    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(node_remember(table, 42, &thing), 0);
    ck_assert_int_eq(thing.refs, 1);
    node_forget(table, 42, 2);
    ck_assert_ptr_eq(held(table, 42), &thing);
    node_forget(table, 42, 1);
    ck_assert_ptr_null(held(table, 42));
    ck_assert_int_eq(thing.refs, 0);
    node_table_free(table);
}

END_TEST

START_TEST(forgetting_more_than_was_looked_up_or_what_is_unknown_does_no_harm)
{
    struct node_table *table = new_table();
    struct thing thing = {0};

    node_forget(table, 7, 1);
    ck_assert_int_eq(node_remember(table, 7, &thing), 0);
    node_forget(table, 7, UINT64_MAX);
    ck_assert_int_eq(thing.refs, 0);
    node_forget(table, 7, 1);
    ck_assert_uint_eq(node_count(table), 0);
    node_table_free(table);
}

END_TEST

START_TEST(a_later_lookup_may_give_a_number_another_object)
{
    struct node_table *table = new_table();
    struct thing before = {0};
    struct thing after = {0};

    ck_assert_int_eq(node_remember(table, 9, &before), 0);
    ck_assert_int_eq(node_remember(table, 9, &after), 0);
    ck_assert_ptr_eq(held(table, 9), &after);
    ck_assert_int_eq(before.refs, 0);
    node_forget(table, 9, 1);
    ck_assert_ptr_eq(held(table, 9), &after);
    node_table_free(table);
    ck_assert_int_eq(after.refs, 0);
}

END_TEST

START_TEST(getting_a_node_holds_its_object)
{
    struct node_table *table = new_table();
    struct thing thing = {0};

    ck_assert_int_eq(node_remember(table, 16, &thing), 0);
    ck_assert_ptr_eq(node_get(table, 16), &thing);
    node_forget(table, 16, 1);
    ck_assert_int_eq(thing.refs, 1);
    node_table_free(table);
}

END_TEST

#define MANY 100000u

START_TEST(a_hundred_thousand_nodes_are_found_again)
{
    struct node_table *table = new_table();
    struct thing *things = calloc(MANY, sizeof(*things));

    for (uint64_t i = 0; i < MANY; i++)
        ck_assert_int_eq(node_remember(table, i << 4 | 5, &things[i]), 0);
    ck_assert_uint_eq(node_count(table), MANY);
    for (uint64_t i = 0; i < MANY; i++)
        ck_assert_ptr_eq(held(table, i << 4 | 5), &things[i]);
    for (uint64_t i = 0; i < MANY; i += 2)
        node_forget(table, i << 4 | 5, 1);
    ck_assert_uint_eq(node_count(table), MANY / 2);
    ck_assert_ptr_null(held(table, 5));
    ck_assert_ptr_eq(held(table, 1 << 4 | 5), &things[1]);
    node_table_free(table);
    for (size_t i = 0; i < MANY; i++)
        ck_assert_int_eq(things[i].refs, 0);
    free(things);
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_node_lives_until_every_lookup_is_forgotten,
        forgetting_more_than_was_looked_up_or_what_is_unknown_does_no_harm,
        a_later_lookup_may_give_a_number_another_object,
        getting_a_node_holds_its_object,
        a_hundred_thousand_nodes_are_found_again,
    };
    return RUN_TESTS("node", tests);
}
