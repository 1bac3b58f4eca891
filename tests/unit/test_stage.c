/* SPDX-License-Identifier: Apache-2.0 */
#include "format/name.h"
#include "unit/staging.h"

#define T PLACE_TENSORS
#define N PLACE_NPY
#define R PLACE_ROOT

static const char sixteen[] = "0123456789abcdef";

static size_t total(void)
{
    return stage_change_total(model.stage);
}

/* --- what stages, and what does not --- */

START_TEST(looking_and_touching_stage_nothing)
{
    struct timespec times[2] = {
        {5, 6},
        {7, 8}
    };
    struct stage_attr attr;
    struct entry *entry = find(T, "a");
    struct stage_handle *handle = open_file(T, "a", O_RDWR);
    ck_assert_int_eq(stage_flush(handle), 0);
    ck_assert_int_eq(stage_set_mode(model.stage, entry, 0644), 0);
    ck_assert_int_eq(stage_set_times(model.stage, entry, &times[0], &times[1]), 0);
    ck_assert_int_eq(entry_attr(model.stage, entry, T, &attr), 0);
    ck_assert_uint_eq(attr.mode, 0644);
    ck_assert_int_eq(attr.atime.tv_sec, 5);
    ck_assert_int_eq(attr.mtime.tv_nsec, 8);
    ck_assert_int_eq(stage_truncate(model.stage, entry, T, 16), 0);
    stage_release(handle);
    entry_unref(entry);
    ck_assert_uint_eq(total(), 0);
    ck_assert_int_eq(staging_count("", 0), -1);
    ck_assert_ptr_null(stage_directory(model.stage));
}

END_TEST

START_TEST(the_first_write_stages)
{
    struct stage_handle *handle = open_file(T, "a", O_RDWR);
    write_all(handle, "x", 1, 3);
    ck_assert_uint_eq(total(), 1);
    ck_assert_ptr_nonnull(stage_directory(model.stage));
    ck_assert_int_eq(staging_count(DATA_FILE_END, 0), 1);
    ck_assert_int_eq(staging_count(".gitignore", 0), 1);
    stage_release(handle);
    model.data[BIG_SIZE + 3] = 'x';
    ck_assert(holds(T, "a", model.data + BIG_SIZE, 16));
    ck_assert_str_eq(problems(), "");
}

END_TEST

START_TEST(a_change_of_size_stages_without_a_file_where_bytes_only_go)
{
    struct entry *entry = find(T, "big");
    ck_assert_int_eq(stage_truncate(model.stage, entry, T, 100), 0);
    ck_assert_uint_eq(total(), 1);
    ck_assert_int_eq(staging_count(DATA_FILE_END, 0), 0);
    ck_assert(holds(T, "big", model.data, 100));
    ck_assert_str_eq(problems(), "SizeMismatch");
    ck_assert_int_eq(stage_truncate(model.stage, entry, T, 200), 0);
    memset(model.data + 100, 0, 100);
    ck_assert(holds(T, "big", model.data, 200));
    ck_assert_int_eq(stage_truncate(model.stage, entry, T, (uint64_t)1 << 63), -EFBIG);
    entry_unref(entry);
}

END_TEST

START_TEST(writes_go_where_they_are_told)
{
    struct stage_handle *handle = open_file(T, "new", O_RDWR | O_CREAT);
    struct stage_handle *appender = open_file(T, "new", O_WRONLY | O_APPEND);
    struct stage_handle *reader = open_file(T, "new", O_RDONLY);
    write_all(handle, "abc", 3, 2);
    write_all(appender, "def", 3, 0);
    ck_assert_int_eq(stage_write(reader, "x", 1, 0), -EBADF);
    ck_assert_int_eq(stage_write(handle, "x", 1, INT64_MAX), -EFBIG);
    ck_assert_int_eq(stage_fallocate(reader, 0, 0, 1), -EBADF);
    ck_assert_int_eq(stage_fallocate(handle, 0, 0, UINT64_MAX), -EFBIG);
    stage_release(reader);
    stage_release(appender);
    stage_release(handle);
}

