/* SPDX-License-Identifier: Apache-2.0
 *
 * staging/metadata.json as it is written and read (docs/staging.md 6).
 */
#include "unit/staging.h"

#define T    PLACE_TENSORS
#define ROOT PLACE_ROOT

static const char *metadata_value(const char *key)
{
    struct metadata_map map;
    static char text[64];
    ck_assert_int_eq(pending_metadata(model.stage, &map), 0);
    snprintf(text, sizeof text, "%s", map.present ? "no such key" : "absent");
    for (size_t i = 0; i < map.count; i++) {
        if (strcmp(map.pairs[i].key, key) == 0)
            snprintf(text, sizeof text, "%s", map.pairs[i].value);
    }
    free(map.pairs);
    return text;
}

START_TEST(a_document_declares_a_files_dtype_and_shape)
{
    put(T, "new", "12345678", 8);
    write_document("{\"new\":{\"dtype\":\"F16\",\"shape\":[2,2],\"more\":1},\"b\":{\"shape\":[6]}}");
    ck_assert_str_eq(declared("new"), "F16 [2,2]");
    ck_assert_str_eq(declared("b"), "BF16 [6]");
    ck_assert_str_eq(problems(), "");
    commit_as_previewed();
}

END_TEST

START_TEST(a_stale_document_changes_nothing)
{
    size_t length;
    char *stale = content_of(ROOT, "metadata.json", &length);
    write_document("{\"a\":{\"dtype\":\"I32\",\"shape\":[4]}}");
    ck_assert_int_eq(unlink_tensor("b"), 0);
    ck_assert_int_eq(rename_tensor("c", "z", 0), 0);
    put(T, "new", "1234", 4);
    size_t total = stage_change_total(model.stage);
    write_document(stale);
    ck_assert_uint_eq(stage_change_total(model.stage), total);
    ck_assert_str_eq(declared("a"), "I32 [4]");
    ck_assert(!exists(T, "b") && !exists(T, "c"));
    ck_assert_str_eq(declared("z"), "U8 [8]");
    ck_assert_str_eq(declared("new"), "? ?");
    ck_assert_int_eq(rename_tensor("z", "c", 0), 0);
    write_document(stale);
    ck_assert_str_eq(declared("c"), "U8 [8]");
    free(stale);
}

END_TEST

START_TEST(the_document_written_back_as_read_stages_nothing)
{
    size_t length;
    char *text = content_of(ROOT, "metadata.json", &length);
    write_document(text);
    ck_assert_uint_eq(stage_change_total(model.stage), 0);
    ck_assert_str_eq(problems(), "");
    patch(T, "a", "x", 1, 0);
    free(text);
    text = content_of(ROOT, "metadata.json", &length);
    size_t total = stage_change_total(model.stage);
    write_document(text);
    ck_assert_uint_eq(stage_change_total(model.stage), total);
    free(text);
}

END_TEST

START_TEST(a_document_brings_no_file_and_no_tensor_back)
{
    ck_assert_int_eq(unlink_tensor("a"), 0);
    write_document("{\"a\":{\"dtype\":\"I32\",\"shape\":[4]},\"ghost\":{\"dtype\":\"U8\",\"shape\":[1]}}");
    ck_assert(!exists(T, "a") && !exists(T, "ghost"));
    ck_assert_str_eq(problems(), "(TensorMissing)");
    put(T, "ghost", "g", 1);
    ck_assert_str_eq(declared("ghost"), "U8 [1]");
    put(T, "a", "0123456789abcdef", 16);
    ck_assert_str_eq(declared("a"), "I32 [4]");
    model_reopen();
    ck_assert_str_eq(declared("ghost"), "U8 [1]");
    commit_as_previewed();
}

END_TEST

