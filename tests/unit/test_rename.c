/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/staging.h"

#define T PLACE_TENSORS
#define N PLACE_NPY
#define R PLACE_ROOT

static bool nothing_staged(void)
{
    return stage_change_total(model.stage) == 0;
}

START_TEST(there_and_back_again_leaves_nothing_staged)
{
    ck_assert_int_eq(rename_tensor("a", "z", 0), 0);
    ck_assert_uint_gt(stage_change_total(model.stage), 0);
    ck_assert_int_eq(rename_tensor("z", "a", 0), 0);
    ck_assert(nothing_staged());
    ck_assert(holds(T, "a", model.data + BIG_SIZE, 16));
    ck_assert(!exists(T, "z"));
    model_close();
    ck_assert_int_eq(staging_count("", 0), -1);
}

END_TEST

START_TEST(a_renamed_tensor_takes_its_declaration_along)
{
    ck_assert_int_eq(rename_tensor("b", "a", 0), 0);
    ck_assert_str_eq(declared("a"), "BF16 [2,3]");
    ck_assert(!exists(T, "b"));
    ck_assert(holds(T, "a", model.data + BIG_SIZE + 16, 12));
    ck_assert_str_eq(problems(), "(DtypeChanged)");
    commit_as_previewed();
}

END_TEST

START_TEST(a_file_without_a_declaration_takes_over_that_of_its_name)
{
    put(R, "saved.tmp", "0123456789abcdef", 16);
    ck_assert_int_eq(move(R, "saved.tmp", T, "a"), 0);
    ck_assert_str_eq(declared("a"), "F32 [4]");
    ck_assert(holds(T, "a", "0123456789abcdef", 16));
    ck_assert_str_eq(problems(), "");
    commit_as_previewed();
    ck_assert(holds(T, "a", "0123456789abcdef", 16));
}

END_TEST

START_TEST(a_name_keeps_its_declaration_when_its_file_goes)
{
    ck_assert_int_eq(unlink_tensor("b"), 0);
    ck_assert(!exists(T, "b"));
    model_reopen();
    ck_assert(!exists(T, "b"));
    put(T, "b", "twelve bytes", 12);
    ck_assert_str_eq(declared("b"), "BF16 [2,3]");
    ck_assert_int_eq(rename_tensor("b", "moved", 0), 0);
    put(T, "b", "twelve bytes", 12);
    ck_assert_str_eq(declared("b"), "BF16 [2,3]");
    ck_assert_str_eq(declared("moved"), "BF16 [2,3]");
}

END_TEST

START_TEST(a_new_name_keeps_its_declaration_when_its_file_goes)
{
    put(T, "new", "1234", 4);
    declare("new", "U8", "[4]");
    ck_assert_int_eq(unlink_tensor("new"), 0);
    ck_assert(nothing_staged());
    put(T, "new", "5678", 4);
    ck_assert_str_eq(declared("new"), "U8 [4]");
}

END_TEST

START_TEST(an_exchange_swaps_bytes_and_declarations)
{
    ck_assert_int_eq(rename_tensor("a", "b", RENAME_EXCHANGE), 0);
    ck_assert_str_eq(declared("a"), "BF16 [2,3]");
    ck_assert_str_eq(declared("b"), "F32 [4]");
    ck_assert(holds(T, "b", model.data + BIG_SIZE, 16));
    model_reopen();
    ck_assert(holds(T, "b", model.data + BIG_SIZE, 16));
    ck_assert_int_eq(rename_tensor("b", "a", RENAME_EXCHANGE), 0);
    ck_assert(nothing_staged());
    ck_assert_int_eq(rename_tensor("a", "a", RENAME_EXCHANGE), 0);
    ck_assert_int_eq(rename_tensor("a", "missing", RENAME_EXCHANGE), -ENOENT);
    ck_assert_int_eq(stage_rename(model.stage, T, "a", R, "metadata.json", RENAME_EXCHANGE), -EINVAL);
    ck_assert_int_eq(stage_rename(model.stage, R, "metadata.json", T, "a", RENAME_EXCHANGE), -EINVAL);
    ck_assert(nothing_staged());
}

END_TEST

START_TEST(noreplace_refuses_a_name_that_exists)
{
    ck_assert_int_eq(rename_tensor("a", "b", RENAME_NOREPLACE), -EEXIST);
    ck_assert_int_eq(stage_rename(model.stage, R, "metadata.json", T, "b", RENAME_NOREPLACE), -EEXIST);
    ck_assert(nothing_staged());
    ck_assert_int_eq(rename_tensor("a", "new", RENAME_NOREPLACE), 0);
    ck_assert(exists(T, "new"));
}

