/* SPDX-License-Identifier: Apache-2.0 */
#include "model/convert.h"
#include "unit/staging.h"

#define T PLACE_TENSORS
#define N PLACE_NPY

/* A version 1 header of `size` bytes for descr, order and shape, and the data behind it. */
static void npy(struct bytes *out, const char *descr, bool fortran, const char *shape, size_t size,
                const void *data, size_t length)
{
    bytes_clear(out);
    bytes_append(out, "\x93NUMPY\x01\0", 8);
    unsigned char header_length[2] = {(unsigned char)((size - 10) & 255), (unsigned char)((size - 10) >> 8)};
    bytes_append(out, header_length, 2);
    bytes_printf(out, "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }", descr,
                 fortran ? "True" : "False", shape);
    while (out->length < size - 1)
        bytes_char(out, ' ');
    bytes_char(out, '\n');
    ck_assert_uint_eq(out->length, size);
    bytes_append(out, data, length);
}

static void arrive(const char *name, const char *descr, bool fortran, const char *shape, const void *data,
                   size_t length)
{
    auto_bytes file = BYTES_EMPTY;
    npy(&file, descr, fortran, shape, 128, data, length);
    put(N, name, file.data, file.length);
}

START_TEST(an_npy_file_declares_itself)
{
    arrive("new.npy", "<f4", false, "(2,)", "12345678", 8);
    ck_assert_str_eq(declared("new"), "F32 [2]");
    ck_assert(holds(T, "new", "12345678", 8));
    arrive("a.npy", "<i8", false, "(2, 1)", "0123456789abcdef", 16);
    ck_assert_str_eq(declared("a"), "I64 [2,1]");
    ck_assert_str_eq(problems(), "(DtypeChanged)");
    model_reopen();
    ck_assert(holds(T, "new", "12345678", 8));
    commit_as_previewed();
    ck_assert(holds(T, "new", "12345678", 8));
}

END_TEST

START_TEST(v2_is_bf16_unless_the_name_is_declared_otherwise)
{
    arrive("new.npy", "<V2", false, "(2,)", "1234", 4);
    ck_assert_str_eq(declared("new"), "BF16 [2]");
    write_document("{\"half\":{\"dtype\":\"F16\",\"shape\":[2]}}");
    arrive("half.npy", "|V2", false, "(2,)", "1234", 4);
    ck_assert_str_eq(declared("half"), "F16 [2]");
    arrive("a.npy", "<V2", false, "(8,)", "0123456789abcdef", 16);
    ck_assert_str_eq(declared("a"), "BF16 [8]"); /* F32 is no 16-bit dtype */
}

END_TEST

START_TEST(v1_needs_a_declaration_on_a_new_name)
{
    arrive("new.npy", "|V1", false, "(4,)", "1234", 4);
    ck_assert_str_eq(problems(), "DtypeUndeclared");
    ck_assert_int_eq(set_xattr(N, "new.npy", "user.safetensors.dtype", "F8_E4M3"), 0);
    ck_assert_str_eq(declared("new"), "F8_E4M3 [4]");
    ck_assert_str_eq(problems(), "");
    arrive("other.npy", "|V1", false, "(4,)", "1234", 4);
    ck_assert_str_eq(problems(), "DtypeUndeclared");
    write_document("{\"other\":{\"dtype\":\"F8_E5M2\",\"shape\":[4]}}");
    ck_assert_str_eq(declared("other"), "F8_E5M2 [4]");
    arrive("c.npy", "|V1", false, "(8,)", "12345678", 8);
    ck_assert_str_eq(declared("c"), "U8 [8]");
    ck_assert_str_eq(problems(), "");
}

END_TEST

START_TEST(u2_is_u16_unless_the_name_is_bf16)
{
    arrive("new.npy", "<u2", false, "(2,)", "1234", 4);
    ck_assert_str_eq(declared("new"), "U16 [2]");
    arrive("b.npy", "<u2", false, "(2, 3)", "abcdefghijkl", 12);
    ck_assert_str_eq(declared("b"), "BF16 [2,3]");
}

END_TEST

START_TEST(big_endian_elements_are_turned)
{
    arrive("new.npy", ">f4", false, "(2,)", "4321dcba", 8);
    ck_assert(holds(T, "new", "1234abcd", 8));
    arrive("complex.npy", ">c8", false, "(1,)", "4321dcba", 8);
    ck_assert(holds(T, "complex", "1234abcd", 8));
    ck_assert_int_eq(staging_count(DATA_FILE_END, 0), 2); /* what arrived is gone */
    commit_as_previewed();
}

END_TEST

static void arrive_synced(const char *name, const char *descr, const void *data, size_t length)
{
    auto_bytes file = BYTES_EMPTY;
    npy(&file, descr, false, "(2,)", 128, data, length);
    struct stage_handle *handle = open_file(N, name, O_WRONLY | O_CREAT | O_TRUNC);
    write_all(handle, file.data, file.length, 0);
    struct entry *entry = find(N, name);
    ck_assert_int_eq(stage_sync_entry(model.stage, entry), 0);
    entry_unref(entry);
    stage_release(handle);
}