END_TEST

START_TEST(fallocate_makes_room)
{
    struct stage_handle *handle = open_file(T, "new", O_RDWR | O_CREAT);
    write_all(handle, "abc", 3, 0);
    ck_assert_int_eq(stage_fallocate(handle, 0, 2, 4), 0);
    ck_assert(holds(T, "new", "abc\0\0\0", 6));
    ck_assert_int_eq(stage_fallocate(handle, FALLOC_FL_KEEP_SIZE, 0, 100), 0);
    ck_assert_int_eq(stage_fallocate(handle, 0, 0, 3), 0);
    ck_assert(holds(T, "new", "abc\0\0\0", 6));
    ck_assert_int_eq(stage_fallocate(handle, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 3), -EOPNOTSUPP);
    ck_assert_int_eq(stage_fallocate(handle, 0, UINT64_MAX, 3), -EFBIG);
    stage_release(handle);
}

END_TEST

START_TEST(a_whole_tensor_that_is_copied_is_a_range)
{
    copy_tensor(index_of("big"), "copy");
    ck_assert(holds(T, "copy", model.data, BIG_SIZE));
    ck_assert_str_eq(declared("copy"), "F32 [2048]");
    ck_assert_int_eq(staging_count(DATA_FILE_END, 0), 0);
    model_reopen();
    ck_assert(holds(T, "copy", model.data, BIG_SIZE));
    commit_as_previewed();
    ck_assert(holds(T, "copy", model.data, BIG_SIZE));
}

END_TEST

START_TEST(a_tensor_copied_over_itself_is_unstaged)
{
    put(T, "a", sixteen, 16);
    ck_assert_uint_eq(total(), 1);
    copy_tensor(index_of("a"), "a");
    ck_assert_uint_eq(total(), 0);
    ck_assert(holds(T, "a", model.data + BIG_SIZE, 16));
    model_close();
    ck_assert_int_eq(staging_count("", 0), -1);
}

END_TEST

static ssize_t copy_entry(const char *from, enum stage_place from_place, const char *to,
                          enum stage_place to_place, uint64_t offset, uint64_t to_offset, uint64_t length)
{
    struct image *image = NULL;
    struct stage_handle *source = open_file(from_place, from, O_RDONLY);
    struct stage_handle *target = open_file(to_place, to, O_WRONLY | O_CREAT);
    struct entry *entry = find(from_place, from);
    struct stage_origin origin = {.entry = entry, .place = from_place};
    ck_assert_int_eq(stage_image(source, &image), 0);
    ssize_t copied = stage_copy(target, to_offset, image, offset, length, &origin);
    image_unref(image);
    entry_unref(entry);
    stage_release(source);
    stage_release(target);
    return copied;
}

START_TEST(a_range_grows_with_each_piece)
{
    for (uint64_t at = 0; at < BIG_SIZE; at += 3000)
        ck_assert_int_ge(copy_entry("big", T, "copy", T, at, at, 3000), 2192);
    ck_assert_int_eq(staging_count(DATA_FILE_END, 0), 0);
    ck_assert(holds(T, "copy", model.data, BIG_SIZE));
    ck_assert_int_eq(copy_entry("big", T, "copy", T, BIG_SIZE, BIG_SIZE, 10), 0);
    ck_assert_int_eq(copy_entry("c", T, "copy", T, 0, BIG_SIZE, 8), 8);
    ck_assert_int_eq(staging_count(DATA_FILE_END, 0), 1);
    ck_assert_int_eq(copy_entry("c", T, "copy", T, 0, INT64_MAX, 8), -EFBIG);
}

END_TEST

