/* SPDX-License-Identifier: Apache-2.0
 *
 * Every allocation of every operation on staging fails once, and then it and all behind it: who asked gets
 * -ENOMEM, nothing is staged by halves, the next try succeeds, and the next mount finds what this one had.
 * Linked with --wrap=malloc and its family.
 */
#include "unit/staging.h"

#define T PLACE_TENSORS

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *pointer, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *pointer, size_t size);

static atomic_bool armed;         /* a thread makes digests meanwhile */
static atomic_size_t allocations; /* since it was armed */
static size_t failing;            /* the one that fails */
static bool all_behind;           /* and those after it */

static bool fails(void)
{
    if (!armed)
        return false;
    size_t number = allocations++;
    bool refused = number == failing || (all_behind && number > failing);
    if (refused)
        errno = ENOMEM;
    return refused;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *pointer, size_t size)
{
    return fails() ? NULL : __real_realloc(pointer, size);
}

/* --- what is tried: nothing here asserts, since any of it may fail ---------------------------------------
 */

static int open_entry(enum stage_place place, const char *name, int flags, struct stage_handle **ret_handle)
{
    struct entry *entry = NULL;
    int r = stage_lookup(model.stage, place, name, &entry);

    if (r == -ENOENT && (flags & O_CREAT))
        r = stage_create(model.stage, place, name, 0600, &entry);
    if (r < 0)
        return r == -ENOENT ? -ENOMEM : r; /* the entry of a tensor that nobody touched is made now */
    r = stage_open_entry(model.stage, entry, place, flags, ret_handle);
    entry_unref(entry);
    return r;
}

static int write_file(enum stage_place place, const char *name, int flags, const void *data, size_t length)
{
    struct stage_handle *handle = NULL;
    int r = open_entry(place, name, flags, &handle);

    if (r < 0)
        return r;
    ssize_t count = stage_write(handle, data, length, 0);
    stage_release(handle);
    return count < 0 ? (int)count : 0;
}

static int try_create(void)
{
    struct entry *entry = NULL;
    int r = stage_create(model.stage, T, "new", 0600, &entry);
    entry_unref(entry);
    return r == -EEXIST ? 0 : r;
}

static int try_patch(void)
{
    return write_file(T, "big", O_WRONLY, "patched", 7);
}

static int try_write_again(void)
{
    return write_file(T, "b", O_WRONLY, "again", 5);
}

static int on_entry(const char *name, int (*change)(struct entry *entry))
{
    struct entry *entry = NULL;
    int r = stage_lookup(model.stage, T, name, &entry);
    if (r < 0)
        return -ENOMEM;
    r = change(entry);
    entry_unref(entry);
    return r;
}

static int cut(struct entry *entry)
{
    return stage_truncate(model.stage, entry, T, 100);
}

static int empty(struct entry *entry)
{
    return stage_truncate(model.stage, entry, T, 0);
}

static int try_truncate(void)
{
    return on_entry("big", cut);
}

static int try_empty(void)
{
    return on_entry("big", empty);
}

static int try_unlink(void)
{
    int r = unlink_tensor("c");
    return r == -ENOENT && allocations > failing ? -ENOMEM : r;
}

static int try_rename(void)
{
    int r = rename_tensor("c", "x", 0);
    return r == -ENOENT ? -ENOMEM : r;
}

static int try_rename_over(void)
{
    int r = rename_tensor("c", "b", 0);
    return r == -ENOENT ? -ENOMEM : r;
}

static int try_exchange(void)
{
    int r = rename_tensor("c", "b", RENAME_EXCHANGE);
    return r == -ENOENT ? -ENOMEM : r;
}

static int declare_dtype(struct entry *entry)
{
    return stage_xattr_set(model.stage, entry, "user.safetensors.dtype", "I8", 2);
}

static int declare_shape(struct entry *entry)
{
    return stage_xattr_set(model.stage, entry, "user.safetensors.shape", "[2,4]", 5);
}

static int undeclare(struct entry *entry)
{
    return stage_xattr_remove(model.stage, entry, "user.safetensors.dtype");
}

static int try_dtype(void)
{
    return on_entry("c", declare_dtype);
}

static int try_shape(void)
{
    return on_entry("c", declare_shape);
}

static int try_undeclare(void)
{
    return on_entry("b", undeclare);
}

