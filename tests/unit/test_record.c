/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "stage/record.h"
#include "unit/scratch.h"

static const unsigned char shape_2_300[] = {2, 0xac, 2}; /* [2,300] packed */

static const struct key key = {SPACE_TENSOR, "layer.0.weight", 14};

static struct declaration a_declaration(void)
{
    return (struct declaration){
        .dtype = WFS_BF16,
        .has_shape = true,
        .rank = 2,
        .shape = (unsigned char *)(uintptr_t)shape_2_300,
        .shape_size = sizeof shape_2_300,
        .by = DECLARED_BY_NPY,
    };
}

static struct entry_state a_state(void)
{
    static char origin[] = "old";
    return (struct entry_state){
        .content = {.kind = CONTENT_SPOOL, .size = 1200, .spool_number = 7, .lead_in = 96},
        .declared = a_declaration(),
        .by_xattr = DECLARATION_NONE,
        .origin = origin,
        .origin_length = 3,
        .draft = true,
        .patched = true,
        .synced = true,
        .mode = 0640,
        .atime = {1,        2                   },
        .mtime = {3,             999999999     },
    };
}

static const struct base_identity identity = {
    .file = {.size = 1u << 30, .mtime = {1700000000, 123}, .inode = 77},
    .header_hash = 0xdeadbeef,
};

/* --- what comes back, as text --- */

static struct bytes told;

static int tell_base(void *context, const struct record_base *base)
{
    (void)context;
    bytes_printf(&told, "base %zu %lu %s %s;", (size_t)base->identity.file.size,
                 (unsigned long)base->identity.header_hash, base->boot_id, base->target);
    return 0;
}

static int tell_live(void *context, struct key found, struct record_state *record)
{
    const struct entry_state *state = &record->state;
    (void)context;
    bytes_printf(&told, "live %c %.*s kind %d size %zu number %u lead %zu source %.*s ", (char)found.space,
                 (int)found.length, found.name, (int)state->content.kind, (size_t)state->content.size,
                 state->content.spool_number, (size_t)state->content.lead_in, (int)record->source_length,
                 record->source ? record->source : "");
    declaration_print(&told, &state->declared);
    bytes_printf(&told, " by %d xattr %d origin %s flags %d%d%d%d%d%d mode %o times %ld.%ld %ld.%ld;",
                 (int)state->declared.by, (int)state->by_xattr.has_shape,
                 state->origin ? state->origin : "none", state->draft, state->npy_view, state->from_npy,
                 state->patched, state->synced, state->unsynced_lost, state->mode, (long)state->atime.tv_sec,
                 state->atime.tv_nsec, (long)state->mtime.tv_sec, state->mtime.tv_nsec);
    return 0;
}

static int tell_removed(void *context, struct key found, const struct declaration *last)
{
    (void)context;
    bytes_printf(&told, "removed %.*s ", (int)found.length, found.name);
    declaration_print(&told, last);
    bytes_char(&told, ';');
    return 0;
}

static int tell_forget(void *context, struct key found)
{
    (void)context;
    bytes_printf(&told, "forget %c%.*s;", (char)found.space, (int)found.length, found.name);
    return 0;
}

static int tell_metadata(void *context, bool staged, const struct metadata_map *map)
{
    (void)context;
    bytes_printf(&told, "metadata %d %d", staged, map->present);
    for (size_t i = 0; i < map->count; i++)
        bytes_printf(&told, " %.*s=%.*s", (int)map->pairs[i].key_length, map->pairs[i].key,
                     (int)map->pairs[i].value_length, map->pairs[i].value);
    bytes_char(&told, ';');
    return 0;
}

static int tell_intent(void *context, const struct base_identity *found)
{
    (void)context;
    bytes_printf(&told, "intent %d %d;", base_identity_equal(found, &identity), (int)found->file.inode);
    return 0;
}

static int tell_drop(void *context)
{
    bytes_string(&told, "drop;");
    return context ? -ECANCELED : 0;
}

static int tell_notes(void *context)
{
    (void)context;
    bytes_string(&told, "notes;");
    return 0;
}

