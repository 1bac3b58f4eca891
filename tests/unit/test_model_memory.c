/* SPDX-License-Identifier: Apache-2.0
 *
 * Every allocation of a scenario fails once, the first, the second and so on, until the scenario succeeds:
 * each time there must be an error that says so, nothing leaked, and nothing left on disk.
 */
#include "model/extract.h"
#include "model/pack.h"
#include "model/repair.h"
#include "unit/scratch.h"

#include <stdbool.h>

#include <weightfs/weightfs.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
int main(void)
{
    puts("SKIP: the sanitizer has an allocator of its own");
    return 77;
}
#else

/* --- an allocator that fails on demand ------------------------------------------------------------------ */

extern void *__libc_malloc(size_t size);                 // NOLINT(bugprone-reserved-identifier)
extern void *__libc_calloc(size_t count, size_t size);   // NOLINT(bugprone-reserved-identifier)
extern void *__libc_realloc(void *pointer, size_t size); // NOLINT(bugprone-reserved-identifier)
extern void __libc_free(void *pointer);                  // NOLINT(bugprone-reserved-identifier)

static bool is_counting;
static size_t calls;
static size_t failing_call;
static long live;

static bool fails(void)
{
    if (!is_counting || ++calls != failing_call)
        return false;
    errno = ENOMEM;
    return true;
}

static void *counted(void *pointer)
{
    live += is_counting && pointer;
    return pointer;
}

WFS_API void *malloc(size_t size)
{
    return fails() ? NULL : counted(__libc_malloc(size));
}

WFS_API void *calloc(size_t count, size_t size)
{
    return fails() ? NULL : counted(__libc_calloc(count, size));
}

WFS_API void *realloc(void *pointer, size_t size)
{
    if (fails())
        return NULL;
    return pointer ? __libc_realloc(pointer, size) : counted(__libc_realloc(NULL, size));
}

WFS_API void free(void *pointer)
{
    live -= is_counting && pointer;
    __libc_free(pointer);
}

/* --- scenarios --------------------------------------------------------------------------------------------
 */

static struct scratch scratch;
static char model[300];
static char other[300];
static char directory[300];

static void setup(void)
{
    scratch = scratch_open();
    snprintf(model, sizeof model, "%s/model.safetensors", scratch.path);
    snprintf(other, sizeof other, "%s/other.safetensors", scratch.path);
    snprintf(directory, sizeof directory, "%s/directory", scratch.path);
}

static void teardown(void)
{
    scratch_close(&scratch);
}

#define TENSORS 40 /* more than the writer's first table holds */

/* Some names are so long that their files have shortened names. */
static void print_name(int i, char name[300])
{
    snprintf(name, 300, "%0*d", i % 7 ? 5 : 280, i);
}

static int write_tensors(struct wfs_writer *writer, struct wfs_error *err)
{
    static const uint64_t shape[] = {2, 2};
    char name[300];
    int r = wfs_writer_metadata(writer, "format", "pt", err);
    for (int i = 0; r == 0 && i < TENSORS; i++) {
        print_name(i, name);
        r = wfs_writer_declare(writer, name, WFS_F32, 2, shape, err);
    }
    for (int i = 0; r == 0 && i < TENSORS; i++) {
        print_name(i, name);
        r = wfs_writer_write_at(writer, name, 8, "abcdefgh", 8, err);
        if (r == 0)
            r = wfs_writer_write_at(writer, name, 0, "12345678", 8, err);
    }
    return r < 0 ? r : wfs_writer_finish(writer, err);
}

static int writing(struct wfs_error *err)
{
    static const struct wfs_writer_options options = {.crc = 1};
    struct wfs_writer *writer = NULL;
    int r = wfs_writer_create(model, &options, &writer, err);
    if (r == 0)
        r = write_tensors(writer, err);
    wfs_writer_close(writer);
    return r;
}

static int reading(struct wfs_error *err)
{
    struct wfs_reader *reader = NULL;
    struct wfs_tensor tensor;
    const void *bytes = NULL;
    int r = wfs_reader_open(model, 0, &reader, err);
    if (r == 0)
        r = wfs_reader_find(reader, "00001", &tensor, err);
    if (r == 0)
        r = wfs_reader_map(reader, &tensor, &bytes, err);
    wfs_reader_close(reader);
    return r;
}

/* An assertion allocates, too. */
static void expect(bool holds, const char *what)
{
    bool was_counting = is_counting;
    is_counting = false;
    ck_assert_msg(holds, "%s", what);
    is_counting = was_counting;
}

static int verifying(struct wfs_error *err)
{
    struct wfs_verify_options options = {.flags = WFS_READ_STSW, .crc = 1};
    struct wfs_verdict verdict;
    int r = wfs_verify_path(model, &options, NULL, NULL, &verdict, err);
    expect(r < 0 || (verdict.official == WFS_CODE_NONE && verdict.crc_count == TENSORS), "another verdict");
    return r;
}

