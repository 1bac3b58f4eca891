/* SPDX-License-Identifier: Apache-2.0
 *
 * Which tensor goes where: docs/format.md 5.
 */
#include "unit/headers.h"

#define ITEMS 16

/* Items as "name dtype slot" triples; the shape is [size]. */
struct plan {
    struct layout_item items[ITEMS];
    unsigned char shapes[ITEMS][SHAPE_DIMENSION_MAX];
    size_t count;
};

static void add(struct plan *plan, const char *name, enum wfs_dtype dtype, uint64_t elements, size_t slot)
{
    ck_assert_uint_lt(plan->count, ITEMS);
    unsigned char *shape = plan->shapes[plan->count];
    plan->items[plan->count++] = (struct layout_item){
        .tensor = {.name = name,
                   .name_length = strlen(name),
                   .dtype = dtype,
                   .rank = 1,
                   .shape = shape,
                   .shape_size = shape_pack(shape, elements)},
        .slot = slot,
    };
}

/* "a@0 b@4 ": names in file order with where they begin. */
static char *place(struct plan *plan, const struct layout_source *source, struct layout wanted,
                   enum layout_kind *ret_used)
{
    struct layout used = {LAYOUT_ALIGN, 0};
    struct wfs_error err = {0};
    int r = layout_place(plan->items, plan->count, source, wanted, &used, &err);
    ck_assert_msg(r == 0, "%s", err.text);
    *ret_used = used.kind;
    struct bytes out = BYTES_EMPTY;
    uint64_t at = 0;
    for (size_t i = 0; i < plan->count; i++) {
        const struct wfs_tensor *tensor = &plan->items[i].tensor;
        ck_assert_uint_eq(tensor->begin, at);
        at = tensor->end;
        bytes_printf(&out, "%s@%llu ", tensor->name, (unsigned long long)tensor->begin);
    }
    return bytes_take(&out);
}

static void ck_assert_placed(struct plan *plan, const struct layout_source *source, enum layout_kind wanted,
                             enum layout_kind expected_kind, const char *expected)
{
    enum layout_kind used;
    char *placed = place(plan, source, (struct layout){wanted, wanted == LAYOUT_ALIGN ? 64 : 0}, &used);
    ck_assert_str_eq(placed, expected);
    ck_assert_int_eq(used, expected_kind);
    free(placed);
}

/* F32 z, F32 a, F16 h, U8 u: by dtype as the official writer has them, though not by name. */
static struct wfs_header *grouped_source(void)
{
    return RIGHT("{\"z\":[\"F32\",[1],[0,4]],\"a\":[\"F32\",[1],[4,8]],\"h\":[\"F16\",[2],[8,12]],\"u\":["
                 "\"U8\",[4],[12,16]]}",
                 16, HEADER_OFFICIAL);
}

/* U8 u, F32 z: not by dtype. */
static struct wfs_header *ungrouped_source(void)
{
    return RIGHT("{\"u\":[\"U8\",[4],[0,4]],\"z\":[\"F32\",[1],[4,8]]}", 8, HEADER_OFFICIAL);
}

START_TEST(canonical_is_by_dtype_then_by_the_bytes_of_the_name)
{
    struct plan plan = {.count = 0};
    add(&plan, "b", WFS_BOOL, 1, LAYOUT_NEW);
    add(&plan, "i", WFS_I32, 1, LAYOUT_NEW);
    add(&plan, "u", WFS_U32, 1, LAYOUT_NEW);
    add(&plan, "f", WFS_F32, 1, LAYOUT_NEW);
    add(&plan, "g", WFS_F4, 2, LAYOUT_NEW);
    add(&plan, "n", WFS_U8, 1, LAYOUT_NEW);
    add(&plan, "l", WFS_U64, 1, LAYOUT_NEW);
    add(&plan, "c", WFS_C64, 1, LAYOUT_NEW);
    add(&plan, "f\xc3\xa9", WFS_F32, 1, LAYOUT_NEW);
    add(&plan, "f10", WFS_F32, 1, LAYOUT_NEW);
    add(&plan, "f2", WFS_F32, 1, LAYOUT_NEW);
    add(&plan, "F", WFS_F32, 1, LAYOUT_NEW);
    ck_assert_placed(&plan, NULL, LAYOUT_CANONICAL, LAYOUT_CANONICAL,
                     "l@0 c@8 F@16 f@20 f10@24 f2@28 f\xc3\xa9@32 u@36 i@40 n@44 g@45 b@46 ");
}