static int try_copy(void)
{
    struct stage_handle *handle = NULL;
    int r = open_entry(T, "b", O_WRONLY, &handle);
    if (r < 0)
        return r;
    struct image *image = generation_tensor_image(model.generation, 3);
    struct stage_origin origin = {.generation = model.generation, .index = 3, .place = T};
    ssize_t count = image ? stage_copy(handle, 0, image, 0, image_length(image), &origin) : -ENOMEM;
    image_unref(image);
    stage_release(handle);
    return count < 0 ? (int)count : 0;
}

static int try_document(void)
{
    static const char text[] = "{\"c\":{\"dtype\":\"I8\"},\"later\":{\"shape\":[3]},"
                               "\"__metadata__\":{\"a\":\"b\",\"c\":\"d\"}}";
    int r = write_file(PLACE_ROOT, "metadata.json", O_WRONLY | O_TRUNC, text, sizeof text - 1);
    return r == 0 && model.stage->document_error ? -ENOMEM : r;
}

static int try_unlink_document(void)
{
    return stage_unlink(model.stage, PLACE_ROOT, "metadata.json");
}

static int try_rename_document(void)
{
    return stage_rename(model.stage, PLACE_ROOT, "metadata.json", PLACE_ROOT, "metadata.json~", 0);
}

static int try_npy(void)
{
    static const char npy[] = "\x93NUMPY\1\0\x3a\0{'descr':'>i2','fortran_order':True,'shape':(2,2),}      \n"
                              "\0\1\0\2\0\3\0\4";
    int r = write_file(PLACE_NPY, "array.npy", O_WRONLY | O_CREAT | O_TRUNC, npy, sizeof npy - 1);
    struct entry *entry = find(T, "array");
    bool is_draft = entry && entry->state.draft;
    entry_unref(entry);
    return r == 0 && is_draft ? -ENOMEM : r;
}

static int try_commit(void)
{
    struct wfs_error err = {0};
    return stage_commit(model.stage, &(const struct commit_options){0}, NULL, &err);
}

static int try_sync(void)
{
    return stage_sync_names(model.stage);
}

static int try_discard_one(void)
{
    char name[] = "b";
    char *names[] = {name};
    struct wfs_error err = {0};
    int r = stage_discard(model.stage, names, 1, &err);
    return r < 0 ? -err.errnum : r;
}

static int try_discard(void)
{
    return stage_discard(model.stage, NULL, 0, NULL);
}

static int try_check(void)
{
    return stage_check(model.stage, NULL);
}

static int try_json(void)
{
    auto_bytes out = BYTES_EMPTY;
    return stage_report_json(model.stage, &(const struct stage_face){0}, &out);
}

static int try_text(void)
{
    auto_bytes out = BYTES_EMPTY;
    return stage_report_text(model.stage, &(const struct stage_face){0}, &out);
}

static int try_preview(void)
{
    struct image *image = NULL;
    uint64_t change;
    int r = stage_preview(model.stage, &image, &change);
    image_unref(image);
    return r;
}

static int try_list(void)
{
    struct stage_listing listing;
    int r = stage_list(model.stage, T, &listing);
    if (r == 0)
        stage_listing_free(&listing);
    return r;
}

static int try_read(enum stage_place place, const char *name)
{
    struct image *image = NULL;
    struct stage_handle *handle = NULL;
    int r = open_entry(place, name, O_RDONLY, &handle);
    if (r < 0)
        return r;
    r = stage_image(handle, &image);
    image_unref(image);
    stage_release(handle);
    return r;
}

static int try_read_document(void)
{
    return try_read(PLACE_ROOT, "metadata.json");
}

static int try_read_npy(void)
{
    return try_read(PLACE_NPY, "c.npy");
}

static int try_open(void)
{
    struct wfs_error err = {0};
    stage_close(model.stage);
    model.stage = NULL;
    return model_open_with(&(struct stage_options){.link_dirfd = -1}, &err);
}

/* --- and how -------------------------------------------------------------------------------------------- */