/* Tensors of which one stands twice, written otherwise, and one again with equal bytes elsewhere. */
static void write_wrong_file(void)
{
    static const char header[] =
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
        "\"a\":[\"U8\",[1],[0,1]],\"b\":[\"U8\",[1],[1,2]],\"b\":[\"U8\",[1],[2,3]]}";
    unsigned char prefix[8] = {sizeof header - 1};
    FILE *file = fopen(model, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(prefix, sizeof prefix, 1, file), 1);
    fputs(header, file);
    fputs("122", file);
    ck_assert_int_eq(fclose(file), 0);
}

static int verifying_wrong(struct wfs_error *err)
{
    struct wfs_verdict verdict;
    int r = wfs_verify_path(model, NULL, NULL, NULL, &verdict, err);
    expect(r < 0 || (verdict.official == WFS_CODE_INVALID_OFFSET && verdict.error_count == 2),
           "another verdict");
    return r;
}

static void ignore(void *context, const char *sentence)
{
    (void)context;
    (void)sentence;
}

static int repairing(struct wfs_error *err)
{
    struct repair_options options = {.report = ignore, .replace = true};
    return repair_file(model, other, &options, err);
}

static int extracting(struct wfs_error *err)
{
    struct extract_options options = {.npy = true};
    struct generation *generation = NULL;
    int r = generation_open(AT_FDCWD, model, 0, 0, &generation, err);
    if (r == 0)
        r = extract_model(generation, directory, &options, err);
    generation_unref(generation);
    return r;
}

static int packing(struct wfs_error *err)
{
    struct pack_options options = {.replace = true};
    struct folder folder;
    int r = folder_open(directory, NULL, NULL, &folder, err);
    if (r == 0)
        r = pack_folder(&folder, other, &options, err);
    folder_close(&folder);
    return r;
}

/* What was extracted and packed is the model again; so is what was repaired without need. */
static bool is_the_model(void)
{
    char command[700];
    snprintf(command, sizeof command, "cmp -s '%s' '%s'", model, other);
    return system(command) == 0; // NOLINT: a test's own scratch directory
}

static int packing_the_same(struct wfs_error *err)
{
    int r = packing(err);
    bool was_counting = is_counting;
    is_counting = false;
    bool is_same = r < 0 || is_the_model();
    is_counting = was_counting;
    expect(r < 0 || is_same, "another model");
    return r;
}

/* --- the tests ------------------------------------------------------------------------------------------ */

/* Whether the scenario succeeded without coming to its allocation number `call`. */
static bool survives(int (*scenario)(struct wfs_error *err), size_t call)
{
    struct wfs_error err = {0};
    calls = 0;
    live = 0;
    failing_call = call;
    is_counting = true;
    int r = scenario(&err);
    is_counting = false;
    ck_assert_msg(live == 0, "allocation %zu failing leaves %ld blocks", call, live);
    if (r < 0) {
        ck_assert_msg(r == -ENOMEM && err.errnum == ENOMEM, "allocation %zu failing says: %d %s", call, r,
                      err.text);
        ck_assert_uint_gt(strlen(err.text), 0);
    }
    return r == 0 && calls < call;
}

static void clear_directory(void)
{
    char command[400];
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    ck_assert_int_eq(system(command), 0); // NOLINT: a test's own scratch directory
}

/* At most `files` files may lie there in the end, hidden ones included. */
static void fail_everywhere(int (*scenario)(struct wfs_error *err), int files, void (*between)(void))
{
    size_t call = 1;
    for (; !survives(scenario, call); call++) {
        if (between)
            between();
        ck_assert_int_le(scratch_count(&scratch), files);
        ck_assert_uint_lt(call, 20000);
    }
    ck_assert_uint_gt(call, 3);
}

START_TEST(writing_survives_every_failed_allocation)
{
    fail_everywhere(writing, 1, NULL);
    ck_assert_int_eq(scratch_count(&scratch), 1);
}

END_TEST

START_TEST(reading_survives_every_failed_allocation)
{
    struct wfs_error err = {0};
    ck_assert_int_eq(writing(&err), 0);
    fail_everywhere(reading, 1, NULL);
    fail_everywhere(verifying, 1, NULL);
}

END_TEST

START_TEST(repair_extract_and_pack_survive_every_failed_allocation)
{
    struct wfs_error err = {0};
    ck_assert_int_eq(writing(&err), 0);
    fail_everywhere(repairing, 2, NULL);
    ck_assert(is_the_model());
    fail_everywhere(extracting, 2, clear_directory);
    fail_everywhere(packing_the_same, 3, NULL);
    clear_directory();
}

END_TEST

START_TEST(verify_and_repair_of_a_wrong_file_survive_every_failed_allocation)
{
    write_wrong_file();
    fail_everywhere(verifying_wrong, 1, NULL);
    fail_everywhere(repairing, 2, NULL);
}

END_TEST

int main(void)
{
    const TTest *tests[] = {
        writing_survives_every_failed_allocation,
        reading_survives_every_failed_allocation,
        repair_extract_and_pack_survive_every_failed_allocation,
        verify_and_repair_of_a_wrong_file_survive_every_failed_allocation,
    };
    return RUN_TESTS_WITH("model_memory", tests, setup, teardown);
}
#endif