END_TEST

START_TEST(survivors_keep_the_order_of_the_source)
{
    struct wfs_header *header = grouped_source();
    struct layout_source source = {header, wfs_header_data_offset(header)};
    struct plan plan = {.count = 0};
    add(&plan, "u", WFS_U8, 8, 3); /* another size */
    add(&plan, "h", WFS_F16, 2, 2);
    add(&plan, "renamed", WFS_F32, 1, 0);
    ck_assert_placed(&plan, &source, LAYOUT_KEEP, LAYOUT_KEEP, "renamed@0 h@4 u@8 ");
    wfs_header_free(header);
}

END_TEST

START_TEST(new_tensors_go_to_the_end_of_their_group)
{
    struct wfs_header *header = grouped_source();
    struct layout_source source = {header, wfs_header_data_offset(header)};
    struct plan plan = {.count = 0};
    add(&plan, "n2", WFS_F32, 1, LAYOUT_NEW);
    add(&plan, "n1", WFS_F32, 1, LAYOUT_NEW);
    add(&plan, "bf", WFS_BF16, 1, LAYOUT_NEW);
    add(&plan, "bool", WFS_BOOL, 1, LAYOUT_NEW);
    add(&plan, "i64", WFS_I64, 1, LAYOUT_NEW);
    add(&plan, "z", WFS_F32, 1, 0);
    add(&plan, "a", WFS_F32, 1, 1);
    add(&plan, "h", WFS_F16, 2, 2);
    add(&plan, "u", WFS_U8, 4, 3);
    ck_assert_placed(&plan, &source, LAYOUT_KEEP, LAYOUT_KEEP,
                     "i64@0 z@8 a@12 n1@16 n2@20 bf@24 h@26 u@30 bool@34 ");
    wfs_header_free(header);
}

END_TEST

START_TEST(where_the_source_has_no_groups_new_tensors_go_to_the_end)
{
    struct wfs_header *header = ungrouped_source();
    struct layout_source source = {header, wfs_header_data_offset(header)};
    struct plan plan = {.count = 0};
    add(&plan, "n", WFS_U8, 1, LAYOUT_NEW);
    add(&plan, "m", WFS_I64, 1, LAYOUT_NEW);
    add(&plan, "z", WFS_F32, 1, 1);
    add(&plan, "u", WFS_U8, 4, 0);
    ck_assert_placed(&plan, &source, LAYOUT_KEEP, LAYOUT_KEEP, "u@0 z@4 m@8 n@16 ");
    wfs_header_free(header);
}

END_TEST

START_TEST(a_slot_is_kept_whatever_dtype_it_has_now)
{
    struct wfs_header *header = grouped_source();
    struct layout_source source = {header, wfs_header_data_offset(header)};
    struct plan plan = {.count = 0};
    add(&plan, "z", WFS_U8, 4, 0); /* replaced by as many bytes of another dtype */
    add(&plan, "a", WFS_F32, 1, 1);
    add(&plan, "h", WFS_F16, 2, 2);
    add(&plan, "n", WFS_F32, 1, LAYOUT_NEW);
    ck_assert_placed(&plan, &source, LAYOUT_KEEP, LAYOUT_KEEP, "z@0 a@4 n@8 h@12 ");
    wfs_header_free(header);
}

END_TEST

START_TEST(what_would_be_misaligned_becomes_canonical)
{
    struct wfs_header *header = ungrouped_source();
    struct layout_source source = {header, wfs_header_data_offset(header)};
    struct plan plan = {.count = 0};
    add(&plan, "u", WFS_U8, 3, 0);
    add(&plan, "z", WFS_F32, 1, 1);
    ck_assert_placed(&plan, &source, LAYOUT_KEEP, LAYOUT_CANONICAL, "z@0 u@4 ");
    ck_assert_placed(&plan, &source, LAYOUT_ALIGN, LAYOUT_ALIGN, "z@0 u@4 ");
    wfs_header_free(header);
}

END_TEST