static bool is_synced(const char *name)
{
    struct entry *entry = find(T, name);
    bool synced = entry->state.synced;
    entry_unref(entry);
    return synced;
}

START_TEST(what_was_fsynced_stays_so_when_it_is_turned)
{
    arrive_synced("turned.npy", ">f4", "4321dcba", 8);
    ck_assert(is_synced("turned"));
    arrive_synced("taken.npy", "<f4", "1234abcd", 8);
    ck_assert(is_synced("taken"));
    arrive("not.npy", ">f4", false, "(2,)", "4321dcba", 8);
    ck_assert(!is_synced("not"));
}

END_TEST

START_TEST(an_array_of_which_a_write_failed_is_not_turned)
{
    auto_bytes file = BYTES_EMPTY;
    npy(&file, ">f4", false, "(2,)", 128, "4321dcba", 8);
    struct stage_handle *handle = open_file(N, "new.npy", O_WRONLY | O_CREAT | O_TRUNC);
    write_all(handle, file.data, file.length, 0);
    struct entry *entry = find(N, "new.npy");
    file_latch(entry->state.content.spool, EIO);
    ck_assert_int_eq(stage_sync_entry(model.stage, entry), -EIO);
    entry_unref(entry);
    stage_release(handle);
    ck_assert_str_eq(problems(), "SpoolDamaged");
    model_reopen();
    ck_assert_str_eq(problems(), "SpoolDamaged");
    ck_assert_int_eq(stage_unlink(model.stage, N, "new.npy"), 0);
    arrive("new.npy", ">f4", false, "(2,)", "4321dcba", 8);
    ck_assert_str_eq(problems(), "");
}

END_TEST

START_TEST(fortran_order_is_turned)
{
    arrive("new.npy", "|u1", true, "(2, 3)", "142536", 6);
    ck_assert_str_eq(declared("new"), "U8 [2,3]");
    ck_assert(holds(T, "new", "123456", 6));
    arrive("deep.npy", ">i2", true, "(2, 1, 2)", "badcfehg", 8);
    ck_assert(holds(T, "deep", "abefcdgh", 8));
    arrive("flat.npy", "|u1", true, "(3,)", "123", 3);
    ck_assert(holds(T, "flat", "123", 3));
    arrive("none.npy", "|u1", true, "(0, 3)", "", 0);
    ck_assert_str_eq(declared("none"), "U8 [0,3]");
    ck_assert_str_eq(problems(), "");
}

END_TEST

START_TEST(more_elements_than_one_block_are_turned)
{
    size_t count = 300000; /* of 8 bytes: more than two blocks */
    uint64_t *data = malloc(count * 8);
    auto_bytes file = BYTES_EMPTY;
    for (size_t i = 0; i < count; i++)
        data[i] = __builtin_bswap64(i);
    npy(&file, ">u8", true, "(2, 150000)", 128, data, count * 8);
    put(N, "new.npy", file.data, file.length);
    for (size_t i = 0; i < count; i++) /* (row, column) is element column * 2 + row */
        data[i] = i % (count / 2) * 2 + i / (count / 2);
    ck_assert(holds(T, "new", data, count * 8));
    free(data);
}

END_TEST

START_TEST(longer_headers_and_later_versions_are_read)
{
    auto_bytes file = BYTES_EMPTY;
    npy(&file, "<f4", false, "(2,)", 1000, "12345678", 8);
    put(N, "long.npy", file.data, file.length);
    ck_assert(holds(T, "long", "12345678", 8));
    patch(T, "long", "ABCD", 4, 2);
    ck_assert(holds(T, "long", "12ABCD78", 8));
    struct stage_handle *handle = open_file(N, "long.npy", O_RDWR);
    write_all(handle, "ab", 2, 128); /* read back, its header is ours and has 128 bytes */
    stage_release(handle);
    ck_assert(holds(T, "long", "abABCD78", 8));
    commit_as_previewed();
    ck_assert(holds(T, "long", "abABCD78", 8));
}

END_TEST

START_TEST(what_is_incomplete_or_too_long_is_a_problem)
{
    auto_bytes file = BYTES_EMPTY;
    npy(&file, "<f4", false, "(2,)", 128, "12345678X", 9);
    put(N, "new.npy", file.data, file.length);
    ck_assert_str_eq(problems(), "NpyIncomplete");
    for (size_t length = 1; length < 136; length += 9) {
        put(N, "new.npy", file.data, length);
        ck_assert_str_eq(problems(), "NpyIncomplete");
    }
    put(N, "new.npy", file.data, 136);
    ck_assert_str_eq(problems(), "");
    put(N, "new.npy", "this is no .npy file at all", 27);
    ck_assert_str_eq(problems(), "NpyInvalid");
    npy(&file, "|O", false, "(2,)", 128, "12345678", 8);
    put(N, "new.npy", file.data, file.length);
    ck_assert_str_eq(problems(), "NpyInvalid");
    ck_assert_has(model.stage->last.problems.items[0].message, "object");
}