START_TEST(a_staged_tensor_that_is_copied_gives_bytes_and_declaration)
{
    put(T, "new", "12345678", 8);
    declare("new", "F32", "[2]");
    ck_assert_int_eq(copy_entry("new", T, "copy", T, 0, 0, 100), 8);
    ck_assert(holds(T, "copy", "12345678", 8));
    ck_assert_str_eq(declared("copy"), "F32 [2]");
    ck_assert_int_eq(copy_entry("new", T, "raw", R, 0, 0, 100), 8);
    ck_assert(holds(R, "raw", "12345678", 8));
}

END_TEST

START_TEST(an_npy_file_that_is_copied_is_a_range_too)
{
    size_t length;
    char *npy = content_of(N, "big.npy", &length);
    ck_assert_int_eq(copy_entry("big.npy", N, "copy.npy", N, 0, 0, length), (ssize_t)length);
    ck_assert_int_eq(staging_count(DATA_FILE_END, 0), 0);
    ck_assert(holds(N, "copy.npy", npy, length));
    ck_assert_int_eq(copy_entry("big.npy", N, "a.npy", N, 0, 5, 10), -EOPNOTSUPP);
    ck_assert_int_eq(copy_entry("big.npy", N, "raw", R, 0, 0, length), (ssize_t)length);
    ck_assert(holds(R, "raw", npy, length));
    free(npy);
}

END_TEST

/* --- names --- */

static bool listed(enum stage_place place, const char *name)
{
    struct stage_listing listing;
    bool found = false;
    ck_assert_int_eq(stage_list(model.stage, place, &listing), 0);
    for (size_t i = 0; i < listing.count; i++)
        found = found || strcmp(listing.names[i].file_name, name) == 0;
    stage_listing_free(&listing);
    return found;
}

START_TEST(a_directory_lists_what_can_be_looked_up)
{
    put(T, "new", "x", 1);
    put(T, ".hidden", "x", 1);
    put(N, "notes", "x", 1);
    put(R, "file", "x", 1);
    ck_assert_int_eq(unlink_tensor("a"), 0);
    ck_assert(listed(T, "big") && listed(T, "new") && listed(T, ".hidden") && !listed(T, "a"));
    ck_assert(listed(N, "big.npy") && !listed(N, "new.npy") && listed(N, "notes") && !listed(N, "a.npy"));
    ck_assert(listed(R, "metadata.json") && listed(R, "file") && !listed(R, "new"));
    ck_assert(!exists(T, "a") && !exists(N, "a.npy") && !exists(T, "no%zz") && !exists(R, "nothing"));
}

END_TEST

START_TEST(creating_answers_like_open)
{
    struct entry *entry = NULL;
    ck_assert_int_eq(stage_create(model.stage, T, "a", 0600, &entry), -EEXIST);
    ck_assert_int_eq(stage_create(model.stage, T, "no%zz", 0600, &entry), -EINVAL);
    ck_assert_int_eq(stage_create(model.stage, T, "new", 0640, &entry), 0);
    struct stage_attr attr;
    ck_assert_int_eq(entry_attr(model.stage, entry, T, &attr), 0);
    ck_assert_uint_eq(attr.mode, 0640);
    ck_assert(attr.is_linked);
    ck_assert_uint_gt(entry_id(entry), 5);
    ck_assert_int_eq(unlink_tensor("new"), 0);
    ck_assert_int_eq(entry_attr(model.stage, entry, T, &attr), 0);
    ck_assert(!attr.is_linked);
    ck_assert_int_eq(unlink_tensor("new"), -ENOENT);
    ck_assert_int_eq(unlink_tensor("no%zz"), -ENOENT);
    entry_unref(entry_ref(entry));
    entry_unref(entry);
}

END_TEST