END_TEST

START_TEST(what_cannot_be_renamed_is_refused_by_its_errno)
{
    ck_assert_int_eq(rename_tensor("missing", "a", 0), -ENOENT);
    ck_assert_int_eq(rename_tensor("a", "", 0), -ENOENT);
    ck_assert_int_eq(rename_tensor("a", "b%zz", 0), -EINVAL);
    ck_assert_int_eq(rename_tensor("b%zz", "a", 0), -ENOENT);
    ck_assert_int_eq(rename_tensor("a", "b", 1u << 2), -EINVAL); /* RENAME_WHITEOUT */
    ck_assert_int_eq(move(T, "a", N, "a.npy"), -EINVAL);
    ck_assert_int_eq(move(N, "a.npy", T, "z"), -EINVAL);
    ck_assert_int_eq(move(R, "metadata.json", T, "z"), -EINVAL);
    char long_name[300];
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    ck_assert_int_eq(rename_tensor("a", long_name, 0), -ENAMETOOLONG);
    ck_assert(nothing_staged());
}

END_TEST

START_TEST(scratch_goes_anywhere)
{
    put(T, ".swp", "raw bytes", 9);
    ck_assert_int_eq(move(T, ".swp", R, "note"), 0);
    ck_assert_int_eq(move(R, "note", N, "note"), 0);
    ck_assert(holds(N, "note", "raw bytes", 9));
    ck_assert(nothing_staged());
    model_reopen();
    ck_assert(holds(N, "note", "raw bytes", 9));
    ck_assert_int_eq(move(N, "note", T, "new~"), 0);
    ck_assert_int_eq(move(T, "new~", T, "new"), 0);
    ck_assert(holds(T, "new", "raw bytes", 9));
    ck_assert(!nothing_staged());
    ck_assert_str_eq(declared("new"), "? ?");
}

END_TEST

START_TEST(an_npy_file_keeps_its_form_outside_npy)
{
    size_t length;
    char *npy = content_of(N, "a.npy", &length);
    ck_assert_int_eq(move(N, "a.npy", R, "a.npy"), 0);
    ck_assert(!exists(T, "a"));
    ck_assert(holds(R, "a.npy", npy, length));
    model_reopen();
    ck_assert(holds(R, "a.npy", npy, length));
    ck_assert_int_eq(move(R, "a.npy", T, "a"), -EINVAL);
    ck_assert_int_eq(move(R, "a.npy", N, "z.npy"), 0);
    ck_assert(holds(N, "z.npy", npy, length));
    ck_assert(holds(T, "z", npy + length - 16, 16));
    ck_assert_int_eq(move(N, "z.npy", N, "a.npy"), 0);
    ck_assert(nothing_staged());
    free(npy);
}

END_TEST

START_TEST(raw_bytes_moved_into_npy_are_read_as_npy)
{
    size_t length;
    char *npy = content_of(N, "b.npy", &length);
    put(R, "b.tmp", npy, length);
    ck_assert_int_eq(move(R, "b.tmp", N, "new.npy"), 0);
    ck_assert(holds(T, "new", model.data + BIG_SIZE + 16, 12));
    ck_assert_str_eq(declared("new"), "BF16 [2,3]");
    ck_assert_int_eq(move(T, "c", T, ".c"), 0);
    ck_assert_int_eq(move(T, ".c", N, "c.npy"), 0);
    ck_assert_str_eq(problems(), "NpyInvalid");
    ck_assert_int_eq(move(N, "c.npy", R, "c.tmp"), 0);
    ck_assert(holds(R, "c.tmp", model.data + BIG_SIZE + 28, 8));
    free(npy);
}

END_TEST

