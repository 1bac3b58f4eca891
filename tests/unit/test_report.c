/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/report.h"
#include "unit/staging.h"

#include <json-c/json.h>

#define T PLACE_TENSORS

static struct json_object *status;

static void drop_status(void)
{
    json_object_put(status);
    status = NULL;
}

static void read_status(const struct stage_face *face)
{
    auto_bytes out = BYTES_EMPTY;
    drop_status();
    ck_assert_int_eq(stage_report_json(model.stage, face, &out), 0);
    bytes_char(&out, '\0');
    status = json_tokener_parse(out.data);
    ck_assert_msg(status != NULL, "%s", out.data);
}

/* The member at a path of keys parted by dots, as text. */
static const char *at(const char *path)
{
    struct json_object *value = status;
    char key[64];
    while (*path) {
        size_t length = strcspn(path, ".");
        snprintf(key, sizeof key, "%.*s", (int)length, path);
        if (json_object_is_type(value, json_type_array))
            value = json_object_array_get_idx(value, (size_t)atoi(key));
        else
            ck_assert_msg(json_object_object_get_ex(value, key, &value), "no %s", path);
        path += length + (path[length] == '.');
    }
    return json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
}

static const char *text(void)
{
    static struct bytes out;
    const char *const notes[] = {"a note", NULL};
    struct stage_face face = {"/mnt/x", "/x/model", 42, notes};
    bytes_clear(&out);
    ck_assert_int_eq(stage_report_text(model.stage, &face, &out), 0);
    bytes_char(&out, '\0');
    return out.data;
}

START_TEST(every_kind_of_change_is_told)
{
    put(T, "new", "1234", 4);
    declare("new", "U8", "[4]");
    put(T, "a", "0123456789abcdef", 16);
    patch(T, "big", "x", 1, 0);
    ck_assert_int_eq(rename_tensor("b", "z", 0), 0);
    ck_assert_int_eq(unlink_tensor("none"), 0);
    declare("c", "I8", "[8]");
    put(T, "raw", "1", 1);
    put(PLACE_ROOT, "notes", "x", 1);
    put(T, ".swp", "x", 1);
    put(PLACE_NPY, "n", "x", 1);
    write_document("{\"__metadata__\":{\"format\":\"np\"}}");
    read_status(&(struct stage_face){0});
    ck_assert_str_eq(at("mountpoint"), "null");
    ck_assert_str_eq(at("pid"), "null");
    ck_assert_str_eq(at("read_only"), "false");
    static const char *const changes[][2] = {
        {"a",    "replaced"},
        {"big",  "patched" },
        {"c",    "declared"},
        {"new",  "added"   },
        {"none", "removed" },
        {"raw",  "added"   },
        {"z",    "renamed" },
    };
    for (int i = 0; i < 7; i++) {
        char path[64];
        char quoted[32];
        snprintf(path, sizeof path, "staging.changes.%d.tensor", i);
        snprintf(quoted, sizeof quoted, "\"%s\"", changes[i][0]);
        ck_assert_str_eq(at(path), quoted);
        snprintf(path, sizeof path, "staging.changes.%d.kind", i);
        snprintf(quoted, sizeof quoted, "\"%s\"", changes[i][1]);
        ck_assert_str_eq(at(path), quoted);
    }
    ck_assert_str_eq(at("staging.changes.6.from"), "\"b\"");
    ck_assert_str_eq(at("staging.changes.6.shape"), "[2,3]");
    ck_assert_str_eq(at("staging.changes.5.dtype"), "null");
    ck_assert_str_eq(at("staging.changes.4.size"), "0");
    ck_assert_str_eq(at("staging.metadata_changed"), "true");
    ck_assert_has(at("staging.scratch"), "\"tensors/.swp\"");
    ck_assert_has(at("staging.scratch"), "\"npy/n\"");
    ck_assert_has(at("staging.scratch"), "\"notes\"");
    ck_assert_str_eq(at("commit.state"), "\"idle\"");
    ck_assert_str_eq(at("last"), "null");
    ck_assert_has(text(), "8 staged changes, kept in ");
    ck_assert_has(text(), "  renamed   b -> z  BF16 [2,3]  12 bytes\n");
    ck_assert_has(text(), "mounted at: /mnt/x (pid 42)\n");
    drop_status();
}

END_TEST

START_TEST(problems_are_told_with_their_members)
{
    put(T, "a", "short", 5);
    declare("c", "I8", "[8]");
    ck_assert_int_eq(stage_check(model.stage, NULL), -EINVAL);
    read_status(&(struct stage_face){.mountpoint = "/m\xff", .source = "/x", .pid = 7});
    ck_assert_has(at("mountpoint"), "/m");
    ck_assert_str_eq(at("pid"), "7");
    ck_assert_has(at("staging.problems"), "\"severity\":\"warning\",\"code\":\"DtypeChanged\"");
    ck_assert_has(at("staging.problems"), "\"expected\":\"16\",\"found\":\"5\"");
    ck_assert_str_eq(at("last.verb"), "\"check\"");
    ck_assert_str_eq(at("last.ok"), "false");
    ck_assert_has(text(), "problem: tensor 'a': SizeMismatch: ");
    drop_status();
}

END_TEST