static int tell_tensor(void *context, const struct record_tensor *tensor)
{
    (void)context;
    bytes_printf(&told, "tensor %.*s ", (int)tensor->name_length, tensor->name);
    declaration_print(&told, &tensor->declared);
    bytes_printf(&told, " %d %llx;", tensor->has_digest, (unsigned long long)tensor->digest);
    return 0;
}

static int tell_map(void *context, const struct metadata_map *map)
{
    bytes_string(&told, "map: ");
    return tell_metadata(context, false, map);
}

static struct record_sink sink = {NULL,        tell_base,     tell_live,   tell_removed,
                                  tell_forget, tell_metadata, tell_intent, tell_drop,
                                  tell_notes,  tell_tensor,   tell_map};

static int read_back(const void *payload, size_t length, struct wfs_error *err)
{
    bytes_clear(&told);
    int r = record_read(payload, length, &sink, err);
    bytes_char(&told, '\0');
    return r;
}

static void ck_assert_reads(const struct bytes *payload, const char *expected)
{
    struct wfs_error err = {0};
    ck_assert_msg(read_back(payload->data, payload->length, &err) == 0, "%s", err.text);
    ck_assert_str_eq(told.data, expected);
    bytes_clear(&told);
}

/* One item of each kind. */
static void put_everything(struct bytes *out)
{
    struct record_base base = {identity, "00000000-1111", "model.safetensors"};
    struct entry_state state = a_state();
    struct declaration last = a_declaration();
    struct metadata_pair pairs[] = {
        {"format", 6, "pt",   2},
        {"",       0, "none", 4}
    };
    struct metadata_map map = {true, 2, pairs};
    record_put_base(out, &base);
    record_put_live(out, key, &state);
    record_put_removed(out, key, &last);
    record_put_forget(out, key);
    record_put_metadata(out, true, &map);
    record_put_intent(out, &identity);
    record_put_drop(out);
    record_put_notes(out);
    record_put_tensor(out, &(struct record_tensor){"old", 3, last, true, 0xfeed});
    record_put_map(out, &map);
}

static const char everything[] =
    "base 1073741824 3735928559 00000000-1111 model.safetensors;"
    "live t layer.0.weight kind 2 size 1200 number 7 lead 96 source  BF16 [2,300] by 4 xattr 0 origin old "
    "flags 100110 mode 640 times 1.2 3.999999999;"
    "removed layer.0.weight BF16 [2,300];forget tlayer.0.weight;metadata 1 1 format=pt =none;intent 1 "
    "77;drop;notes;tensor old BF16 [2,300] 1 feed;map: metadata 0 1 format=pt =none;";

START_TEST(what_is_written_is_read)
{
    auto_bytes payload = BYTES_EMPTY;
    put_everything(&payload);
    ck_assert_reads(&payload, everything);
    bytes_clear(&payload);
    ck_assert_reads(&payload, "");
}

END_TEST

START_TEST(an_undeclared_state_and_an_absent_map_are_read)
{
    auto_bytes payload = BYTES_EMPTY;
    struct entry_state state = {.declared = DECLARATION_NONE, .by_xattr = DECLARATION_NONE};
    record_put_live(&payload, (struct key){SPACE_NPY, "x", 1}, &state);
    record_put_metadata(&payload, false, &(struct metadata_map){0});
    record_put_forget(&payload, (struct key){SPACE_DOCUMENT, "", 0});
    ck_assert_reads(&payload, "live n x kind 0 size 0 number 0 lead 0 source  ? [?] by 0 xattr 0 origin none "
                              "flags 000000 mode 0 times 0.0 0.0;metadata 0 0;forget m;");
}

END_TEST

START_TEST(a_cut_record_is_damage_and_nothing_behind_it_is_read)
{
    auto_bytes payload = BYTES_EMPTY;
    size_t whole = 0; /* prefixes that end where an item does */
    put_everything(&payload);
    for (size_t length = 0; length < payload.length; length++) {
        struct wfs_error err = {0};
        unsigned char *copy = malloc(length + !length);
        ck_assert_ptr_nonnull(copy);
        memcpy(copy, payload.data, length);
        int r = read_back(copy, length, &err);
        ck_assert(r == 0 || (r == -EIO && err.code == WFS_CODE_JOURNAL_DAMAGED));
        ck_assert_int_eq(strncmp(everything, told.data, strlen(told.data)), 0);
        whole += r == 0;
        free(copy);
    }
    ck_assert_uint_eq(whole, 10);
    bytes_clear(&told);
}

