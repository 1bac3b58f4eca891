/* SPDX-License-Identifier: Apache-2.0
 *
 * The bytes of headers: those of the official library's own tests, and what the layouts add.
 */
#include "unit/headers.h"

#define ITEMS 4

struct model {
    struct layout_item items[ITEMS];
    unsigned char shapes[ITEMS][64];
    size_t count;
    struct metadata_pair pairs[3];
    struct metadata_map metadata;
};

static void add(struct model *model, const char *name, size_t length, enum wfs_dtype dtype, const char *shape)
{
    unsigned char *packed = NULL;
    struct layout_item *item = &model->items[model->count];
    item->tensor = (struct wfs_tensor){.name = name, .name_length = length, .dtype = dtype};
    item->slot = LAYOUT_NEW;
    ck_assert_int_eq(shape_parse(shape, strlen(shape), &item->tensor.rank, &packed, &item->tensor.shape_size),
                     0);
    memcpy(model->shapes[model->count], packed, item->tensor.shape_size);
    item->tensor.shape = model->shapes[model->count++];
    free(packed);
}

#define ADD(model, name, dtype, shape) add(model, name, sizeof(name) - 1, dtype, shape)

static void describe(struct model *model, const char *key, const char *value)
{
    model->metadata.present = true;
    model->metadata.pairs = model->pairs;
    model->pairs[model->metadata.count++] = (struct metadata_pair){key, strlen(key), value, strlen(value)};
}

static struct bytes encode(struct model *model, const struct layout_source *source, struct layout wanted)
{
    struct layout used;
    struct wfs_error err = {0};
    struct bytes out = BYTES_EMPTY;
    ck_assert_int_eq(layout_place(model->items, model->count, source, wanted, &used, &err), 0);
    int r = header_encode(model->items, model->count, &model->metadata, source, used, &out, &err);
    ck_assert_msg(r == 0, "%s", err.text);
    return out;
}

static void ck_assert_encoded(struct model *model, const char *expected, size_t length)
{
    struct bytes out = encode(model, NULL, (struct layout){LAYOUT_CANONICAL, 0});
    ck_assert_str_eq(out.data + HEADER_PREFIX, expected + HEADER_PREFIX);
    ck_assert_uint_eq(out.length, length);
    ck_assert_mem_eq(out.data, expected, length);
    bytes_clear(&out);
}

#define ENCODED(model, expected) ck_assert_encoded(model, expected, sizeof(expected) - 1)

START_TEST(bytes_are_those_of_the_official_tests)
{
    struct model one = {.count = 0};
    ADD(&one, "attn.0", WFS_F32, "[1,2,3]");
    ENCODED(&one,
            "\x40\0\0\0\0\0\0\0{\"attn.0\":{\"dtype\":\"F32\",\"shape\":[1,2,3],\"data_offsets\":[0,24]}}");
    struct model sub_byte = {.count = 0};
    ADD(&sub_byte, "attn.0", WFS_F4, "[1,2]");
    ENCODED(&sub_byte,
            "\x40\0\0\0\0\0\0\0{\"attn.0\":{\"dtype\":\"F4\",\"shape\":[1,2],\"data_offsets\":[0,1]}}    ");
    struct model padded = {.count = 0};
    ADD(&padded, "attn0", WFS_F32, "[1,1,2,3]");
    ENCODED(&padded, "\x48\0\0\0\0\0\0\0{\"attn0\":{\"dtype\":\"F32\",\"shape\":[1,1,2,3],\"data_offsets\":["
                     "0,24]}}       ");
    struct model numpy = {.count = 0};
    ADD(&numpy, "test", WFS_I32, "[2,2]");
    ENCODED(&numpy,
            "@\0\0\0\0\0\0\0{\"test\":{\"dtype\":\"I32\",\"shape\":[2,2],\"data_offsets\":[0,16]}}    ");
    struct model two = {.count = 0};
    ADD(&two, "test2", WFS_F16, "[2,2]");
    ADD(&two, "test1", WFS_I32, "[2,2]");
    ENCODED(&two, "\x80\0\0\0\0\0\0\0{\"test1\":{\"dtype\":\"I32\",\"shape\":[2,2],\"data_offsets\":[0,16]},"
                  "\"test2\":{\"dtype\":\"F16\",\"shape\":[2,2],\"data_offsets\":[16,24]}}      ");
}

END_TEST

START_TEST(metadata_comes_first_and_by_key)
{
    struct model empty = {.count = 0};
    ENCODED(&empty, "\x08\0\0\0\0\0\0\0{}      ");
    struct model framework = {.count = 0};
    describe(&framework, "framework", "pt");
    ENCODED(&framework, "\x28\0\0\0\0\0\0\0{\"__metadata__\":{\"framework\":\"pt\"}}     ");
    ADD(&framework, "test1", WFS_I32, "[2,2]");
    ENCODED(&framework, "`\0\0\0\0\0\0\0{\"__metadata__\":{\"framework\":\"pt\"},\"test1\":{\"dtype\":"
                        "\"I32\",\"shape\":[2,2],\"data_offsets\":[0,16]}} ");
    struct model several = {.count = 0};
    describe(&several, "b", "\"\\\n");
    describe(&several, "aa", "\xc3\xa9/\x7f");
    describe(&several, "a", "\x1f");
    ENCODED(&several, "\x38\0\0\0\0\0\0\0{\"__metadata__\":{\"a\":\"\\u001f\",\"aa\":\"\xc3\xa9/"
                      "\x7f\",\"b\":\"\\\"\\\\\\n\"}}");
    struct model none = {.metadata = {.present = true}};
    ENCODED(&none, "\x18\0\0\0\0\0\0\0{\"__metadata__\":{}}     ");
}

