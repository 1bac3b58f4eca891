/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/witness.h"
#include "unit/staging.h"

#include <signal.h>
#include <sys/resource.h>

#define T PLACE_TENSORS

static off_t journal_size(void)
{
    struct stat st;
    ck_assert_int_eq(fstatat(model.scratch.fd, STAGING "/" JOURNAL_NAME, &st, 0), 0);
    return st.st_size;
}

static void edit_everything_and_more(void)
{
    edit_everything();
    put(PLACE_NPY, "draft.npy", "\x93NUMPY", 6);
    write_document("{\"later\":{\"dtype\":\"U8\",\"shape\":[1]}}");
    write_document("{ half");
}

/* All that status tells, but for what tells of this mount. */
static char *state_of_staging(void)
{
    auto_bytes out = BYTES_EMPTY;
    const struct stage_face face = {0};
    ck_assert_int_eq(stage_report_json(model.stage, &face, &out), 0);
    bytes_char(&out, '\0');
    return bytes_take(&out);
}

static void rewrite(void)
{
    pthread_mutex_lock(&model.stage->lock);
    ck_assert_int_eq(stage_rewrite_journal(model.stage), 0);
    pthread_mutex_unlock(&model.stage->lock);
}

static void ck_assert_staged_everything(void)
{
    ck_assert_edited_everything();
    ck_assert(holds(PLACE_ROOT, "metadata.json", "{ half", 6));
    put(T, "a", "0123456789abcdef", 16); /* a removed name still knows what it was */
    ck_assert_str_eq(declared("a"), "F32 [4]");
    put(T, "later", "1", 1); /* and a declared one that has no file yet */
    ck_assert_str_eq(declared("later"), "U8 [1]");
}

START_TEST(a_journal_written_anew_says_the_same)
{
    edit_everything_and_more();
    auto_free char *before = state_of_staging();
    rewrite();
    model_reopen();
    auto_free char *after = state_of_staging();
    ck_assert_str_eq(before, after);
    ck_assert_staged_everything();
}

END_TEST

START_TEST(edits_go_on_in_a_journal_written_anew)
{
    edit_everything_and_more();
    rewrite();
    rewrite();
    put(T, "more", "1", 1);
    declare("more", "U8", "[1]");
    ck_assert_int_eq(rename_tensor("z", "y", 0), 0);
    ck_assert_int_eq(stage_sync_names(model.stage), 0);
    ck_assert_int_eq(rename_tensor("y", "z", 0), 0);
    model_reopen();
    ck_assert(holds(T, "more", "1", 1));
    ck_assert_staged_everything();
}

END_TEST

struct sizes {
    size_t whole, largest;
};

static int measure(void *context, const unsigned char *payload, size_t length, struct wfs_error *err)
{
    struct sizes *sizes = context;
    (void)payload, (void)err;
    sizes->whole += length;
    sizes->largest = length > sizes->largest ? length : sizes->largest;
    return 0;
}

static void declare_many(int count)
{
    auto_bytes document = BYTES_EMPTY;
    for (int i = 0; i < count; i++)
        bytes_printf(&document, "%c\"%0200d\":{\"dtype\":\"U8\",\"shape\":[1]}", i ? ',' : '{', i);
    bytes_string(&document, "}");
    put(PLACE_ROOT, "metadata.json", document.data, document.length);
}

START_TEST(a_long_journal_is_not_written_anew_in_one_piece)
{
    struct sizes sizes = {0};
    size_t good;
    declare_many(20000);
    rewrite();
    off_t size = journal_size();
    auto_free unsigned char *journal = malloc((size_t)size);
    int fd = openat(model.scratch.fd, STAGING "/" JOURNAL_NAME, O_RDONLY);
    ck_assert_int_eq(read(fd, journal, (size_t)size), size);
    close(fd);
    ck_assert_int_eq(journal_scan(journal, (size_t)size, measure, &sizes, &good, NULL), 0);
    ck_assert_uint_gt(sizes.whole, 4u << 20);
    ck_assert_uint_lt(sizes.largest, 2u << 20);
    model_reopen();
    ck_assert_uint_eq(model.stage->table.count, 20000);
}

END_TEST

START_TEST(many_edits_do_not_grow_the_journal)
{
    off_t most = 0;
    put(T, "x", "0123456789abcdef", 16);
    for (int i = 0; i < 20000; i++) {
        ck_assert_int_eq(rename_tensor(i % 2 ? "y" : "x", i % 2 ? "x" : "y", 0), 0);
        off_t size = i % 64 ? 0 : journal_size();
        most = size > most ? size : most;
    }
    ck_assert_int_gt(most, 900000); /* it did grow */
    ck_assert_int_lt(most, 1200000);
    model_reopen();
    ck_assert(holds(T, "x", "0123456789abcdef", 16));
    ck_assert(!exists(T, "y"));
    ck_assert_uint_eq(stage_change_total(model.stage), 1);
}

END_TEST

START_TEST(a_process_killed_at_any_moment_of_it_loses_nothing)
{
    for (int round = 0; round < 25; round++) {
        int ready[2];
        int status;
        ck_assert_int_eq(pipe(ready), 0);
        model_close();
        pid_t pid = fork();
        if (pid == 0) {
            model_open();
            put(T, "x", "0123456789abcdef", 16);
            ck_assert_int_eq(write(ready[1], "x", 1), 1);
            while (true)
                rewrite();
        }
        char byte;
        close(ready[1]);
        ck_assert_int_eq(read(ready[0], &byte, 1), 1);
        close(ready[0]);
        usleep((useconds_t)round * 300);
        kill(pid, SIGKILL);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert(WIFSIGNALED(status));
        model_open();
        ck_assert(holds(T, "x", "0123456789abcdef", 16));
        ck_assert_int_eq(staging_count(JOURNAL_NEW_NAME, 0), 0);
    }
}

END_TEST

START_TEST(without_room_the_old_journal_goes_on)
{
    struct rlimit limit = {2048, RLIM_INFINITY}; /* stands for a disk that is full */
    struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    for (char name[] = "many names 00"; name[11] < '4';
         name[12] == '9' ? (void)(name[12] = '0', name[11]++) : (void)name[12]++)
        put(T, name, "1", 1);
    off_t size = journal_size();
    ck_assert_int_gt(size, 2048);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    pthread_mutex_lock(&model.stage->lock);
    ck_assert_int_eq(stage_rewrite_journal(model.stage), -EFBIG);
    pthread_mutex_unlock(&model.stage->lock);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &unlimited), 0);
    ck_assert_int_eq(journal_size(), size);
    ck_assert_int_eq(staging_count(JOURNAL_NEW_NAME, 0), 0);
    put(T, "one more", "1", 1);
    model_reopen();
    ck_assert_uint_eq(stage_change_total(model.stage), 41);
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_journal_written_anew_says_the_same,
        edits_go_on_in_a_journal_written_anew,
        a_long_journal_is_not_written_anew_in_one_piece,
        many_edits_do_not_grow_the_journal,
        a_process_killed_at_any_moment_of_it_loses_nothing,
        without_room_the_old_journal_goes_on,
    };
    return RUN_STAGE_TESTS("compact", tests);
}