START_TEST(an_unlinked_file_keeps_its_bytes_for_its_holders)
{
    struct stage_handle *handle = open_file(T, "a", O_RDWR);
    struct image *image = NULL;
    char data[16];
    ck_assert_int_eq(unlink_tensor("a"), 0);
    write_all(handle, "x", 1, 0);
    ck_assert_int_eq(stage_image(handle, &image), 0);
    ck_assert_int_eq(image_read(image, data, 16, 0), 16);
    model.data[BIG_SIZE] = 'x';
    ck_assert_mem_eq(data, model.data + BIG_SIZE, 16);
    image_unref(image);
    stage_release(handle);
    ck_assert_int_eq(staging_count(DATA_FILE_END, 0), 0);
}

END_TEST

START_TEST(times_and_counts_grow_with_each_change)
{
    uint64_t count = stage_change_count(model.stage);
    struct timespec time = stage_mtime(model.stage);
    struct timespec of_model = stage_model_time(model.stage);
    put(T, ".swp", "x", 1);
    ck_assert_uint_eq(stage_change_count(model.stage), count);
    ck_assert_int_eq(stage_model_time(model.stage).tv_nsec, of_model.tv_nsec);
    ck_assert(stage_mtime(model.stage).tv_sec > time.tv_sec ||
              stage_mtime(model.stage).tv_nsec > time.tv_nsec);
    patch(T, "a", "x", 1, 0);
    ck_assert_uint_gt(stage_change_count(model.stage), count);
}

END_TEST

/* --- attributes --- */

START_TEST(attributes_are_listed_set_and_removed)
{
    auto_bytes list = BYTES_EMPTY;
    auto_bytes value = BYTES_EMPTY;
    struct entry *entry = find(T, "a");
    ck_assert_int_eq(stage_xattr_list(model.stage, entry, &list), 0);
    ck_assert_uint_eq(list.length, sizeof "user.safetensors.dtype" + sizeof "user.safetensors.shape" +
                                       sizeof "user.safetensors.name");
    ck_assert_int_eq(stage_xattr_get(model.stage, entry, "user.safetensors.name", &value), 0);
    ck_assert_mem_eq(value.data, "a", 1);
    ck_assert_int_eq(stage_xattr_get(model.stage, entry, "user.other", &value), -ENODATA);
    ck_assert_int_eq(stage_xattr_set(model.stage, entry, "user.other", "x", 1), -EOPNOTSUPP);
    ck_assert_int_eq(stage_xattr_set(model.stage, entry, "user.safetensors.name", "other", 5), 0);
    ck_assert_int_eq(stage_xattr_set(model.stage, entry, "user.safetensors.dtype", "F99", 3), -EINVAL);
    ck_assert_int_eq(stage_xattr_set(model.stage, entry, "user.safetensors.shape", "[x]", 3), -EINVAL);
    ck_assert_uint_eq(total(), 0);
    ck_assert_int_eq(stage_xattr_remove(model.stage, entry, "user.safetensors.dtype"), 0);
    ck_assert_int_eq(stage_xattr_remove(model.stage, entry, "user.safetensors.shape"), 0);
    ck_assert_int_eq(stage_xattr_remove(model.stage, entry, "user.safetensors.dtype"), -ENODATA);
    ck_assert_str_eq(declared("a"), "? ?");
    ck_assert_str_eq(problems(), "DtypeUndeclared");
    declare("a", "F32", "[4]");
    ck_assert_uint_eq(total(), 0);
    entry_unref(entry);
}

END_TEST

START_TEST(an_attribute_set_on_a_draft_can_be_removed)
{
    put(N, "new.npy", "half", 4);
    ck_assert_int_eq(set_xattr(N, "new.npy", "user.safetensors.dtype", "F16"), 0);
    ck_assert_str_eq(declared("new"), "F16 ?");
    struct entry *entry = find(N, "new.npy");
    ck_assert_int_eq(stage_xattr_remove(model.stage, entry, "user.safetensors.dtype"), 0);
    ck_assert_str_eq(declared("new"), "? ?");
    entry_unref(entry);
}

END_TEST

