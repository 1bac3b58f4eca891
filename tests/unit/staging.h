/* SPDX-License-Identifier: Apache-2.0
 *
 * A small model in a directory of its own with a stage upon it, and what tests of staging/ do with its files.
 */
#ifndef UNIT_STAGING_H
#define UNIT_STAGING_H

#include "base/bytes.h"
#include "stage/pending.h"
#include "unit/scratch.h"

#include <sys/wait.h>

#define MODEL         "model.safetensors"
#define STAGING       ".model.safetensors.staging"
#define BIG_SIZE      8192u
#define MODEL_DATA    (BIG_SIZE + 36u)
#define DATA_FILE_END ".bytes"

static const char model_json[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                                 "\"big\":{\"dtype\":\"F32\",\"shape\":[2048],\"data_offsets\":[0,8192]},"
                                 "\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[8192,8208]},"
                                 "\"b\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[8208,8220]},"
                                 "\"c\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[8220,8228]},"
                                 "\"none\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[8228,8228]}}   ";

struct staged_model {
    struct scratch scratch;
    struct generation *generation;
    struct stage *stage;
    char data[MODEL_DATA]; /* of the model */
};

static struct staged_model model;

/* Any header and data, written as a model. */
static inline void model_write(const char *name, const char *json, const void *data, size_t length)
{
    auto_bytes bytes = BYTES_EMPTY;
    uint64_t header = strlen(json);
    bytes_append(&bytes, &header, sizeof header);
    bytes_string(&bytes, json);
    bytes_append(&bytes, data, length);
    scratch_write(&model.scratch, name, bytes.data, bytes.length);
}

static inline int model_open_with(const struct stage_options *options, struct wfs_error *err)
{
    *err = (struct wfs_error){0};
    if (options->create) {
        ck_assert_int_eq(generation_empty(&model.generation, NULL), 0);
    } else if (!model.generation) {
        int r = generation_open(model.scratch.fd, MODEL, 0, 1, &model.generation, err);
        ck_assert_msg(r == 0, "%s", err->text);
    }
    return stage_open(model.scratch.fd, options->output ? "out.safetensors" : MODEL, model.generation,
                      options, &model.stage, err);
}

static inline void open_with(const struct stage_options *options)
{
    struct wfs_error err;
    int r = model_open_with(options, &err);
    ck_assert_msg(r == 0, "%s", err.text);
}

static inline void model_open(void)
{
    open_with(&(struct stage_options){.link_dirfd = -1});
}

static inline void model_close(void)
{
    stage_close(model.stage);
    generation_unref(model.generation);
    model.stage = NULL;
    model.generation = NULL;
}

static inline void model_reopen(void)
{
    model_close();
    model_open();
}

/* The refusal of an open that must fail. */
static inline struct wfs_error model_refusal(const struct stage_options *options, int errnum)
{
    struct wfs_error err;
    model_close();
    ck_assert_int_eq(model_open_with(options, &err), -errnum);
    ck_assert_ptr_null(model.stage);
    return err;
}

static inline void model_setup(void)
{
    model.scratch = scratch_open();
    for (size_t i = 0; i < MODEL_DATA; i++)
        model.data[i] = (char)(i * 7 + i / 256);
    model_write(MODEL, model_json, model.data, MODEL_DATA);
    model_open();
}

/* Entries of the staging directory whose name ends so; removes them when asked to. -1: there is none. */
static inline int staging_count(const char *ending, int remove_them)
{
    struct scratch staging = {.fd = openat(model.scratch.fd, STAGING, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (staging.fd < 0)
        return -1;
    DIR *directory = fdopendir(staging.fd);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(directory));) {
        size_t length = strlen(entry->d_name);
        if (entry->d_name[0] == '.' && strspn(entry->d_name, ".") == length)
            continue;
        if (length < strlen(ending) || strcmp(entry->d_name + length - strlen(ending), ending) != 0)
            continue;
        count++;
        if (remove_them)
            unlinkat(dirfd(directory), entry->d_name, 0);
    }
    closedir(directory);
    return count;
}

static inline void model_teardown(void)
{
    model_close();
    staging_count("", 1);
    unlinkat(model.scratch.fd, STAGING, AT_REMOVEDIR);
    scratch_close(&model.scratch);
}

/* --- files --- */

static inline struct entry *find(enum stage_place place, const char *name)
{
    struct entry *entry = NULL;
    return stage_lookup(model.stage, place, name, &entry) == 0 ? entry : NULL;
}

static inline bool exists(enum stage_place place, const char *name)
{
    struct entry *entry = find(place, name);
    entry_unref(entry);
    return entry != NULL;
}

static inline struct stage_handle *open_file(enum stage_place place, const char *name, int flags)
{
    struct stage_handle *handle = NULL;
    struct entry *entry = find(place, name);
    if (!entry && (flags & O_CREAT))
        ck_assert_int_eq(stage_create(model.stage, place, name, 0600, &entry), 0);
    ck_assert_msg(entry != NULL, "%s: no such file", name);
    ck_assert_int_eq(stage_open_entry(model.stage, entry, place, flags, &handle), 0);
    entry_unref(entry);
    return handle;
}

static inline void write_all(struct stage_handle *handle, const void *data, size_t length, uint64_t offset)
{
    ck_assert_int_eq(stage_write(handle, data, length, offset), (ssize_t)length);
}

/* open(O_TRUNC), write, close. */
static inline void put(enum stage_place place, const char *name, const void *data, size_t length)
{
    struct stage_handle *handle = open_file(place, name, O_WRONLY | O_CREAT | O_TRUNC);
    if (length)
        write_all(handle, data, length, 0);
    stage_release(handle);
}

static inline void patch(enum stage_place place, const char *name, const void *data, size_t length,
                         uint64_t offset)
{
    struct stage_handle *handle = open_file(place, name, O_RDWR);
    write_all(handle, data, length, offset);
    stage_release(handle);
}

/* The file's bytes; the caller frees. */
static inline char *content_of(enum stage_place place, const char *name, size_t *ret_length)
{
    struct image *image = NULL;
    struct stage_handle *handle = open_file(place, name, O_RDONLY);
    ck_assert_int_eq(stage_image(handle, &image), 0);
    *ret_length = (size_t)image_length(image);
    char *data = calloc(1, *ret_length + 1);
    ck_assert_ptr_nonnull(data);
    ck_assert_int_eq(image_read(image, data, *ret_length, 0), (ssize_t)*ret_length);
    image_unref(image);
    stage_release(handle);
    return data;
}

static inline bool holds(enum stage_place place, const char *name, const void *data, size_t length)
{
    size_t found;
    char *content = content_of(place, name, &found);
    bool same = found == length && memcmp(content, data, length) == 0;
    free(content);
    return same;
}

static inline int move(enum stage_place from, const char *from_name, enum stage_place to, const char *to_name)
{
    return stage_rename(model.stage, from, from_name, to, to_name, 0);
}

static inline int rename_tensor(const char *from, const char *to, unsigned flags)
{
    return stage_rename(model.stage, PLACE_TENSORS, from, PLACE_TENSORS, to, flags);
}

static inline int unlink_tensor(const char *name)
{
    return stage_unlink(model.stage, PLACE_TENSORS, name);
}

/* cp --reflink=auto of a tensor of the read-only tree. */
static inline void copy_tensor(size_t index, const char *to)
{
    struct image *image = generation_tensor_image(model.generation, index);
    struct stage_origin origin = {.generation = model.generation, .index = index, .place = PLACE_TENSORS};
    struct stage_handle *handle = open_file(PLACE_TENSORS, to, O_WRONLY | O_CREAT | O_TRUNC);
    uint64_t length = image_length(image);
    ck_assert_int_eq(stage_copy(handle, 0, image, 0, length, &origin), (ssize_t)length);
    stage_release(handle);
    image_unref(image);
}

static inline size_t index_of(const char *name)
{
    size_t index = SIZE_MAX;
    ck_assert(wfs_header_find(generation_header(model.generation), name, strlen(name), &index));
    return index;
}

/* "BF16 [2,3]" as the attributes have it; "? ?" without. The text lives until the next call. */
static inline const char *declared(const char *name)
{
    static char text[256];
    auto_bytes dtype = BYTES_EMPTY;
    auto_bytes shape = BYTES_EMPTY;
    struct entry *entry = find(PLACE_TENSORS, name);
    ck_assert_msg(entry != NULL, "%s: no such file", name);
    if (stage_xattr_get(model.stage, entry, "user.safetensors.dtype", &dtype) < 0)
        bytes_char(&dtype, '?');
    if (stage_xattr_get(model.stage, entry, "user.safetensors.shape", &shape) < 0)
        bytes_char(&shape, '?');
    entry_unref(entry);
    snprintf(text, sizeof text, "%.*s %.*s", (int)dtype.length, dtype.data, (int)shape.length, shape.data);
    return text;
}

static inline int set_xattr(enum stage_place place, const char *name, const char *attribute,
                            const char *value)
{
    struct entry *entry = find(place, name);
    ck_assert_msg(entry != NULL, "%s: no such file", name);
    int r = stage_xattr_set(model.stage, entry, attribute, value, strlen(value));
    entry_unref(entry);
    return r;
}

static inline void declare(const char *name, const char *dtype, const char *shape)
{
    ck_assert_int_eq(set_xattr(PLACE_TENSORS, name, "user.safetensors.dtype", dtype), 0);
    ck_assert_int_eq(set_xattr(PLACE_TENSORS, name, "user.safetensors.shape", shape), 0);
}

static inline void write_document(const char *text)
{
    put(PLACE_ROOT, "metadata.json", text, strlen(text));
}

/* Edits of each kind that leave the model's names as they are, but for `b`; the document has its `format`. */
static inline void edit_most(const char *document)
{
    put(PLACE_TENSORS, "new", "1234", 4);
    declare("new", "U8", "[2,2]");
    ck_assert_int_eq(rename_tensor("b", "z", 0), 0);
    patch(PLACE_TENSORS, "big", "patched", 7, 5000);
    copy_tensor(index_of("c"), "copy");
    put(PLACE_ROOT, "notes.txt", "scratch", 7);
    write_document(document);
}

static inline void ck_assert_edited_most(void)
{
    char big[BIG_SIZE];
    memcpy(big, model.data, BIG_SIZE);
    memcpy(big + 5000, "patched", 7);
    ck_assert(holds(PLACE_TENSORS, "new", "1234", 4));
    ck_assert_str_eq(declared("new"), "U8 [2,2]");
    ck_assert(!exists(PLACE_TENSORS, "b"));
    ck_assert(holds(PLACE_TENSORS, "z", model.data + BIG_SIZE + 16, 12));
    ck_assert(holds(PLACE_TENSORS, "big", big, BIG_SIZE));
    ck_assert(holds(PLACE_TENSORS, "copy", model.data + BIG_SIZE + 28, 8));
    ck_assert(holds(PLACE_ROOT, "notes.txt", "scratch", 7));
    ck_assert_uint_eq(model.stage->metadata.count, 1);
    ck_assert_str_eq(model.stage->metadata.pairs[0].value, "np");
}

/* One edit of each kind, but for drafts and what is not applied. */
static inline void edit_everything(void)
{
    ck_assert_int_eq(unlink_tensor("a"), 0);
    edit_most("{\"__metadata__\":{\"format\":\"np\"}}");
}

static inline void ck_assert_edited_everything(void)
{
    ck_assert(!exists(PLACE_TENSORS, "a"));
    ck_assert_edited_most();
}

/* Edits that a killed process left: made by a child that ends without a word. The model is closed then. */
static inline void killed_while(void (*edits)(void))
{
    int status;
    model_close();
    pid_t pid = fork();
    if (pid == 0) {
        model_open();
        edits();
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
}

/* --- verdicts --- */

/* The codes of what check finds, errors first letter upper, warnings in parentheses: "SizeMismatch (..)". */
static inline const char *problems(void)
{
    static char text[1024];
    struct wfs_error err = {0};
    int r = stage_check(model.stage, &err);
    text[0] = '\0';
    for (size_t i = 0; i < model.stage->last.problems.count; i++) {
        const struct problem *problem = &model.stage->last.problems.items[i];
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%s%s%s", used ? " " : "", problem->is_warning ? "(" : "",
                 wfs_code_name(problem->code), problem->is_warning ? ")" : "");
    }
    ck_assert_int_eq((r < 0), (model.stage->last.problems.errors > 0));
    ck_assert_int_eq(err.errnum, -r);
    return text;
}

static inline int commit_with(const struct commit_options *options, struct wfs_error *err)
{
    *err = (struct wfs_error){0};
    return stage_commit(model.stage, options, NULL, err);
}

/* A commit that must succeed; the generation of the fixture is the new one then. */
static inline void commit(void)
{
    struct wfs_error err;
    int r = commit_with(&(struct commit_options){0}, &err);
    ck_assert_msg(r == 0, "%s", err.text);
    generation_unref(model.generation);
    model.generation = stage_generation(model.stage);
}

/* What a commit would write; the caller frees. */
static inline char *preview(size_t *ret_length)
{
    struct image *image = NULL;
    uint64_t change;
    ck_assert_int_eq(stage_preview(model.stage, &image, &change), 0);
    *ret_length = (size_t)image_length(image);
    ck_assert_uint_eq(*ret_length, stage_preview_size(model.stage));
    char *data = malloc(*ret_length + 1);
    ck_assert_ptr_nonnull(data);
    ck_assert_int_eq(image_read(image, data, *ret_length, 0), (ssize_t)*ret_length);
    image_unref(image);
    return data;
}

/* Commits, and the file is what the preview showed. */
static inline void commit_as_previewed(void)
{
    size_t length;
    char *shown = preview(&length);
    commit();
    ck_assert(scratch_holds(&model.scratch, MODEL, shown, length));
    free(shown);
}

static inline void ck_assert_has(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "'%s' does not say '%s'", text, part);
}

#define RUN_STAGE_TESTS(name, tests) RUN_TESTS_WITH(name, tests, model_setup, model_teardown)

#endif
