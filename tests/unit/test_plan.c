/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/plan.h"
#include "unit/staging.h"

#define T PLACE_TENSORS

static int commit_layout(struct layout layout)
{
    struct wfs_error err;
    int r = commit_with(&(struct commit_options){.has_layout = true, .layout = layout}, &err);
    generation_unref(model.generation);
    model.generation = stage_generation(model.stage);
    return r;
}

/* The names of the committed model in file order. */
static const char *order(void)
{
    static char text[256];
    const struct wfs_header *header = generation_header(model.generation);
    text[0] = '\0';
    for (size_t i = 0; i < wfs_header_count(header); i++) {
        size_t used = strlen(text);
        struct wfs_tensor tensor = wfs_header_tensor(header, i);
        snprintf(text + used, sizeof text - used, "%s%s", used ? " " : "", tensor.name);
    }
    return text;
}

static uint64_t data_offset(void)
{
    return wfs_header_data_offset(generation_header(model.generation));
}

START_TEST(keep_keeps_order_and_congruence)
{
    uint64_t before = data_offset();
    patch(T, "b", "x", 1, 0);
    ck_assert_int_eq(rename_tensor("a", "zzz", 0), 0);
    commit_as_previewed();
    ck_assert_str_eq(order(), "big zzz b c none");
    ck_assert_uint_eq(data_offset() % 4096, before % 4096);
}

END_TEST

START_TEST(canonical_is_the_official_order)
{
    put(T, "new", "12345678", 8);
    declare("new", "F64", "[1]");
    ck_assert_int_eq(commit_layout((struct layout){.kind = LAYOUT_CANONICAL}), 0);
    ck_assert_str_eq(order(), "new a big b c none");
    ck_assert_uint_eq(data_offset() % 8, 0);
}

END_TEST

START_TEST(align_puts_the_data_at_a_multiple)
{
    put(T, "a", "0123456789abcdef", 16);
    ck_assert_int_eq(commit_layout((struct layout){.kind = LAYOUT_ALIGN, .align = 65536}), 0);
    ck_assert_uint_eq(data_offset(), 65536);
    ck_assert_str_eq(order(), "big a b c none");
    commit();
    ck_assert_uint_eq(data_offset(), 65536);
    ck_assert_int_eq(commit_layout((struct layout){.kind = LAYOUT_CANONICAL}),
                     0); /* nothing else is staged */
    ck_assert_str_eq(order(), "a big b c none");
}

END_TEST

START_TEST(a_tensor_off_its_alignment_brings_canonical_order_and_is_told)
{
    put(T, "a", "odd", 3);
    declare("a", "U8", "[3]");
    ck_assert_str_eq(problems(), "(DtypeChanged) (LayoutChanged)");
    commit_as_previewed();
    ck_assert_str_eq(order(), "big b a c none");
}

END_TEST

/* The same edits in any order, with tables of any seed: the same bytes. */
static char *bytes_of(const char *const *names, size_t count, size_t *ret_length)
{
    for (size_t i = 0; i < count; i++) {
        put(T, names[i], names[i], 4);
        declare(names[i], strchr("ab", names[i][3]) ? "F32" : "U8",
                strchr("ab", names[i][3]) ? "[1]" : "[4]");
    }
    char *bytes = preview(ret_length);
    ck_assert_int_eq(stage_discard(model.stage, NULL, 0, NULL), 0);
    return bytes;
}

START_TEST(bytes_do_not_depend_on_seed_or_order)
{
    static const char *const names[] = {"1..a", "2..b", "3..c", "4..d", "5..a", "6..c"};
    static const char *const again[] = {"6..c", "3..c", "2..b", "5..a", "1..a", "4..d"};
    size_t length;
    size_t other;
    char *first = bytes_of(names, 6, &length);
    for (int round = 0; round < 8; round++) {
        model_reopen();
        char *bytes = bytes_of(again, 6, &other);
        ck_assert_uint_eq(length, other);
        ck_assert_mem_eq(bytes, first, length);
        free(bytes);
    }
    free(first);
}

END_TEST

START_TEST(a_cost_is_told_before_it_is_paid)
{
    auto_plan plan = PLAN_EMPTY;
    struct problem_list list = {0};
    patch(T, "big", "x", 1, 0);
    ck_assert_int_eq(plan_build(model.stage, false, &plan, &list), 0);
    struct clone_cost copies = plan_cost(&plan, false);
    ck_assert_uint_eq(copies.cloned, 0);
    ck_assert_uint_eq(copies.copied, MODEL_DATA);
    struct clone_cost clones = plan_cost(&plan, true);
    ck_assert_uint_eq(clones.cloned % 4096, 0);
    ck_assert_uint_gt(clones.cloned, 0);
    ck_assert_uint_eq(clones.copied + clones.cloned, MODEL_DATA);
    problem_list_clear(&list);
}

END_TEST

START_TEST(every_problem_is_found_at_once)
{
    put(T, "a", "short", 5);
    put(T, "new", "x", 1);
    put(T, "half", "x", 1);
    ck_assert_int_eq(set_xattr(T, "half", "user.safetensors.dtype", "U8"), 0);
    put(T, "shape", "x", 1);
    ck_assert_int_eq(set_xattr(T, "shape", "user.safetensors.shape", "[1]"), 0);
    put(T, "__metadata__", "x", 1);
    declare("__metadata__", "U8", "[1]");
    put(T, "huge", "x", 1);
    declare("huge", "F64", "[4294967296,4294967296]");
    (void)problems();
    ck_assert_uint_eq(model.stage->last.problems.errors, 6);
    ck_assert_str_eq(stage_check(model.stage, NULL) < 0 ? "problems" : "", "problems");
    ck_assert_uint_eq(stage_preview_size(model.stage), 0);
    struct image *image;
    uint64_t change;
    ck_assert_int_eq(stage_preview(model.stage, &image, &change), -EINVAL);
    size_t length;
    char *document = content_of(PLACE_ROOT, "metadata.json", &length);
    ck_assert_has(document, "\"a\"");
    free(document);
}

END_TEST

START_TEST(the_preview_is_kept_until_the_next_change)
{
    struct image *first;
    struct image *second;
    uint64_t change;
    uint64_t later;
    put(T, "a", "0123456789abcdef", 16);
    ck_assert_int_eq(stage_preview(model.stage, &first, &change), 0);
    ck_assert_int_eq(stage_preview(model.stage, &second, &later), 0);
    ck_assert_ptr_eq(first, second);
    ck_assert_uint_eq(change, later);
    image_unref(second);
    patch(T, "a", "x", 1, 0);
    ck_assert_int_eq(stage_preview(model.stage, &second, &later), 0);
    ck_assert_uint_gt(later, change);
    image_unref(first);
    image_unref(second);
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        keep_keeps_order_and_congruence,      canonical_is_the_official_order,
        align_puts_the_data_at_a_multiple,    a_tensor_off_its_alignment_brings_canonical_order_and_is_told,
        bytes_do_not_depend_on_seed_or_order, a_cost_is_told_before_it_is_paid,
        every_problem_is_found_at_once,       the_preview_is_kept_until_the_next_change,
    };
    return RUN_STAGE_TESTS("plan", tests);
}