END_TEST

START_TEST(a_draft_is_seen_through_both_views)
{
    auto_bytes file = BYTES_EMPTY;
    npy(&file, "<f4", false, "(2,)", 128, "12345678", 8);
    struct stage_handle *handle = open_file(N, "new.npy", O_WRONLY | O_CREAT);
    struct entry *entry = find(T, "new");
    write_all(handle, file.data, 100, 0);
    ck_assert(holds(T, "new", "", 0));
    ck_assert_int_eq(stage_truncate(model.stage, entry, T, 4), -EINVAL);
    write_all(handle, file.data + 100, 32, 100);
    ck_assert(holds(T, "new", "1234", 4));
    ck_assert_int_eq(stage_truncate(model.stage, entry, T, 8), 0);
    patch(T, "new", "abcd", 4, 4);
    ck_assert_str_eq(problems(), "NpyIncomplete");
    ck_assert_has(model.stage->last.problems.items[0].message, "still being written");
    stage_release(handle);
    ck_assert(holds(T, "new", "1234abcd", 8));
    entry_unref(entry);
}

END_TEST

START_TEST(a_made_header_may_not_be_changed)
{
    size_t length;
    char *file = content_of(N, "a.npy", &length);
    struct stage_handle *handle = open_file(N, "a.npy", O_RDWR);
    struct entry *entry = find(N, "a.npy");
    write_all(handle, file, length, 0);
    ck_assert_int_eq(stage_write(handle, "X", 1, 20), -EINVAL);
    ck_assert_int_eq(stage_write(handle, file, 10, 3), -EINVAL);
    write_all(handle, file + 3, 10, 3);
    ck_assert_int_eq(stage_truncate(model.stage, entry, N, 100), -EINVAL);
    ck_assert_int_eq(stage_truncate(model.stage, entry, N, length), 0);
    stage_release(handle);
    ck_assert(holds(N, "a.npy", file, length));
    entry_unref(entry);
    free(file);
}

END_TEST

START_TEST(attributes_that_contradict_an_npy_header_are_a_problem)
{
    arrive("new.npy", "<f4", false, "(2,)", "12345678", 8);
    ck_assert_int_eq(set_xattr(N, "new.npy", "user.safetensors.dtype", "F32"), 0);
    ck_assert_str_eq(problems(), "");
    ck_assert_int_eq(set_xattr(N, "new.npy", "user.safetensors.shape", "[1,2]"), 0);
    ck_assert_str_eq(problems(), "NpyConflict");
    arrive("new.npy", "<f4", false, "(1, 2)", "12345678", 8);
    ck_assert_str_eq(problems(), "");
}

END_TEST

START_TEST(an_npy_file_in_tensors_is_a_problem)
{
    auto_bytes file = BYTES_EMPTY;
    npy(&file, "<f4", false, "(2,)", 128, "12345678", 8);
    put(T, "new", file.data, file.length);
    put(T, "a", file.data, file.length);
    ck_assert_str_eq(problems(), "NpyInTensors NpyInTensors");
}

END_TEST

START_TEST(a_tensor_without_an_npy_file_gets_one_by_arriving_as_one)
{
    put(T, "new", "1234", 4);
    ck_assert(!exists(N, "new.npy"));
    arrive("new.npy", "<f4", false, "(2,)", "12345678", 8);
    ck_assert_str_eq(declared("new"), "F32 [2]");
    ck_assert(holds(T, "new", "12345678", 8));
    ck_assert_int_eq(unlink_tensor("new"), 0);
    ck_assert_int_eq(stage_unlink(model.stage, N, "new.npy"), -ENOENT);
}

END_TEST

START_TEST(a_file_with_a_name_of_scratch_in_npy_is_not_read)
{
    arrive("notes.txt", "<f4", false, "(2,)", "12345678", 8);
    ck_assert_uint_eq(stage_change_total(model.stage), 0);
    ck_assert_int_eq(move(N, "notes.txt", N, "new.npy"), 0);
    ck_assert(holds(T, "new", "12345678", 8));
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        an_npy_file_declares_itself,
        v2_is_bf16_unless_the_name_is_declared_otherwise,
        v1_needs_a_declaration_on_a_new_name,
        u2_is_u16_unless_the_name_is_bf16,
        big_endian_elements_are_turned,
        what_was_fsynced_stays_so_when_it_is_turned,
        an_array_of_which_a_write_failed_is_not_turned,
        fortran_order_is_turned,
        more_elements_than_one_block_are_turned,
        longer_headers_and_later_versions_are_read,
        what_is_incomplete_or_too_long_is_a_problem,
        a_draft_is_seen_through_both_views,
        a_made_header_may_not_be_changed,
        attributes_that_contradict_an_npy_header_are_a_problem,
        an_npy_file_in_tensors_is_a_problem,
        a_tensor_without_an_npy_file_gets_one_by_arriving_as_one,
        a_file_with_a_name_of_scratch_in_npy_is_not_read,
    };
    return RUN_STAGE_TESTS("ingest", tests);
}