static const struct attempt {
    const char *name;
    int (*run)(void);
    bool in_steps; /* some of them may have been done when it fails */
} attempts[] = {
    {"create",          try_create,          false},
    {"patch",           try_patch,           false},
    {"write again",     try_write_again,     false},
    {"truncate",        try_truncate,        false},
    {"empty",           try_empty,           false},
    {"unlink",          try_unlink,          false},
    {"rename",          try_rename,          false},
    {"rename over",     try_rename_over,     false},
    {"exchange",        try_exchange,        false},
    {"dtype",           try_dtype,           false},
    {"shape",           try_shape,           false},
    {"undeclare",       try_undeclare,       false},
    {"copy",            try_copy,            false},
    {"document",        try_document,        true },
    {"unlink document", try_unlink_document, false},
    {"rename document", try_rename_document, true },
    {"npy",             try_npy,             true },
    {"commit",          try_commit,          false},
    {"sync",            try_sync,            false},
    {"discard one",     try_discard_one,     false},
    {"discard",         try_discard,         false},
    {"check",           try_check,           false},
    {"JSON",            try_json,            false},
    {"text",            try_text,            false},
    {"preview",         try_preview,         false},
    {"list",            try_list,            false},
    {"read document",   try_read_document,   false},
    {"read npy",        try_read_npy,        false},
    {"open",            try_open,            false},
};

#define ATTEMPTS ((int)(sizeof(attempts) / sizeof(attempts[0])))

/* What is staged, as status tells it. */
static char *state_of_staging(void)
{
    auto_bytes out = BYTES_EMPTY;
    ck_assert_int_eq(stage_report_json(model.stage, &(const struct stage_face){0}, &out), 0);
    bytes_char(&out, '\0');
    char *state = strdup(strstr(out.data, "\"staging\":"));
    ck_assert_ptr_nonnull(state);
    *strstr(state, "\"commit\":") = '\0';
    return state;
}

static void begin(void)
{
    model_setup();
    put(T, "b", "abcdefghijkl", 12);
    declare("b", "I16", "[2,3]");
    ck_assert_int_eq(unlink_tensor("none"), 0);
    ck_assert_int_eq(rename_tensor("a", "renamed", 0), 0);
    write_document("{\"__metadata__\":{\"format\":\"np\"},\"later\":{\"dtype\":\"U8\"}}");
}

static int run(const struct attempt *attempt, size_t at, bool and_all_behind)
{
    allocations = 0;
    failing = at;
    all_behind = and_all_behind;
    armed = true;
    int r = attempt->run();
    armed = false;
    return r;
}

/* What is staged after a try with memory, and how many allocations that takes. */
static char *right_state(const struct attempt *attempt, size_t *ret_count)
{
    begin();
    int r = run(attempt, SIZE_MAX, false);
    ck_assert_msg(r == 0, "%s: %d", attempt->name, r);
    *ret_count = allocations;
    char *state = state_of_staging();
    model_teardown();
    return state;
}

static void try_without(const struct attempt *attempt, size_t at, bool and_all_behind, const char *right)
{
    begin();
    auto_free char *before = state_of_staging();
    int r = run(attempt, at, and_all_behind);
    ck_assert_msg(r == 0 || r == -ENOMEM, "%s, allocation %zu: %d", attempt->name, at, r);
    if (r < 0 && model.stage && !attempt->in_steps) {
        auto_free char *after = state_of_staging();
        ck_assert_msg(strcmp(before, after) == 0, "%s, allocation %zu: %s\n%s", attempt->name, at, before,
                      after);
    }
    if (r < 0)
        r = run(attempt, SIZE_MAX, false);
    ck_assert_msg(r == 0, "%s once more, allocation %zu: %d", attempt->name, at, r);
    auto_free char *now = state_of_staging();
    ck_assert_msg(strcmp(now, right) == 0, "%s, allocation %zu: %s\n%s", attempt->name, at, now, right);
    model_reopen();
    auto_free char *reopened = state_of_staging();
    ck_assert_msg(strcmp(reopened, right) == 0, "%s, allocation %zu: %s\n%s", attempt->name, at, reopened,
                  right);
    model_teardown();
}

START_TEST(an_operation_without_memory_changes_nothing)
{
    const struct attempt *attempt = &attempts[_i / 2];
    bool and_all_behind = _i % 2;
    size_t count;
    auto_free char *right = right_state(attempt, &count);
    for (size_t at = 0; at < count; at++)
        try_without(attempt, at, and_all_behind, right);
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {an_operation_without_memory_changes_nothing};
    return RUN_TESTS_EACH("staging_no_memory", tests, 2 * ATTEMPTS, NULL, NULL);
}
