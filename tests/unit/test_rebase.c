/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/record.h"
#include "stage/witness.h"
#include "unit/staging.h"

#define T PLACE_TENSORS

static const char sixteen[] = "0123456789abcdef";

static const struct stage_options plain = {.link_dirfd = -1};
static const struct stage_options rebasing = {.rebase = true, .link_dirfd = -1};
static const struct stage_options accepting = {.rebase = true, .accept_unsynced = true, .link_dirfd = -1};

/* The other version: the same five tensors, c first, big last. */
static const char moved_json[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                                 "\"c\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]},"
                                 "\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[8,24]},"
                                 "\"b\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[24,36]},"
                                 "\"big\":{\"dtype\":\"F32\",\"shape\":[2048],\"data_offsets\":[36,8228]},"
                                 "\"none\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[8228,8228]}}";

static const char *a_bytes(void)
{
    return model.data + BIG_SIZE;
}

static void write_moved(void)
{
    char data[MODEL_DATA];
    memcpy(data, model.data + BIG_SIZE + 28, 8);
    memcpy(data + 8, model.data + BIG_SIZE, 28);
    memcpy(data + 36, model.data, BIG_SIZE);
    model_write(MODEL, moved_json, data, sizeof data);
}

/* The same layout with one byte of a tensor changed and one more tensor. */
static void write_changed(size_t at)
{
    char json[1024];
    char data[MODEL_DATA + 2];
    memcpy(data, model.data, MODEL_DATA);
    data[MODEL_DATA] = data[MODEL_DATA + 1] = 7;
    data[at] ^= 1;
    snprintf(json, sizeof json,
             "%.*s,\"extra\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[8228,8230]}}",
             (int)(strrchr(model_json, '}') - model_json), model_json);
    model_write(MODEL, json, data, sizeof data);
}

#define IN_BIG 5
#define IN_A   (BIG_SIZE + 3)
#define IN_B   (BIG_SIZE + 17)
#define IN_C   (BIG_SIZE + 30)

static void rebase_onto(void)
{
    open_with(&rebasing);
}

static size_t staging_bytes(char *buffer, size_t size)
{
    char path[128];
    snprintf(path, sizeof path, STAGING "/" JOURNAL_NAME);
    int fd = openat(model.scratch.fd, path, O_RDONLY);
    ssize_t count = read(fd, buffer, size);
    close(fd);
    ck_assert_int_gt(count, 0);
    return (size_t)count;
}

/* Refused, with the journal as it was, but for a note of how far it is durable. */
static struct wfs_error refused(const struct stage_options *options)
{
    static char before[65536];
    static char after[65536];
    model_close();
    size_t size = staging_bytes(before, sizeof before);
    struct wfs_error err = model_refusal(options, ESTALE);
    ck_assert_int_eq(err.code, WFS_CODE_SOURCE_CHANGED);
    size_t grown = staging_bytes(after, sizeof after) - size;
    ck_assert_msg(grown == 0 || grown == 20, "the journal grew by %zu", grown);
    ck_assert_int_eq(memcmp(before, after, size), 0);
    model_close();
    return err;
}

static void ck_assert_conflict(const char *text)
{
    struct wfs_error err = refused(&rebasing);
    ck_assert_has(err.text, text);
}

/* Like edit_everything(), of tensors that must all be there in the other version. */
static void edit_what_moves(void)
{
    ck_assert_int_eq(unlink_tensor("none"), 0);
    put(T, "a", sixteen, 16);
    edit_most("{\"__metadata__\":{\"format\":\"np\"},\"later\":{\"dtype\":\"U8\",\"shape\":[1]}}");
}

static void ck_assert_everything(void)
{
    ck_assert(!exists(T, "none"));
    ck_assert(holds(T, "a", sixteen, 16));
    ck_assert_edited_most();
}

/* --- success --- */

START_TEST(every_kind_of_edit_is_taken_over_to_tensors_that_only_moved)
{
    edit_what_moves();
    model_close();
    write_moved();
    struct wfs_error err = refused(&plain);
    ck_assert_has(err.text, "--rebase");
    rebase_onto();
    ck_assert_everything();
    ck_assert_has(model.stage->resumed, "taken over to another version");
    ck_assert_int_eq(staging_count(JOURNAL_NEW_NAME, 0), 0);
    model_reopen(); /* belongs to the new version now */
    ck_assert_everything();
    ck_assert_str_eq(problems(), "(TensorMissing)");
    commit_as_previewed();
    ck_assert(holds(T, "z", model.data + BIG_SIZE + 16, 12));
}

END_TEST

START_TEST(edits_and_changes_of_different_tensors_meet)
{
    put(T, "a", sixteen, 16);
    ck_assert_int_eq(rename_tensor("b", "z", 0), 0);
    model_close();
    write_changed(IN_C);
    rebase_onto();
    ck_assert(holds(T, "a", sixteen, 16));
    ck_assert(holds(T, "extra", "\7\7", 2));
    model.data[IN_C] ^= 1;
    ck_assert(holds(T, "c", model.data + BIG_SIZE + 28, 8));
    ck_assert(!exists(T, "b"));
    commit_as_previewed();
}

END_TEST

START_TEST(the_same_model_is_just_resumed)
{
    put(T, "a", sixteen, 16);
    model_close();
    rebase_onto();
    ck_assert_has(model.stage->resumed, "resumed 1 staged change from");
    ck_assert_ptr_null(strstr(model.stage->resumed, "taken over"));
    ck_assert(holds(T, "a", sixteen, 16));
}

END_TEST

START_TEST(what_both_did_alike_is_no_edit_any_more)
{
    char changed[16];
    memcpy(changed, a_bytes(), 16);
    changed[3] ^= 1;
    put(T, "a", changed, 16);
    put(T, "extra", "\7\7", 2);
    declare("extra", "U8", "[2]");
    model_close();
    write_changed(IN_A);
    rebase_onto();
    ck_assert_uint_eq(stage_change_total(model.stage), 0);
    ck_assert(holds(T, "a", changed, 16));
    ck_assert_int_eq(staging_count(DATA_FILE_END, 0), -1);
}

END_TEST

START_TEST(a_rename_or_removal_that_was_committed_elsewhere_is_done)
{
    ck_assert_int_eq(rename_tensor("a", "y", 0), 0);
    ck_assert_int_eq(unlink_tensor("b"), 0);
    model_close();
    char data[MODEL_DATA];
    memcpy(data, a_bytes(), 16);
    model_write(MODEL, "{\"y\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", data, 16);
    rebase_onto();
    ck_assert_uint_eq(stage_change_total(model.stage), 0);
    ck_assert(holds(T, "y", a_bytes(), 16));
}

END_TEST

START_TEST(a_name_that_came_and_went_here_removes_nothing_there)
{
    put(T, "extra", "123", 3);
    ck_assert_int_eq(unlink_tensor("extra"), 0);
    put(T, "a", sixteen, 16);
    model_close();
    write_changed(IN_C);
    rebase_onto();
    ck_assert(holds(T, "extra", "\7\7", 2));
    ck_assert_uint_eq(stage_change_total(model.stage), 1);
}

END_TEST

START_TEST(a_second_version_is_met_as_the_first_was)
{
    put(T, "a", sixteen, 16);
    ck_assert_int_eq(rename_tensor("b", "z", 0), 0);
    model_close();
    write_moved();
    rebase_onto();
    model_close();
    write_changed(IN_C);
    rebase_onto();
    ck_assert(holds(T, "z", model.data + BIG_SIZE + 16, 12));
    model_close();
    write_changed(IN_B);
    ck_assert_conflict("'b' (removed here, changed there)");
}

END_TEST

/* --- refusals --- */

START_TEST(a_tensor_that_both_changed_is_named)
{
    put(T, "a", sixteen, 16);
    put(T, "c", "12345678", 8);
    model_close();
    write_changed(IN_A);
    struct wfs_error err = refused(&rebasing);
    ck_assert_has(err.text, "'a' (changed there, too)");
    ck_assert_ptr_null(strstr(err.text, "'c'"));
    ck_assert_has(err.text, "nothing was touched");
    model_write(MODEL, model_json, model.data, MODEL_DATA); /* another mtime, the same bytes */
    rebase_onto();
    ck_assert(holds(T, "a", sixteen, 16));
}

END_TEST

START_TEST(every_way_to_depend_on_changed_bytes_is_a_conflict)
{
    patch(T, "big", "x", 1, 0);
    model_close();
    write_changed(IN_BIG);
    ck_assert_conflict("'big' (changed there, too)");
}

END_TEST

START_TEST(a_rename_of_what_changed_is_a_conflict)
{
    ck_assert_int_eq(rename_tensor("a", "y", 0), 0);
    model_close();
    write_changed(IN_A);
    ck_assert_conflict("same: 'a' (removed here, changed there);");
}

END_TEST

START_TEST(a_copy_of_what_changed_is_a_conflict)
{
    copy_tensor(index_of("c"), "copy");
    model_close();
    write_changed(IN_C);
    ck_assert_conflict("'c' (changed there, too)");
}

END_TEST

START_TEST(a_declaration_of_what_changed_is_a_conflict)
{
    declare("a", "U8", "[16]");
    model_close();
    write_changed(IN_A);
    ck_assert_conflict("'a' (changed there, too)");
}

END_TEST

START_TEST(an_edit_of_what_is_gone_is_a_conflict)
{
    put(T, "a", sixteen, 16);
    copy_tensor(index_of("b"), "copy");
    model_close();
    model_write(MODEL, "{\"c\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]}}", model.data, 8);
    struct wfs_error err = refused(&rebasing);
    ck_assert_has(err.text, "'a' (removed there)");
    ck_assert_has(err.text, "'copy' (the tensor that has its bytes is not there any more)");
}

END_TEST

START_TEST(a_name_that_both_added_is_a_conflict)
{
    put(T, "extra", "123", 3);
    model_close();
    write_changed(IN_C);
    ck_assert_conflict("'extra' (added there, too)");
}

END_TEST

START_TEST(metadata_that_both_changed_is_a_conflict_and_equal_changes_are_none)
{
    write_document("{\"__metadata__\":{\"format\":\"np\"}}");
    model_close();
    char json[1024];
    snprintf(json, sizeof json, "%s", model_json);
    memcpy(strstr(json, "\"pt\""), "\"tf\"", 4);
    model_write(MODEL, json, model.data, MODEL_DATA);
    ck_assert_conflict("'__metadata__' (changed there, too)");
    memcpy(strstr(json, "\"tf\""), "\"np\"", 4);
    model_write(MODEL, json, model.data, MODEL_DATA);
    rebase_onto();
    ck_assert_uint_eq(stage_change_total(model.stage), 0);
}

END_TEST

START_TEST(many_conflicts_are_counted)
{
    for (char name[] = "n0"; name[1] <= '9'; name[1]++)
        put(T, name, "1", 1);
    model_close();
    auto_bytes json = BYTES_EMPTY;
    for (int i = 0; i < 10; i++)
        bytes_printf(&json, "%c\"n%d\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[%d,%d]}",
                     i ? ',' : '{', i, 2 * i, 2 * i + 2);
    bytes_string(&json, "}");
    bytes_char(&json, '\0');
    model_write(MODEL, json.data, model.data, 20);
    ck_assert_conflict("and 4 more; nothing was touched");
}

END_TEST

START_TEST(a_journal_without_notes_is_not_taken_over)
{
    put(T, "a", sixteen, 16);
    model_close();
    /* as an older weightfs wrote it: base and edit, and nothing of what they depend on */
    int fd = openat(model.scratch.fd, STAGING, O_RDONLY | O_DIRECTORY);
    struct journal *journal = NULL;
    auto_bytes payload = BYTES_EMPTY;
    struct record_base base = {
        {.file = {.size = 1}, .header_hash = 1},
        "boot", MODEL
    };
    ck_assert_int_eq(journal_create(fd, &journal, NULL), 0);
    record_put_base(&payload, &base);
    record_put_removed(&payload, (struct key){SPACE_TENSOR, "a", 1}, &DECLARATION_NONE);
    ck_assert_int_eq(journal_append(journal, payload.data, payload.length), 0);
    journal_close(journal);
    close(fd);
    ck_assert_conflict("did not note what they depend on");
}

END_TEST

/* --- what is known --- */

START_TEST(digests_of_large_tensors_are_made_on_the_way)
{
    static char large[WITNESS_AT_ONCE * 4];
    const char json[] = "{\"l\":{\"dtype\":\"U8\",\"shape\":[262144],\"data_offsets\":[0,262144]}}";
    ck_assert_uint_eq(sizeof large, 262144);
    model_close();
    model_write(MODEL, json, large, sizeof large);
    model_open();
    ck_assert_int_eq(rename_tensor("l", "m", 0), 0);
    model_close(); /* which waits for the digest a little */
    model_write(MODEL, json, large, sizeof large);
    rebase_onto();
    ck_assert(holds(T, "m", large, sizeof large));
    model_close();
    large[200000] = 1;
    model_write(MODEL, json, large, sizeof large);
    ck_assert_conflict("'l' (removed here, changed there)");
}

END_TEST

START_TEST(a_digest_that_was_not_made_in_time_is_said)
{
    put(T, "a", sixteen, 16);
    struct record_tensor tensor = {.name = "a", .name_length = 1};
    struct wfs_tensor now = generation_tensor(model.generation, index_of("a"));
    ck_assert_int_eq(declaration_of_tensor(&tensor.declared, &now, DECLARED_BY_MODEL), 0);
    auto_bytes payload = BYTES_EMPTY;
    record_put_tensor(&payload, &tensor);
    ck_assert_int_eq(journal_append(spool_journal(model.stage->spool), payload.data, payload.length), 0);
    declaration_clear(&tensor.declared);
    model_close();
    write_moved();
    ck_assert_conflict("'a' (whether it changed is not known)");
}

END_TEST

START_TEST(unsynced_data_stays_untrusted)
{
    put(T, "a", sixteen, 16);
    auto_bytes payload = BYTES_EMPTY;
    struct record_base base = {base_identity_of(model.generation), "another boot", MODEL};
    record_put_base(&payload, &base);
    ck_assert_int_eq(journal_append(spool_journal(model.stage->spool), payload.data, payload.length), 0);
    model.stage->is_open = false; /* closes without a sync, as if it was killed */
    model_close();
    write_moved();
    rebase_onto();
    ck_assert_has(problems(), "UnsyncedData");
    model_reopen();
    ck_assert_has(problems(), "UnsyncedData");
    model_close();
    struct wfs_error err;
    ck_assert_int_eq(model_open_with(&accepting, &err), 0);
    ck_assert_str_eq(problems(), "");
}

END_TEST

/* --- a crash on the way --- */

START_TEST(a_crash_leaves_the_old_journal_or_the_new)
{
    put(T, "a", sixteen, 16);
    model_close();
    write_moved();
    int fd = openat(model.scratch.fd, STAGING "/" JOURNAL_NEW_NAME, O_WRONLY | O_CREAT, 0600);
    ck_assert_int_eq(write(fd, "wfsjrn1\nhalf", 12), 12); /* before the rename: of no meaning */
    close(fd);
    refused(&plain);
    rebase_onto();
    ck_assert_int_eq(staging_count(JOURNAL_NEW_NAME, 0), 0);
    ck_assert(holds(T, "a", sixteen, 16));
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        every_kind_of_edit_is_taken_over_to_tensors_that_only_moved,
        edits_and_changes_of_different_tensors_meet,
        the_same_model_is_just_resumed,
        what_both_did_alike_is_no_edit_any_more,
        a_rename_or_removal_that_was_committed_elsewhere_is_done,
        a_name_that_came_and_went_here_removes_nothing_there,
        a_second_version_is_met_as_the_first_was,
        a_tensor_that_both_changed_is_named,
        every_way_to_depend_on_changed_bytes_is_a_conflict,
        a_rename_of_what_changed_is_a_conflict,
        a_copy_of_what_changed_is_a_conflict,
        a_declaration_of_what_changed_is_a_conflict,
        an_edit_of_what_is_gone_is_a_conflict,
        a_name_that_both_added_is_a_conflict,
        metadata_that_both_changed_is_a_conflict_and_equal_changes_are_none,
        many_conflicts_are_counted,
        a_journal_without_notes_is_not_taken_over,
        digests_of_large_tensors_are_made_on_the_way,
        a_digest_that_was_not_made_in_time_is_said,
        unsynced_data_stays_untrusted,
        a_crash_leaves_the_old_journal_or_the_new,
    };
    return RUN_STAGE_TESTS("rebase", tests);
}
