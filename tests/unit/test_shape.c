/* SPDX-License-Identifier: Apache-2.0 */
#include "format/shape.h"
#include "unit/headers.h"

/* A shape from its text; the caller frees. */
static struct wfs_tensor parse(enum wfs_dtype dtype, const char *text)
{
    unsigned char *shape = NULL;
    struct wfs_tensor tensor = {.dtype = dtype};
    ck_assert_int_eq(shape_parse(text, strlen(text), &tensor.rank, &shape, &tensor.shape_size), 0);
    tensor.shape = shape;
    return tensor;
}

static void free_shape(struct wfs_tensor *tensor)
{
    free((void *)(uintptr_t)tensor->shape);
}

static void ck_assert_size(enum wfs_dtype dtype, const char *shape, uint64_t expected)
{
    uint64_t size = UINT64_MAX;
    struct wfs_tensor tensor = parse(dtype, shape);
    ck_assert_int_eq(shape_byte_size(dtype, tensor.rank, tensor.shape, &size), WFS_CODE_NONE);
    ck_assert_uint_eq(size, expected);
    free_shape(&tensor);
}

static void ck_assert_size_code(enum wfs_dtype dtype, const char *shape, enum wfs_code expected)
{
    uint64_t size = 0;
    struct wfs_tensor tensor = parse(dtype, shape);
    ck_assert_int_eq(shape_byte_size(dtype, tensor.rank, tensor.shape, &size), expected);
    free_shape(&tensor);
}

START_TEST(a_packed_dimension_reads_back_and_is_never_longer_than_its_digits)
{
    for (unsigned shift = 0; shift < 64; shift++) {
        for (int offset = -1; offset <= 1; offset++) {
            uint64_t dimension = (UINT64_C(1) << shift) + (uint64_t)offset;
            unsigned char packed[SHAPE_DIMENSION_MAX];
            char digits[24];
            uint64_t back = 0;
            size_t used = shape_pack(packed, dimension);
            ck_assert_int_le((int)used,
                             snprintf(digits, sizeof digits, "%llu", (unsigned long long)dimension));
            ck_assert_uint_eq(shape_unpack(packed, &back), used);
            ck_assert_uint_eq(back, dimension);
        }
    }
}

END_TEST

START_TEST(bytes_are_the_product_times_the_bits)
{
    ck_assert_size(WFS_F32, "[2,3]", 24);
    ck_assert_size(WFS_F32, "[]", 4);
    ck_assert_size(WFS_F4, "[1,2]", 1);
    ck_assert_size(WFS_F6_E2M3, "[4]", 3);
    ck_assert_size(WFS_U64, "[0,7]", 0);
    ck_assert_size(WFS_BOOL, "[18446744073709551615,0]", 0);
}

END_TEST

START_TEST(overflow_depends_on_the_order_of_the_dimensions)
{
    ck_assert_size(WFS_U8, "[0,9223372036854775808,4]", 0);
    ck_assert_size_code(WFS_U8, "[9223372036854775808,4,0]", WFS_CODE_VALIDATION_OVERFLOW);
    ck_assert_size_code(WFS_I32, "[2,18446744073709551614]", WFS_CODE_VALIDATION_OVERFLOW);
    ck_assert_size_code(WFS_I32, "[2,9223372036854775807]", WFS_CODE_VALIDATION_OVERFLOW);
    ck_assert_size_code(WFS_U8, "[2305843009213693952]", WFS_CODE_VALIDATION_OVERFLOW);
    ck_assert_size(WFS_U8, "[2305843009213693951]", 2305843009213693951);
}

END_TEST

START_TEST(sub_byte_elements_must_fill_whole_bytes)
{
    ck_assert_size_code(WFS_F4, "[1,3]", WFS_CODE_MISALIGNED_SLICE);
    ck_assert_size_code(WFS_F4, "[]", WFS_CODE_MISALIGNED_SLICE);
    ck_assert_size_code(WFS_F6_E3M2, "[2]", WFS_CODE_MISALIGNED_SLICE);
}