START_TEST(a_shortened_name_needs_its_true_name)
{
    char name[301];
    char file_name[FILE_NAME_BUFFER];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    name_encode(name, sizeof name - 1, file_name);
    put(T, file_name, "1234", 4);
    ck_assert_str_eq(problems(), "NameUnknown DtypeUndeclared");
    model_reopen();
    ck_assert_int_eq(set_xattr(T, file_name, "user.safetensors.name", "wrong"), 0);
    ck_assert_int_eq(set_xattr(T, file_name, "user.safetensors.name", name), 0);
    declare(file_name, "U8", "[4]");
    ck_assert_str_eq(problems(), "");
    model_reopen();
    ck_assert(listed(T, file_name));
    ck_assert(holds(T, file_name, "1234", 4));
    commit_as_previewed();
    ck_assert_str_eq(declared(file_name), "U8 [4]");
}

END_TEST

/* --- discarding --- */

static int discard(const char *glob, struct wfs_error *err)
{
    char text[64];
    snprintf(text, sizeof text, "%s", glob);
    char *globs[] = {text};
    return stage_discard(model.stage, globs, 1, err);
}

START_TEST(one_name_of_a_rename_drops_both)
{
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(rename_tensor("a", "z", 0), 0);
        put(T, "c", "another.", 8);
        ck_assert_int_eq(discard(i ? "a" : "z", NULL), 0);
        ck_assert(exists(T, "a") && !exists(T, "z"));
        ck_assert(holds(T, "c", "another.", 8));
        ck_assert_uint_eq(total(), 1);
    }
    ck_assert_int_eq(discard("[cd]", NULL), 0);
    ck_assert_uint_eq(total(), 0);
}

END_TEST

START_TEST(a_literal_name_wins_over_a_glob)
{
    struct wfs_error err = {0};
    put(T, "x*", "1", 1);
    put(T, "xy", "2", 1);
    ck_assert_int_eq(discard("x*", NULL), 0);
    ck_assert(exists(T, "xy"));
    ck_assert_int_eq(discard("x*", NULL), 0);
    ck_assert(!exists(T, "xy"));
    ck_assert_int_eq(discard("x*", &err), -ENOENT);
    ck_assert_has(err.text, "x*");
    ck_assert_int_eq(discard("__metadata__", &err), -ENOENT);
    write_document("{\"__metadata__\":{\"k\":\"v\"}}");
    ck_assert_int_eq(discard("__metadata__", &err), 0);
    ck_assert_uint_eq(total(), 0);
}

END_TEST

START_TEST(a_discard_brings_the_model_back)
{
    put(T, "a", sixteen, 16);
    put(T, "new", "x", 1);
    struct stage_handle *reader = open_file(T, "a", O_RDONLY);
    ck_assert_int_eq(unlink_tensor("b"), 0);
    ck_assert_int_eq(stage_discard(model.stage, NULL, 0, NULL), 0);
    ck_assert(holds(T, "a", model.data + BIG_SIZE, 16));
    ck_assert(exists(T, "b") && !exists(T, "new"));
    stage_release(reader);
    ck_assert_int_eq(staging_count("", 0), -1);
}

END_TEST

/* --- read-only --- */

static void refuse_every_change(void)
{
    struct wfs_error err = {0};
    struct entry *entry = find(T, "a");
    struct stage_handle *handle = NULL;
    ck_assert_int_eq(stage_writable(model.stage, &err), -EROFS);
    ck_assert_int_eq(stage_open_entry(model.stage, entry, T, O_RDWR, &handle), -EROFS);
    ck_assert_int_eq(unlink_tensor("a"), -EROFS);
    ck_assert_int_eq(commit_with(&(struct commit_options){0}, &err), -EROFS);
    ck_assert_int_eq(stage_discard(model.stage, NULL, 0, NULL), -EROFS);
    ck_assert(holds(T, "a", model.data + BIG_SIZE, 16));
    entry_unref(entry);
}