START_TEST(metadata_is_replaced_emptied_and_removed)
{
    ck_assert_str_eq(metadata_value("format"), "pt");
    write_document("{\"__metadata__\":{\"k\":\"v\"}}");
    ck_assert_str_eq(metadata_value("k"), "v");
    ck_assert_str_eq(metadata_value("format"), "no such key");
    ck_assert_str_eq(problems(), "(FormatKeyMissing)");
    write_document("{\"__metadata__\":{}}");
    ck_assert_str_eq(metadata_value("k"), "no such key");
    write_document("{\"__metadata__\":null}");
    ck_assert_str_eq(metadata_value("k"), "absent");
    model_reopen();
    ck_assert_str_eq(metadata_value("k"), "absent");
    write_document("{}");
    ck_assert_str_eq(metadata_value("k"), "absent");
    write_document("{\"__metadata__\":{\"format\":\"pt\"}}");
    ck_assert_uint_eq(stage_change_total(model.stage), 0);
    write_document("{\"__metadata__\":null}");
    commit_as_previewed();
    ck_assert_str_eq(metadata_value("format"), "absent");
}

END_TEST

START_TEST(an_invalid_document_stays_as_written_and_blocks)
{
    static const char *const invalid[] = {
        "{not json",
        "[]",
        "{\"__metadata__\":{\"k\":1}}",
        "{\"a\":{\"dtype\":\"F99\"}}",
        "{\"a\":{\"shape\":[-1]}}",
        "{\"a\":1}",
    };
    struct wfs_error err;
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) {
        write_document(invalid[i]);
        ck_assert_str_eq(problems(), "DocumentInvalid");
        ck_assert(holds(ROOT, "metadata.json", invalid[i], strlen(invalid[i])));
        ck_assert_int_eq(commit_with(&(struct commit_options){0}, &err), -EINVAL);
        ck_assert_str_eq(declared("a"), "F32 [4]");
    }
    model_reopen();
    ck_assert_str_eq(problems(), "DocumentInvalid");
    char name[] = "metadata.json";
    char *names[] = {name};
    ck_assert_int_eq(stage_discard(model.stage, names, 1, NULL), 0);
    ck_assert_str_eq(problems(), "");
}

END_TEST

START_TEST(the_place_of_an_error_is_told)
{
    write_document("{\n  \"a\": {\"dtype\" \"F32\"}\n}");
    ck_assert_str_eq(problems(), "DocumentInvalid");
    ck_assert_has(model.stage->last.problems.items[0].message, "line 2");
}

END_TEST

START_TEST(an_empty_document_changes_nothing)
{
    write_document("");
    ck_assert_uint_eq(stage_change_total(model.stage), 0);
    write_document(" \n");
    ck_assert_uint_eq(stage_change_total(model.stage), 0);
    ck_assert_str_eq(problems(), "");
}

END_TEST

START_TEST(nothing_is_parsed_before_the_last_writer_closed)
{
    struct stage_handle *first = open_file(ROOT, "metadata.json", O_RDWR | O_TRUNC);
    struct stage_handle *second = open_file(ROOT, "metadata.json", O_RDWR);
    write_all(first, "{\"a\":{\"dtype\":\"I32\"", 19, 0);
    stage_release(first);
    ck_assert_str_eq(declared("a"), "F32 [4]");
    write_all(second, "}}", 2, 19);
    ck_assert_str_eq(declared("a"), "F32 [4]");
    stage_release(second);
    ck_assert_str_eq(declared("a"), "I32 [4]");
}

END_TEST

START_TEST(unlinking_the_document_drops_what_was_not_applied)
{
    write_document("{not json");
    ck_assert_int_eq(stage_unlink(model.stage, ROOT, "metadata.json"), 0);
    ck_assert_str_eq(problems(), "");
    ck_assert(exists(ROOT, "metadata.json"));
    struct entry *entry = NULL;
    ck_assert_int_eq(stage_create(model.stage, ROOT, "metadata.json", 0644, &entry), 0);
    entry_unref(entry);
    put(ROOT, "metadata.json", "{}", 2);
    ck_assert_uint_eq(stage_change_total(model.stage), 0);
}