END_TEST

START_TEST(a_shape_prints_as_it_was_parsed)
{
    static const char *const texts[][2] = {
        {"[]",                     "[]"                    },
        {" [ ] ",                  "[]"                    },
        {"[0]",                    "[0]"                   },
        {"[4096, 64]",             "[4096,64]"             },
        {"[1,\n\t2 ,3]\r",         "[1,2,3]"               },
        {"[18446744073709551615]", "[18446744073709551615]"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct wfs_tensor tensor = parse(WFS_U8, texts[i][0]);
        char *text = shape_text(&tensor);
        ck_assert_str_eq(text, texts[i][1]);
        free(text);
        free_shape(&tensor);
    }
}

END_TEST

START_TEST(text_that_is_no_shape_is_refused)
{
    static const char *const wrong[] = {"",
                                        "[",
                                        "]",
                                        "[1",
                                        "1",
                                        "[1,]",
                                        "[,1]",
                                        "[1 2]",
                                        "[01]",
                                        "[-1]",
                                        "[1.0]",
                                        "[1e2]",
                                        "[[1]]",
                                        "[1]]",
                                        "[1] x",
                                        "[\"1\"]",
                                        "[18446744073709551616]",
                                        "[null]"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        unsigned char *shape = NULL;
        size_t rank = 0;
        size_t size = 0;
        ck_assert_msg(shape_parse(wrong[i], strlen(wrong[i]), &rank, &shape, &size) == -EINVAL, "%s",
                      wrong[i]);
        ck_assert_ptr_null(shape);
    }
    unsigned char *shape = NULL;
    size_t rank = 0;
    size_t size = 0;
    ck_assert_int_eq(shape_parse("[\0]", 3, &rank, &shape, &size), -EINVAL);
}

END_TEST

START_TEST(tensors_are_equal_in_shape_when_dtype_and_dimensions_are)
{
    struct wfs_tensor a = parse(WFS_F32, "[2,300]");
    struct wfs_tensor b = parse(WFS_F32, "[ 2, 300 ]");
    struct wfs_tensor c = parse(WFS_F32, "[300,2]");
    struct wfs_tensor d = parse(WFS_I32, "[2,300]");
    struct wfs_tensor e = parse(WFS_F32, "[]");
    ck_assert(shape_equal(&a, &b));
    ck_assert(!shape_equal(&a, &c));
    ck_assert(!shape_equal(&a, &d));
    ck_assert(!shape_equal(&a, &e));
    ck_assert(shape_equal(&e, &e));
    struct wfs_tensor *const all[] = {&a, &b, &c, &d, &e};
    for (size_t i = 0; i < 5; i++)
        free_shape(all[i]);
}

END_TEST

START_TEST(the_installed_call_writes_as_many_dimensions_as_fit)
{
    struct wfs_tensor tensor = parse(WFS_U8, "[7,1000,3]");
    uint64_t dims[3] = {9, 9, 9};
    ck_assert_uint_eq(wfs_tensor_shape(&tensor, dims, 2), 3);
    ck_assert_uint_eq(dims[0], 7);
    ck_assert_uint_eq(dims[1], 1000);
    ck_assert_uint_eq(dims[2], 9);
    free_shape(&tensor);
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_packed_dimension_reads_back_and_is_never_longer_than_its_digits,
        bytes_are_the_product_times_the_bits,
        overflow_depends_on_the_order_of_the_dimensions,
        sub_byte_elements_must_fill_whole_bytes,
        a_shape_prints_as_it_was_parsed,
        text_that_is_no_shape_is_refused,
        tensors_are_equal_in_shape_when_dtype_and_dimensions_are,
        the_installed_call_writes_as_many_dimensions_as_fit,
    };
    return RUN_TESTS("shape", tests);
}