END_TEST

START_TEST(no_mutation_is_more_than_damage)
{
    auto_bytes payload = BYTES_EMPTY;
    unsigned seed = 1;
    put_everything(&payload);
    for (int round = 0; round < 20000; round++) {
        struct wfs_error err = {0};
        unsigned char *copy = malloc(payload.length);
        ck_assert_ptr_nonnull(copy);
        memcpy(copy, payload.data, payload.length);
        for (int i = rand_r(&seed) % 4; i >= 0; i--)
            copy[(size_t)rand_r(&seed) % payload.length] = (unsigned char)rand_r(&seed);
        int r = read_back(copy, payload.length, &err);
        ck_assert(r == 0 || (r == -EIO && err.code == WFS_CODE_JOURNAL_DAMAGED));
        free(copy);
    }
    bytes_clear(&told);
}

END_TEST

START_TEST(impossible_members_are_damage)
{
    struct entry_state states[6];
    for (size_t i = 0; i < 6; i++)
        states[i] = a_state();
    states[0].declared.rank = 3; /* of two numbers */
    states[1].declared.dtype = WFS_DTYPE_COUNT + 1;
    states[2].mtime.tv_nsec = 1000000000;
    states[3].content.lead_in = (uint64_t)1 << 62;
    states[4].declared.shape_size = 2; /* ends inside a number */
    states[5].content = (struct content){.kind = CONTENT_EMPTY, .size = 5};
    for (size_t i = 0; i < 6; i++) {
        struct wfs_error err = {0};
        auto_bytes payload = BYTES_EMPTY;
        record_put_live(&payload, key, &states[i]);
        ck_assert_msg(read_back(payload.data, payload.length, &err) == -EIO, "state %zu", i);
        ck_assert_int_eq(err.code, WFS_CODE_JOURNAL_DAMAGED);
    }
    struct wfs_error err = {0};
    ck_assert_int_eq(read_back("X", 1, &err), -EIO);
    ck_assert_int_eq(read_back("Fx\0\0\0\0\0\0\0\0", 10, &err), -EIO);
    ck_assert_int_eq(read_back("F\0\0\0\0\0\0\0\0\0", 10, &err), -EIO);
    bytes_clear(&told);
}

END_TEST

START_TEST(what_the_sink_returns_is_handed_back)
{
    auto_bytes payload = BYTES_EMPTY;
    record_put_drop(&payload);
    record_put_drop(&payload);
    sink.context = &sink;
    ck_assert_int_eq(read_back(payload.data, payload.length, NULL), -ECANCELED);
    ck_assert_str_eq(told.data, "drop;");
    bytes_clear(&told);
}

END_TEST

START_TEST(a_sink_need_not_care_for_every_kind_of_item)
{
    auto_bytes payload = BYTES_EMPTY;
    struct wfs_error err = {0};
    const struct record_sink silent = {.context = NULL};
    const struct record_sink of_drops = {.drop = tell_drop};
    bytes_clear(&told);
    put_everything(&payload);
    ck_assert_int_eq(record_read((unsigned char *)payload.data, payload.length, &silent, &err), 0);
    ck_assert_int_eq(record_read((unsigned char *)payload.data, payload.length, &of_drops, &err), 0);
    bytes_char(&told, '\0');
    ck_assert_str_eq(told.data, "drop;");
    bytes_string(&payload, "F");
    ck_assert_int_eq(record_read((unsigned char *)payload.data, payload.length, &silent, &err), -EIO);
    ck_assert_int_eq(err.code, WFS_CODE_JOURNAL_DAMAGED);
    bytes_clear(&told);
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_is_written_is_read,
        an_undeclared_state_and_an_absent_map_are_read,
        a_cut_record_is_damage_and_nothing_behind_it_is_read,
        no_mutation_is_more_than_damage,
        impossible_members_are_damage,
        what_the_sink_returns_is_handed_back,
        a_sink_need_not_care_for_every_kind_of_item,
    };
    return RUN_TESTS("record", tests);
}