START_TEST(a_file_renamed_over_is_read_on_by_those_who_have_it_open)
{
    struct stage_handle *handle = open_file(T, "a", O_RDONLY);
    put(T, "b", "staged bytes", 12);
    struct stage_handle *staged = open_file(T, "b", O_RDWR);
    ck_assert_int_eq(rename_tensor("c", "a", 0), 0);
    ck_assert_int_eq(rename_tensor("a", "b", 0), 0);
    struct image *image = NULL;
    char data[16];
    ck_assert_int_eq(stage_image(handle, &image), 0);
    ck_assert_int_eq(image_read(image, data, 16, 0), 16);
    ck_assert_mem_eq(data, model.data + BIG_SIZE, 16);
    image_unref(image);
    write_all(staged, "STAGED", 6, 0);
    ck_assert_int_eq(stage_image(staged, &image), 0);
    ck_assert_int_eq(image_read(image, data, 12, 0), 12);
    ck_assert_mem_eq(data, "STAGED bytes", 12);
    image_unref(image);
    stage_release(staged);
    stage_release(handle);
    ck_assert_int_eq(staging_count(DATA_FILE_END, 0), 0);
}

END_TEST

START_TEST(a_file_renamed_onto_the_document_is_applied)
{
    static const char text[] = "{\"a\":{\"dtype\":\"I32\",\"shape\":[4]}}";
    put(R, "metadata.json.tmp", text, strlen(text));
    ck_assert_int_eq(move(R, "metadata.json.tmp", R, "metadata.json"), 0);
    ck_assert_str_eq(declared("a"), "I32 [4]");
    ck_assert(!exists(R, "metadata.json.tmp"));
    ck_assert_int_eq(move(R, "metadata.json", R, "metadata.json"), 0);
}

END_TEST

START_TEST(a_tensor_renamed_onto_the_document_is_no_document)
{
    ck_assert_int_eq(move(T, "a", R, "metadata.json"), 0);
    ck_assert(!exists(T, "a"));
    ck_assert_str_eq(problems(), "DocumentInvalid");
    ck_assert(holds(R, "metadata.json", model.data + BIG_SIZE, 16));
    model_reopen();
    ck_assert_str_eq(problems(), "DocumentInvalid");
    ck_assert(holds(R, "metadata.json", model.data + BIG_SIZE, 16));
    put(N, "x.npy", "half", 4);
    ck_assert_int_eq(move(N, "x.npy", R, "metadata.json"), -EINVAL);
}

END_TEST

START_TEST(the_document_renamed_away_becomes_scratch_and_stays)
{
    size_t length;
    size_t left;
    char *before = content_of(R, "metadata.json", &length);
    write_document("{not json");
    ck_assert_str_eq(problems(), "DocumentInvalid");
    ck_assert_int_eq(move(R, "metadata.json", R, "metadata.json.orig"), 0);
    ck_assert(holds(R, "metadata.json.orig", "{not json", 9));
    char *after = content_of(R, "metadata.json", &left);
    ck_assert_str_eq(after, before);
    ck_assert(nothing_staged());
    ck_assert_int_eq(move(R, "metadata.json", R, "metadata.json.orig"), 0);
    ck_assert(holds(R, "metadata.json.orig", before, length));
    free(before);
    free(after);
}

END_TEST

START_TEST(only_the_new_names_are_there_after_a_reopening)
{
    patch(T, "big", "patched", 7, 100);
    ck_assert_int_eq(rename_tensor("big", "large", 0), 0);
    ck_assert_int_eq(rename_tensor("a", "c", 0), 0);
    model_reopen();
    ck_assert(!exists(T, "big") && exists(T, "large") && !exists(T, "a"));
    ck_assert(holds(T, "c", model.data + BIG_SIZE, 16));
    memcpy(model.data + 100, "patched", 7);
    ck_assert(holds(T, "large", model.data, BIG_SIZE));
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        there_and_back_again_leaves_nothing_staged,
        a_renamed_tensor_takes_its_declaration_along,
        a_file_without_a_declaration_takes_over_that_of_its_name,
        a_name_keeps_its_declaration_when_its_file_goes,
        a_new_name_keeps_its_declaration_when_its_file_goes,
        an_exchange_swaps_bytes_and_declarations,
        noreplace_refuses_a_name_that_exists,
        what_cannot_be_renamed_is_refused_by_its_errno,
        scratch_goes_anywhere,
        an_npy_file_keeps_its_form_outside_npy,
        raw_bytes_moved_into_npy_are_read_as_npy,
        a_file_renamed_over_is_read_on_by_those_who_have_it_open,
        a_file_renamed_onto_the_document_is_applied,
        a_tensor_renamed_onto_the_document_is_no_document,
        the_document_renamed_away_becomes_scratch_and_stays,
        only_the_new_names_are_there_after_a_reopening,
    };
    return RUN_STAGE_TESTS("rename", tests);
}
