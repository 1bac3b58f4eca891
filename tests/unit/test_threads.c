/* SPDX-License-Identifier: Apache-2.0
 *
 * Many at once: what they leave is what a commit writes and the preview showed. Made for ThreadSanitizer.
 */
#include "unit/staging.h"

#include <pthread.h>

#define WORKERS 4
#define ROUNDS  60

/* What a change may answer while others change the same names, or a commit runs. */
static void assert_expected(ssize_t r)
{
    ck_assert_msg(r >= 0 || r == -EBUSY || r == -ENOENT || r == -ESTALE || r == -EEXIST, "%zd", r);
}

static const char *const names[] = {"a", "b", "c", "x", "y"};

static const char *a_name(unsigned *seed)
{
    return names[(unsigned)rand_r(seed) % (sizeof names / sizeof *names)];
}

static struct entry *find_or_create(const char *name)
{
    struct entry *entry = find(PLACE_TENSORS, name);
    if (!entry)
        assert_expected(stage_create(model.stage, PLACE_TENSORS, name, 0600, &entry));
    return entry;
}

static void write_some(const char *name, unsigned *seed)
{
    struct stage_handle *handle = NULL;
    struct entry *entry = find_or_create(name);
    if (!entry)
        return;
    int flags = rand_r(seed) % 2 ? O_RDWR | O_TRUNC : O_RDWR;
    int r = stage_open_entry(model.stage, entry, PLACE_TENSORS, flags, &handle);
    assert_expected(r);
    if (r == 0) {
        assert_expected(stage_write(handle, "sixteen bytes...", 16, 0));
        assert_expected(stage_truncate(model.stage, entry, PLACE_TENSORS, 16));
        stage_release(handle);
    }
    entry_unref(entry);
}

static void declare_some(const char *name, unsigned *seed)
{
    struct entry *entry = find(PLACE_TENSORS, name);
    if (!entry)
        return;
    const char *dtype = rand_r(seed) % 2 ? "F32" : "I32";
    assert_expected(stage_xattr_set(model.stage, entry, "user.safetensors.dtype", dtype, 3));
    assert_expected(stage_xattr_set(model.stage, entry, "user.safetensors.shape", "[4]", 3));
    assert_expected(stage_sync_entry(model.stage, entry));
    entry_unref(entry);
}

static void look(const char *name)
{
    struct stage_listing listing = {0};
    struct stage_attr attr;
    struct image *image = NULL;
    struct stage_handle *handle = NULL;
    char data[64];
    ck_assert_int_eq(stage_list(model.stage, PLACE_TENSORS, &listing), 0);
    stage_listing_free(&listing);
    struct entry *entry = find(PLACE_TENSORS, name);
    if (!entry)
        return;
    assert_expected(entry_attr(model.stage, entry, PLACE_TENSORS, &attr));
    if (stage_open_entry(model.stage, entry, PLACE_TENSORS, O_RDONLY, &handle) == 0) {
        ck_assert_int_eq(stage_image(handle, &image), 0);
        ssize_t count = image_read(image, data, sizeof data, 0);
        ck_assert(count >= 0 || count == -ESTALE); /* cut by another thread meanwhile */
        image_unref(image);
        stage_release(handle);
    }
    entry_unref(entry);
}

static void *work(void *context)
{
    unsigned seed = *(const unsigned *)context;
    for (int i = 0; i < ROUNDS; i++) {
        const char *name = a_name(&seed);
        switch (rand_r(&seed) % 8) {
        case 0:
            assert_expected(rename_tensor(name, a_name(&seed), 0));
            break;
        case 1:
            assert_expected(rename_tensor(name, a_name(&seed), RENAME_EXCHANGE));
            break;
        case 2:
            assert_expected(unlink_tensor(name));
            break;
        case 3:
            declare_some(name, &seed);
            break;
        case 4:
            look(name);
            break;
        default:
            write_some(name, &seed);
        }
    }
    return NULL;
}

static void *commit_again_and_again(void *context)
{
    (void)context;
    for (int i = 0; i < 12; i++) {
        struct wfs_error err = {0};
        struct image *image = NULL;
        uint64_t change;
        auto_bytes report = BYTES_EMPTY;
        int r = commit_with(&(struct commit_options){.allow_empty = true}, &err);
        ck_assert_msg(r == 0 || r == -EINVAL || r == -EBUSY, "%d: %s", r, err.text);
        if (stage_preview(model.stage, &image, &change) == 0)
            image_unref(image);
        ck_assert_int_eq(stage_report_json(model.stage, &(struct stage_face){0}, &report), 0);
        (void)stage_check(model.stage, &err);
        usleep(2000);
    }
    return NULL;
}