END_TEST

START_TEST(a_checksum_is_written_as_it_is_given)
{
    struct model model = {.count = 0};
    ADD(&model, "a", WFS_U8, "[0]");
    model.items[0].crc = "3699134100";
    ENCODED(&model, "\x48\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0],"
                    "\"crc32\":3699134100}}");
}

END_TEST

/* Where the data would start. */
static uint64_t data_start(struct model *model, const struct layout_source *source, struct layout layout)
{
    struct bytes out = encode(model, source, layout);
    uint64_t start = out.length;
    struct wfs_header *header = NULL;
    struct wfs_error err = {0};
    uint64_t size = start + (model->count ? model->items[model->count - 1].tensor.end : 0);
    ck_assert_msg(wfs_header_parse(out.data, out.length, size, &header, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(wfs_header_data_offset(header), start);
    wfs_header_free(header);
    bytes_clear(&out);
    return start;
}

START_TEST(keep_starts_the_data_at_the_same_place_of_a_page)
{
    struct wfs_header *header = RIGHT("{\"a\":[\"U8\",[1],[0,1]]}", 1, HEADER_OFFICIAL);
    struct model model = {.count = 0};
    ADD(&model, "a", WFS_U8, "[1]");
    model.items[0].slot = 0;
    struct layout keep = {LAYOUT_KEEP, 0};
    ck_assert_uint_eq(data_start(&model, &(struct layout_source){header, 64}, keep), 64);
    ck_assert_uint_eq(data_start(&model, &(struct layout_source){header, 4096 + 72}, keep), 72);
    ck_assert_uint_eq(data_start(&model, &(struct layout_source){header, 16}, keep), 4096 + 16);
    ck_assert_uint_eq(data_start(&model, &(struct layout_source){header, 4096}, keep), 4096);
    ck_assert_uint_eq(data_start(&model, &(struct layout_source){header, 63}, keep),
                      64); /* an odd start is not kept */
    wfs_header_free(header);
}

END_TEST

START_TEST(align_starts_the_data_at_a_multiple)
{
    struct model model = {.count = 0};
    ADD(&model, "a", WFS_U8, "[1]");
    ck_assert_uint_eq(data_start(&model, NULL, (struct layout){LAYOUT_ALIGN, 8}), 64);
    ck_assert_uint_eq(data_start(&model, NULL, (struct layout){LAYOUT_ALIGN, 128}), 128);
    ck_assert_uint_eq(data_start(&model, NULL, (struct layout){LAYOUT_ALIGN, 4096}), 4096);
    ck_assert_uint_eq(data_start(&model, NULL, (struct layout){LAYOUT_ALIGN, 1 << 20}), 1 << 20);
}

END_TEST

START_TEST(a_header_is_appended_to_what_is_there)
{
    struct bytes out = BYTES_EMPTY;
    bytes_string(&out, "xyz");
    ck_assert_int_eq(header_encode(NULL, 0, NULL, NULL, (struct layout){LAYOUT_CANONICAL, 0}, &out, NULL), 0);
    ck_assert_uint_eq(out.length, 3 + 16);
    ck_assert_mem_eq(out.data, "xyz\x08\0\0\0\0\0\0\0{}      ", 19);
    bytes_clear(&out);
}

END_TEST

static enum wfs_code encode_code(struct model *model, struct layout layout)
{
    struct wfs_error err = {0};
    struct bytes out = BYTES_EMPTY;
    ck_assert_int_eq(header_encode(model->items, model->count, &model->metadata, NULL, layout, &out, &err),
                     -EINVAL);
    bytes_clear(&out);
    return err.code;
}

START_TEST(what_nobody_could_read_is_not_written)
{
    struct model reserved = {.count = 0};
    ADD(&reserved, "__metadata__", WFS_U8, "[0]");
    ck_assert_int_eq(encode_code(&reserved, (struct layout){LAYOUT_CANONICAL, 0}),
                     WFS_CODE_STRICT_RESERVED_NAME);
    char *large = malloc(100000001);
    ck_assert_ptr_nonnull(large);
    memset(large, 'a', 100000000);
    large[100000000] = '\0';
    struct model too_large = {.count = 0};
    describe(&too_large, "very_large_metadata", large);
    ck_assert_int_eq(encode_code(&too_large, (struct layout){LAYOUT_CANONICAL, 0}),
                     WFS_CODE_HEADER_TOO_LARGE);
    struct model aligned = {.count = 0};
    describe(&aligned, "k", large + 300000);
    struct bytes out = BYTES_EMPTY;
    ck_assert_int_eq(
        header_encode(NULL, 0, &aligned.metadata, NULL, (struct layout){LAYOUT_CANONICAL, 0}, &out, NULL), 0);
    ck_assert_int_eq(encode_code(&aligned, (struct layout){LAYOUT_ALIGN, 1 << 20}),
                     WFS_CODE_HEADER_TOO_LARGE);
    bytes_clear(&out);
    free(large);
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        bytes_are_those_of_the_official_tests, metadata_comes_first_and_by_key,
        a_checksum_is_written_as_it_is_given,  keep_starts_the_data_at_the_same_place_of_a_page,
        align_starts_the_data_at_a_multiple,   a_header_is_appended_to_what_is_there,
        what_nobody_could_read_is_not_written,
    };
    return RUN_TESTS("encode", tests);
}
