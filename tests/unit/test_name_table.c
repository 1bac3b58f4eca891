/* SPDX-License-Identifier: Apache-2.0 */
#include "format/name_table.h"
#include "unit/scratch.h"

static struct name_text name_of(const void *context, size_t index)
{
    const char *const *names = context;
    return (struct name_text){names[index], strlen(names[index])};
}

#define MANY 100000u

static struct name_text number_name(const void *context, size_t index)
{
    const char(*names)[32] = context;
    return (struct name_text){names[index], strlen(names[index])};
}

START_TEST(a_name_leads_to_its_index)
{
    static const char *const names[] = {"a", "b", "", "abc"};
    struct name_table table;
    ck_assert_int_eq(name_table_init(&table, 4, 4, name_of, names), 0);
    for (size_t i = 0; i < 4; i++)
        ck_assert_uint_eq(name_table_put(&table, i), NAME_TABLE_NONE);
    for (size_t i = 0; i < 4; i++)
        ck_assert_uint_eq(name_table_find(&table, names[i], strlen(names[i])), i);
    ck_assert_uint_eq(name_table_find(&table, "ab", 2), NAME_TABLE_NONE);
    ck_assert_uint_eq(name_table_find(&table, "a\0", 2), NAME_TABLE_NONE);
    name_table_clear(&table);
}

END_TEST

START_TEST(the_later_of_equal_names_takes_the_place_of_the_earlier)
{
    static const char *const names[] = {"x", "y", "x", "x"};
    struct name_table table;
    ck_assert_int_eq(name_table_init(&table, 4, 4, name_of, names), 0);
    ck_assert_uint_eq(name_table_put(&table, 0), NAME_TABLE_NONE);
    ck_assert_uint_eq(name_table_put(&table, 1), NAME_TABLE_NONE);
    ck_assert_uint_eq(name_table_put(&table, 2), 0);
    ck_assert_uint_eq(name_table_put(&table, 3), 2);
    ck_assert_uint_eq(name_table_find(&table, "x", 1), 3);
    name_table_clear(&table);
}

END_TEST

START_TEST(many_names_fit_and_are_found)
{
    char(*names)[32] = calloc(MANY, sizeof *names);
    struct name_table table;
    ck_assert_ptr_nonnull(names);
    ck_assert_int_eq(name_table_init(&table, MANY, MANY, number_name, names), 0);
    for (size_t i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof *names, "model.layers.%zu.weight", i);
        ck_assert_uint_eq(name_table_put(&table, i), NAME_TABLE_NONE);
    }
    for (size_t i = 0; i < MANY; i++)
        ck_assert_uint_eq(name_table_find(&table, names[i], strlen(names[i])), i);
    name_table_clear(&table);
    free(names);
}

END_TEST

START_TEST(an_empty_table_and_a_cleared_one_find_nothing)
{
    struct name_table table;
    ck_assert_int_eq(name_table_init(&table, 0, 0, name_of, NULL), 0);
    ck_assert_uint_eq(name_table_find(&table, "", 0), NAME_TABLE_NONE);
    name_table_clear(&table);
    ck_assert_uint_eq(name_table_find(&table, "", 0), NAME_TABLE_NONE);
    name_table_clear(&table);
}

END_TEST

START_TEST(every_table_has_a_key_of_its_own)
{
    struct name_table a;
    struct name_table b;
    ck_assert_int_eq(name_table_init(&a, 1, 1, name_of, NULL), 0);
    ck_assert_int_eq(name_table_init(&b, 1, 1, name_of, NULL), 0);
    ck_assert(a.key[0] != b.key[0] || a.key[1] != b.key[1]);
    name_table_clear(&a);
    name_table_clear(&b);
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_name_leads_to_its_index,        the_later_of_equal_names_takes_the_place_of_the_earlier,
        many_names_fit_and_are_found,     an_empty_table_and_a_cleared_one_find_nothing,
        every_table_has_a_key_of_its_own,
    };
    return RUN_TESTS("name_table", tests);
}