END_TEST

START_TEST(a_document_overrules_attributes)
{
    put(T, "new", "12345678", 8);
    declare("new", "U8", "[8]");
    write_document("{\"new\":{\"dtype\":\"F16\",\"shape\":[4]}}");
    ck_assert_str_eq(declared("new"), "F16 [4]");
    declare("new", "I16", "[4]");
    ck_assert_str_eq(declared("new"), "I16 [4]");
    ck_assert_int_eq(set_xattr(ROOT, "metadata.json", "user.safetensors.dtype", "F32"), -EOPNOTSUPP);
}

END_TEST

START_TEST(a_document_that_is_appended_to_or_cut_is_taken_as_it_is)
{
    struct entry *entry = find(ROOT, "metadata.json");
    struct stage_attr attr;
    ck_assert_int_eq(entry_attr(model.stage, entry, ROOT, &attr), 0);
    ck_assert_int_eq(stage_truncate(model.stage, entry, ROOT, attr.size - 2), 0);
    struct stage_handle *handle = open_file(ROOT, "metadata.json", O_WRONLY | O_APPEND);
    write_all(handle, ",\"a\":{\"dtype\":\"I32\"}}", 21, 0);
    stage_release(handle);
    ck_assert_has(problems(), "DocumentInvalid"); /* 'a' is there twice */
    entry_unref(entry);
}

END_TEST

START_TEST(a_document_longer_than_any_header_is_refused)
{
    struct stage_handle *handle = open_file(ROOT, "metadata.json", O_WRONLY | O_TRUNC);
    write_all(handle, "{}", 2, 0);
    write_all(handle, " ", 1, (uint64_t)100000001);
    stage_release(handle);
    ck_assert_str_eq(problems(), "DocumentInvalid");
    ck_assert_has(model.stage->last.problems.items[0].message, "longer than");
}

END_TEST

START_TEST(a_document_that_is_read_is_rendered_once_a_change)
{
    struct image *images[4];
    struct stage_handle *handle = open_file(ROOT, "metadata.json", O_RDONLY);
    for (size_t i = 0; i < 4; i++) {
        if (i == 2)
            ck_assert_int_eq(rename_tensor("a", "z", 0), 0);
        ck_assert_int_eq(stage_image(handle, &images[i]), 0);
    }
    ck_assert_ptr_eq(images[0], images[1]);
    ck_assert_ptr_ne(images[1], images[2]);
    ck_assert_ptr_eq(images[2], images[3]);
    for (size_t i = 0; i < 4; i++)
        image_unref(images[i]);
    stage_release(handle);
    ck_assert_ptr_null(model.stage->rendering.image); /* nobody reads it: it takes no room */
    size_t length;
    auto_free char *text = content_of(ROOT, "metadata.json", &length);
    ck_assert_has(text, "\"z\"");
    commit();
    free(take_ptr(text));
    text = content_of(ROOT, "metadata.json", &length);
    ck_assert_has(text, "\"z\"");
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_document_declares_a_files_dtype_and_shape,
        a_stale_document_changes_nothing,
        the_document_written_back_as_read_stages_nothing,
        a_document_brings_no_file_and_no_tensor_back,
        metadata_is_replaced_emptied_and_removed,
        an_invalid_document_stays_as_written_and_blocks,
        the_place_of_an_error_is_told,
        an_empty_document_changes_nothing,
        nothing_is_parsed_before_the_last_writer_closed,
        unlinking_the_document_drops_what_was_not_applied,
        a_document_overrules_attributes,
        a_document_that_is_appended_to_or_cut_is_taken_as_it_is,
        a_document_longer_than_any_header_is_refused,
        a_document_that_is_read_is_rendered_once_a_change,
    };
    return RUN_STAGE_TESTS("staged_document", tests);
}