START_TEST(without_a_source_keep_is_canonical)
{
    struct wfs_header *empty = NULL;
    ck_assert_int_eq(header_empty(&empty), 0);
    struct layout_source source = {empty, 16};
    struct plan plan = {.count = 0};
    add(&plan, "a", WFS_U8, 3, LAYOUT_NEW);
    add(&plan, "b", WFS_F32, 1, LAYOUT_NEW);
    ck_assert_placed(&plan, &source, LAYOUT_KEEP, LAYOUT_CANONICAL, "b@0 a@4 ");
    ck_assert_placed(&plan, NULL, LAYOUT_KEEP, LAYOUT_CANONICAL, "b@0 a@4 ");
    ck_assert_placed(&plan, NULL, LAYOUT_ALIGN, LAYOUT_ALIGN, "b@0 a@4 ");
    plan.count = 0;
    ck_assert_placed(&plan, NULL, LAYOUT_CANONICAL, LAYOUT_CANONICAL, "");
    wfs_header_free(empty);
}

END_TEST

START_TEST(sizes_beyond_any_file_are_refused)
{
    struct layout used;
    struct wfs_error err = {0};
    struct plan plan = {.count = 0};
    add(&plan, "a", WFS_U64, UINT64_C(1) << 61, LAYOUT_NEW);
    ck_assert_int_eq(
        layout_place(plan.items, plan.count, NULL, (struct layout){LAYOUT_CANONICAL, 0}, &used, &err),
        -EINVAL);
    ck_assert_int_eq(err.code, WFS_CODE_VALIDATION_OVERFLOW);
    plan.count = 0;
    add(&plan, "a", WFS_U8, INT64_MAX, LAYOUT_NEW);
    add(&plan, "b", WFS_U8, 1, LAYOUT_NEW);
    ck_assert_int_eq(
        layout_place(plan.items, plan.count, NULL, (struct layout){LAYOUT_CANONICAL, 0}, &used, &err),
        -EINVAL);
    ck_assert_int_eq(err.code, WFS_CODE_VALIDATION_OVERFLOW);
    plan.count = 0;
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    for (size_t i = 0; i < 5; i++) /* each can be, all together are more than 2^63 bytes */
        add(&plan, names[i], WFS_U8, (UINT64_C(1) << 61) - 1, LAYOUT_NEW);
    ck_assert_int_eq(layout_place(plan.items, 4, NULL, (struct layout){LAYOUT_CANONICAL, 0}, &used, &err), 0);
    ck_assert_int_eq(layout_place(plan.items, 5, NULL, (struct layout){LAYOUT_CANONICAL, 0}, &used, &err),
                     -EINVAL);
    ck_assert_str_eq(err.text, "tensor 'e': ValidationOverflow: the model would be larger than any file");
    plan.count = 0;
    add(&plan, "a", WFS_F4, 3, LAYOUT_NEW);
    ck_assert_int_eq(
        layout_place(plan.items, plan.count, NULL, (struct layout){LAYOUT_CANONICAL, 0}, &used, &err),
        -EINVAL);
    ck_assert_str_eq(err.text, "tensor 'a': MisalignedSlice: dtype and shape do not fill whole bytes");
}

END_TEST

START_TEST(a_layout_is_spelled_keep_canonical_or_align)
{
    static const char *const wrong[] = {"",         "Keep",           "keep ",
                                        "align",    "align=",         "align=0",
                                        "align=4",  "align=12",       "alogn=64",
                                        "align:64", "align=-8",       "align=8x",
                                        "align= 8", "align=33554432", "align=18446744073709551616"};
    struct layout layout;
    ck_assert_int_eq(layout_parse("keep", &layout), 0);
    ck_assert_int_eq(layout.kind, LAYOUT_KEEP);
    ck_assert_int_eq(layout_parse("canonical", &layout), 0);
    ck_assert_int_eq(layout.kind, LAYOUT_CANONICAL);
    ck_assert_int_eq(layout_parse("align=4096", &layout), 0);
    ck_assert_int_eq(layout.kind, LAYOUT_ALIGN);
    ck_assert_uint_eq(layout.align, 4096);
    ck_assert_int_eq(layout_parse("align=16777216", &layout), 0);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ck_assert_msg(layout_parse(wrong[i], &layout) == -EINVAL, "%s", wrong[i]);
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        canonical_is_by_dtype_then_by_the_bytes_of_the_name,
        survivors_keep_the_order_of_the_source,
        new_tensors_go_to_the_end_of_their_group,
        where_the_source_has_no_groups_new_tensors_go_to_the_end,
        a_slot_is_kept_whatever_dtype_it_has_now,
        what_would_be_misaligned_becomes_canonical,
        without_a_source_keep_is_canonical,
        sizes_beyond_any_file_are_refused,
        a_layout_is_spelled_keep_canonical_or_align,
    };
    return RUN_TESTS("layout", tests);
}