/* Whatever the hash of a name is, which is another one with each mount. */
START_TEST(what_is_alike_is_told_in_natural_order)
{
    auto_bytes document = BYTES_EMPTY;
    char members[64];
    char name[32];

    for (int i = 12; i-- > 0;) {
        snprintf(name, sizeof name, ".scratch.%d", i);
        put(T, name, "x", 1);
        bytes_printf(&document, "%s\"layer.%d\":{\"dtype\":\"U8\",\"shape\":[2]}", i == 11 ? "{" : ",", i);
    }
    bytes_string(&document, "}");
    put(PLACE_ROOT, "metadata.json", document.data, document.length);
    read_status(&(struct stage_face){0});
    for (int i = 0; i < 12; i++) {
        snprintf(members, sizeof members, "staging.problems.%d.tensor", i);
        snprintf(name, sizeof name, "\"layer.%d\"", i);
        ck_assert_str_eq(at(members), name);
        snprintf(members, sizeof members, "staging.scratch.%d", i);
        snprintf(name, sizeof name, "\"tensors/.scratch.%d\"", i);
        ck_assert_str_eq(at(members), name);
    }
    drop_status();
}

END_TEST

START_TEST(what_a_commit_did_is_told)
{
    struct wfs_error err = {0};
    put(T, "a", "0123456789abcdef", 16);
    commit();
    read_status(&(struct stage_face){0});
    ck_assert_str_eq(at("commit.state"), "\"done\"");
    ck_assert_str_eq(at("last.ok"), "true");
    ck_assert_str_eq(at("generation"), at("last.generation"));
    ck_assert_int_ge(atoi(at("last.written")), 100);
    ck_assert_int_ge(atoi(at("last.size")), (int)MODEL_DATA);
    ck_assert_has(text(), "last commit: done");
    scratch_write(&model.scratch, MODEL, "other", 5);
    put(T, "a", "fedcba9876543210", 16);
    ck_assert_int_eq(commit_with(&(struct commit_options){0}, &err), -ESTALE);
    ck_assert_has(text(), "last commit failed: ");
    stage_note(model.stage, &err);
    ck_assert_has(text(), "last refusal: ");
    drop_status();
}

END_TEST

START_TEST(nothing_staged_is_told_in_two_words)
{
    ck_assert_has(text(), "nothing staged\n");
    model_close();
    struct wfs_error err;
    ck_assert_int_eq(model_open_with(&(struct stage_options){.read_only = true, .link_dirfd = -1}, &err), 0);
    ck_assert_has(text(), "read-only: ");
}

END_TEST

static void ck_assert_mended(enum wfs_code code)
{
    char name[] = "it's\n$x";
    char shown[512];
    struct problem problem = {.code = code, .tensor = name, .tensor_length = strlen(name)};
    auto_bytes out = BYTES_EMPTY;
    remedy_print(&out, &problem, "/mnt", "/x/model");
    ck_assert_msg(out.length > 0, "%s has no remedy", wfs_code_name(code));
    snprintf(shown, sizeof shown, "%.*s", (int)out.length, out.data);
    ck_assert_msg(!strchr(shown, '%') || strstr(shown, "%0A"), "%s", shown);
    ck_assert_msg(strcspn(shown, "\n\33") == out.length, "%s", shown);
}

START_TEST(every_problem_has_a_command_that_mends_it)
{
#define RULE(symbol, name, kind, errnum, sentence, section)         \
    if (#kind[0] == 'S' && #kind[2] == 'A') /* STAGE, not STRICT */ \
        ck_assert_mended(WFS_CODE_##symbol);
#include <weightfs/rules.def>
#undef RULE

    static const enum wfs_code others[] = {
        WFS_CODE_VALIDATION_OVERFLOW,
        WFS_CODE_MISALIGNED_SLICE,
        WFS_CODE_HEADER_TOO_LARGE,
        WFS_CODE_BUSY,
        WFS_CODE_SOURCE_CHANGED,
        WFS_CODE_READ_ONLY,
        WFS_CODE_TARGET_EXISTS,
        WFS_CODE_NOT_PERMITTED,
        WFS_CODE_NO_SPACE,
        WFS_CODE_IO_FAILED,
        WFS_CODE_CANCELLED,
        WFS_CODE_JOURNAL_DAMAGED,
    };

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        ck_assert_mended(others[i]);
}

END_TEST

START_TEST(a_command_is_what_a_shell_reads)
{
    static const char *const expected[][2] = {
        {"plain",     "weightfs discard /mnt plain"      },
        {"two words", "weightfs discard /mnt 'two words'"},
        {"it's",      "weightfs discard /mnt $'it\\'s'"  },
        {"a\33b",     "weightfs discard /mnt $'a\\x1bb'" },
        {"-x",        "weightfs discard /mnt '-x'"       },
        {"",          "weightfs discard /mnt ''"         },
    };
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        char name[16];
        snprintf(name, sizeof name, "%s", expected[i][0]);
        struct problem problem = {
            .code = WFS_CODE_UNSYNCED_DATA, .tensor = name, .tensor_length = strlen(name)};
        auto_bytes out = BYTES_EMPTY;
        remedy_print(&out, &problem, "/mnt", "/x/model");
        bytes_char(&out, '\0');
        ck_assert_str_eq(out.data, expected[i][1]);
    }
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        every_kind_of_change_is_told,           problems_are_told_with_their_members,
        what_is_alike_is_told_in_natural_order, what_a_commit_did_is_told,
        nothing_staged_is_told_in_two_words,    every_problem_has_a_command_that_mends_it,
        a_command_is_what_a_shell_reads,
    };
    return RUN_STAGE_TESTS("report", tests);
}