static void run_workers(void *(*other)(void *context))
{
    pthread_t threads[WORKERS + 1];
    unsigned seeds[WORKERS] = {1, 2, 3, 4};
    for (int i = 0; i < WORKERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &seeds[i]), 0);
    ck_assert_int_eq(pthread_create(&threads[WORKERS], NULL, other, NULL), 0);
    for (int i = 0; i <= WORKERS; i++)
        pthread_join(threads[i], NULL);
}

/* The model as it is now, whatever the threads left undone. */
static void mend(void)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!exists(PLACE_TENSORS, names[i]))
            continue;
        put(PLACE_TENSORS, names[i], "sixteen bytes...", 16);
        declare(names[i], "F32", "[4]");
    }
}

START_TEST(what_many_threads_leave_is_committed_as_previewed)
{
    run_workers(commit_again_and_again);
    mend();
    ck_assert_str_eq(model.stage->document_error ? model.stage->document_error : "", "");
    generation_unref(model.generation);
    model.generation = stage_generation(model.stage);
    (void)problems();
    commit_as_previewed();
    ck_assert_uint_eq(stage_change_total(model.stage), 0);
}

END_TEST

static void *discard_again_and_again(void *context)
{
    (void)context;
    for (int i = 0; i < 12; i++) {
        struct wfs_error err = {0};
        char glob[] = "[abc]";
        char *some[] = {glob};
        int r = stage_discard(model.stage, some, (size_t)i % 2, &err);
        ck_assert_msg(r == 0 || r == -ENOENT || r == -EBUSY, "%d: %s", r, err.text);
        usleep(2000);
    }
    return NULL;
}

START_TEST(what_many_threads_leave_can_be_discarded)
{
    run_workers(discard_again_and_again);
    ck_assert_int_eq(stage_discard(model.stage, NULL, 0, NULL), 0);
    ck_assert_uint_eq(stage_change_total(model.stage), 0);
    ck_assert(holds(PLACE_TENSORS, "a", model.data + BIG_SIZE, 16));
}

END_TEST

/* Longer than a lock is held without waiting: a copy that takes its time, and a rename meanwhile. */
static void *rename_back_and_forth(void *context)
{
    (void)context;
    for (int i = 0; i < 200; i++) {
        assert_expected(rename_tensor("big", "large", 0));
        assert_expected(rename_tensor("large", "big", 0));
    }
    return NULL;
}

static void *declare_back_and_forth(void *context)
{
    struct entry *entry = context;
    for (int i = 0; i < 200; i++) {
        const char *dtype = i % 2 ? "F32" : "I32";
        ck_assert_int_eq(stage_xattr_set(model.stage, entry, "user.safetensors.dtype", dtype, 3), 0);
    }
    return NULL;
}

START_TEST(a_write_that_meets_a_rename_keeps_bytes_name_and_declaration)
{
    pthread_t renames;
    pthread_t declares;
    struct entry *entry = find(PLACE_TENSORS, "big");
    ck_assert_int_eq(pthread_create(&renames, NULL, rename_back_and_forth, NULL), 0);
    ck_assert_int_eq(pthread_create(&declares, NULL, declare_back_and_forth, entry), 0);
    for (int i = 0; i < 200; i++) {
        struct stage_handle *handle = NULL;
        int r =
            stage_open_entry(model.stage, entry, PLACE_TENSORS, i % 3 ? O_RDWR : O_RDWR | O_TRUNC, &handle);
        ck_assert_int_eq(r, 0);
        write_all(handle, model.data, BIG_SIZE, 0);
        ck_assert_int_eq(stage_sync_entry(model.stage, entry), 0);
        stage_release(handle);
    }
    pthread_join(renames, NULL);
    pthread_join(declares, NULL);
    entry_unref(entry);
    ck_assert(holds(PLACE_TENSORS, "big", model.data, BIG_SIZE));
    ck_assert(!exists(PLACE_TENSORS, "large"));
    ck_assert_str_eq(declared("big"), "F32 [2048]");
    model_reopen();
    ck_assert(holds(PLACE_TENSORS, "big", model.data, BIG_SIZE));
    ck_assert_str_eq(declared("big"), "F32 [2048]");
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_many_threads_leave_is_committed_as_previewed,
        what_many_threads_leave_can_be_discarded,
        a_write_that_meets_a_rename_keeps_bytes_name_and_declaration,
    };
    return RUN_STAGE_TESTS("threads", tests);
}