START_TEST(a_read_only_stage_says_why)
{
    struct wfs_error err;
    model_close();
    ck_assert_int_eq(model_open_with(&(struct stage_options){.read_only = true, .link_dirfd = -1}, &err), 0);
    refuse_every_change();
    stage_writable(model.stage, &err);
    ck_assert_has(err.text, "-o ro");
    model_close();
    static const char blob[] = "/x/models--y/blobs/0123456789012345678901234567890123456789";
    ck_assert_int_eq(model_open_with(&(struct stage_options){.path = blob, .link_dirfd = -1}, &err), 0);
    refuse_every_change();
    stage_writable(model.stage, &err);
    ck_assert_has(err.text, "-o output=PATH");
}

END_TEST

START_TEST(staging_may_be_elsewhere)
{
    struct wfs_error err;
    char path[300];
    snprintf(path, sizeof path, "%s/elsewhere///", model.scratch.path);
    model_close();
    ck_assert_int_eq(model_open_with(&(struct stage_options){.staging = path, .link_dirfd = -1}, &err), 0);
    put(T, "a", sixteen, 16);
    ck_assert_str_eq(stage_directory(model.stage), path);
    ck_assert_int_eq(faccessat(model.scratch.fd, "elsewhere/journal", F_OK, 0), 0);
    ck_assert_int_eq(staging_count("", 0), -1);
    commit();
    ck_assert_int_eq(faccessat(model.scratch.fd, "elsewhere", F_OK, 0), -1);
    err = model_refusal(&(struct stage_options){.staging = "/nowhere/at/all", .link_dirfd = -1}, ENOENT);
    ck_assert_has(err.text, "/nowhere/at/all");
}

END_TEST

/* --- across a commit --- */

START_TEST(an_untouched_tensor_keeps_its_id_and_its_readers)
{
    struct entry *entry = find(T, "c");
    struct stage_handle *handle = open_file(T, "c", O_RDONLY);
    struct image *image = NULL;
    char data[8];
    uint64_t id = entry_id(entry);
    put(T, "a", sixteen, 16);
    ck_assert_int_eq(unlink_tensor("b"), 0);
    commit();
    struct entry *after = find(T, "c");
    ck_assert_ptr_eq(after, entry);
    ck_assert_uint_eq(entry_id(after), id);
    ck_assert_int_eq(stage_image(handle, &image), 0);
    ck_assert_int_eq(image_read(image, data, 8, 0), 8);
    ck_assert_mem_eq(data, model.data + BIG_SIZE + 28, 8);
    image_unref(image);
    stage_release(handle);
    entry_unref(after);
    entry_unref(entry);
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        looking_and_touching_stage_nothing,
        the_first_write_stages,
        a_change_of_size_stages_without_a_file_where_bytes_only_go,
        writes_go_where_they_are_told,
        fallocate_makes_room,
        a_whole_tensor_that_is_copied_is_a_range,
        a_tensor_copied_over_itself_is_unstaged,
        a_range_grows_with_each_piece,
        a_staged_tensor_that_is_copied_gives_bytes_and_declaration,
        an_npy_file_that_is_copied_is_a_range_too,
        a_directory_lists_what_can_be_looked_up,
        creating_answers_like_open,
        an_unlinked_file_keeps_its_bytes_for_its_holders,
        times_and_counts_grow_with_each_change,
        attributes_are_listed_set_and_removed,
        an_attribute_set_on_a_draft_can_be_removed,
        a_shortened_name_needs_its_true_name,
        one_name_of_a_rename_drops_both,
        a_literal_name_wins_over_a_glob,
        a_discard_brings_the_model_back,
        a_read_only_stage_says_why,
        staging_may_be_elsewhere,
        an_untouched_tensor_keeps_its_id_and_its_readers,
    };
    return RUN_STAGE_TESTS("stage", tests);
}
