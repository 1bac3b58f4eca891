/* SPDX-License-Identifier: Apache-2.0
 *
 * The order in which a commit and an fsync reach the disk, and what happens when somebody comes in between.
 * The calls that matter are listened to: linked with --wrap=fsync,renameat,unlinkat,pwrite64.
 */
#include "unit/staging.h"

#include <limits.h>

#define T PLACE_TENSORS

static const char sixteen[] = "0123456789abcdef";

/* --- listening --------------------------------------------------------------------------------------- */

static char events[4096]; /* "sync data, sync journal, " */
static const char *trigger;
static int (*on_trigger)(void); /* called once before that event; non-zero: it fails with this errno */

int __real_fsync(int fd);
int __real_renameat(int from_dirfd, const char *from, int to_dirfd, const char *to);
int __real_unlinkat(int fd, const char *name, int flags);
ssize_t __real_pwrite64(int fd, const void *data, size_t length, off64_t offset);
int __wrap_fsync(int fd);
int __wrap_renameat(int from_dirfd, const char *from, int to_dirfd, const char *to);
int __wrap_unlinkat(int fd, const char *name, int flags);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t length, off64_t offset);

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text);
    return length >= strlen(end) && strcmp(text + length - strlen(end), end) == 0;
}

/* What a descriptor is in this play. */
static const char *part_of(int fd)
{
    char link[64];
    char path[PATH_MAX] = "";
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (readlink(link, path, sizeof path - 1) < 0)
        return "?";
    if (ends_with(path, "/journal"))
        return "journal";
    if (ends_with(path, ".bytes"))
        return "data";
    if (ends_with(path, STAGING))
        return "staging";
    return strstr(path, "(deleted)") || strstr(path, ".weightfs-") ? "target" : "directory";
}

/* 0, or the errno with which the call is to fail. */
static int happens(const char *what, const char *whom)
{
    char event[64];
    (void)snprintf(event, sizeof event, "%s %s, ", what, whom);
    if (strlen(events) + strlen(event) < sizeof events)
        strcat(events, event);
    if (!trigger || strncmp(event, trigger, strlen(trigger)) != 0)
        return 0;
    trigger = NULL;
    return on_trigger();
}

int __wrap_fsync(int fd)
{
    errno = happens("sync", part_of(fd));
    return errno ? -1 : __real_fsync(fd);
}

int __wrap_renameat(int from_dirfd, const char *from, int to_dirfd, const char *to)
{
    errno = happens("rename", to);
    return errno ? -1 : __real_renameat(from_dirfd, from, to_dirfd, to);
}

int __wrap_unlinkat(int fd, const char *name, int flags)
{
    errno = happens("drop", ends_with(name, ".bytes") ? "data" : name);
    return errno ? -1 : __real_unlinkat(fd, name, flags);
}

static const char *lie; /* what goes to the disk instead of a target's header */

ssize_t __wrap_pwrite64(int fd, const void *data, size_t length, off64_t offset)
{
    const char *part = part_of(fd);
    errno = happens("write", part);
    if (errno)
        return -1;
    if (lie && strcmp(part, "target") == 0 && offset == 0) {
        ck_assert_uint_ge(length, 8 + strlen(lie));
        char *bytes = malloc(length);
        ck_assert_ptr_nonnull(bytes);
        memcpy(bytes, data, 8);
        memset(bytes + 8, ' ', length - 8);
        memcpy(bytes + 8, lie, strlen(lie));
        ssize_t count = __real_pwrite64(fd, bytes, length, offset);
        free(bytes);
        return count;
    }
    return __real_pwrite64(fd, data, length, offset);
}

static void listen(const char *event, int (*then)(void))
{
    events[0] = '\0';
    trigger = event;
    on_trigger = then;
}

static void setup(void)
{
    lie = NULL;
    listen(NULL, NULL);
    model_setup();
}

/* Where the last such event is; every event of `before` lies before the first of `after`. */
static void in_order(const char *before, const char *after)
{
    const char *first = strstr(events, after);
    ck_assert_msg(first != NULL, "no '%s' in: %s", after, events);
    const char *found = strstr(events, before);
    ck_assert_msg(found != NULL && found < first, "no '%s' before '%s' in: %s", before, after, events);
}

static void none_after(const char *event, const char *after)
{
    const char *begin = strstr(events, after);
    ck_assert_msg(begin != NULL && !strstr(begin, event), "'%s' behind '%s' in: %s", event, after, events);
}

static void never(const char *event)
{
    ck_assert_msg(!strstr(events, event), "'%s' in: %s", event, events);
}

/* --- order ------------------------------------------------------------------------------------------- */

START_TEST(a_commit_syncs_in_order)
{
    put(T, "a", sixteen, 16);
    listen(NULL, NULL);
    commit();
    in_order("sync data, ", "write target, ");
    in_order("write target, ", "sync target, ");
    in_order("sync target, ", "rename " MODEL ", ");
    none_after("write target, ", "sync target, ");
    in_order("write journal, sync journal, ", "rename " MODEL ", ");
    in_order("sync journal, ", "rename " MODEL ", ");
    const char *renamed = strstr(events, "rename " MODEL ", ");
    ck_assert_msg(strstr(renamed, "sync directory, ") != NULL, "%s", events);
    in_order("rename " MODEL ", sync directory, ", "drop journal, ");
    in_order("rename " MODEL ", sync directory, ", "drop data, ");
}

END_TEST

START_TEST(an_intent_is_on_disk_before_the_rename)
{
    put(T, "a", sixteen, 16);
    ck_assert_int_eq(stage_sync_all(model.stage), 0);
    listen(NULL, NULL);
    commit(); /* all that is left to be journalled is the intent */
    in_order("sync target, ", "write journal, ");
    in_order("write journal, sync journal, ", "rename " MODEL ", ");
}

END_TEST

START_TEST(an_fsync_marks_what_is_on_disk)
{
    put(T, "a", sixteen, 16);
    struct entry *entry = find(T, "a");
    listen(NULL, NULL);
    ck_assert_int_eq(stage_sync_entry(model.stage, entry), 0);
    entry_unref(entry);
    in_order("sync data, ", "write journal, ");
    in_order("write journal, ", "sync journal, ");
    in_order("write journal, ", "sync staging, sync directory, ");
}

END_TEST

START_TEST(synced_bytes_lose_their_mark_before_they_change)
{
    put(T, "a", sixteen, 16);
    ck_assert_int_eq(stage_sync_all(model.stage), 0);
    listen(NULL, NULL);
    patch(T, "a", "x", 1, 3);
    in_order("write journal, sync journal, ", "write data, ");
}

END_TEST

START_TEST(synced_bytes_go_after_the_journal_stopped_naming_them)
{
    put(T, "a", sixteen, 16);
    put(T, "c", "8 bytes.", 8);
    ck_assert_int_eq(stage_sync_all(model.stage), 0);
    listen(NULL, NULL);
    ck_assert_int_eq(unlink_tensor("a"), 0);
    in_order("write journal, sync journal, ", "drop data, ");
}

END_TEST

START_TEST(a_discard_is_on_disk_before_bytes_go)
{
    put(T, "a", sixteen, 16);
    listen(NULL, NULL);
    ck_assert_int_eq(stage_discard(model.stage, NULL, 0, NULL), 0);
    in_order("write journal, sync journal, ", "drop data, ");
}

END_TEST

/* --- somebody comes in between ----------------------------------------------------------------------- */

static int replace_the_model(void)
{
    scratch_write(&model.scratch, MODEL, "somebody else's", 15);
    return 0;
}

START_TEST(a_model_changed_before_a_commit_costs_no_copy)
{
    struct wfs_error err;
    put(T, "a", sixteen, 16);
    replace_the_model();
    listen(NULL, NULL);
    ck_assert_int_eq(commit_with(&(struct commit_options){0}, &err), -ESTALE);
    never("write target, ");
    ck_assert(scratch_holds(&model.scratch, MODEL, "somebody else's", 15));
}

END_TEST

START_TEST(a_model_changed_during_a_commit_is_not_replaced)
{
    struct wfs_error err;
    put(T, "a", sixteen, 16);
    listen("sync target, ", replace_the_model);
    ck_assert_int_eq(commit_with(&(struct commit_options){0}, &err), -ESTALE);
    ck_assert(scratch_holds(&model.scratch, MODEL, "somebody else's", 15));
    ck_assert(holds(T, "a", sixteen, 16));
}

END_TEST

static int fail_with_eio(void)
{
    return EIO;
}

START_TEST(a_failed_rename_leaves_everything_as_it_was)
{
    struct wfs_error err;
    put(T, "a", sixteen, 16);
    listen("rename " MODEL, fail_with_eio);
    ck_assert_int_eq(commit_with(&(struct commit_options){0}, &err), -EIO);
    struct generation *generation = stage_generation(model.stage);
    ck_assert_ptr_eq(generation, model.generation);
    generation_unref(generation);
    ck_assert_uint_eq(stage_change_total(model.stage), 1);
    ck_assert(holds(T, "a", sixteen, 16));
    ck_assert_int_eq(scratch_count(&model.scratch), 2);
    commit_as_previewed();
}

END_TEST

static int cancel_now(void)
{
    stage_cancel(model.stage);
    return 0;
}

START_TEST(what_is_published_is_not_cancelled_any_more)
{
    put(T, "a", sixteen, 16);
    listen("rename " MODEL, cancel_now);
    commit_as_previewed();
    ck_assert_int_eq(model.stage->commit_state, COMMIT_DONE);
}

END_TEST

START_TEST(until_then_it_is)
{
    struct wfs_error err;
    put(T, "a", sixteen, 16);
    listen("sync target, ", cancel_now);
    ck_assert_int_eq(commit_with(&(struct commit_options){0}, &err), -ECANCELED);
    never("rename " MODEL);
    ck_assert(holds(T, "a", sixteen, 16));
}

END_TEST

/* --- a disk that lies -------------------------------------------------------------------------------- */

static void refused_lie(const char *header)
{
    struct wfs_error err;
    put(T, "a", sixteen, 16);
    lie = header;
    ck_assert_int_eq(commit_with(&(struct commit_options){0}, &err), -EIO);
    ck_assert_has(err.text, "what was written is not what was planned");
    lie = NULL;
    ck_assert(holds(T, "a", sixteen, 16));
    ck_assert_int_eq(scratch_count(&model.scratch), 2);
    commit_as_previewed();
}

START_TEST(a_file_that_is_not_as_planned_is_not_published)
{
    refused_lie("{\"big\":{\"dtype\":\"F32\",\"shape\":[2048],\"data_offsets\":[0,8192]},"
                "\"other\":{\"dtype\":\"U8\",\"shape\":[36],\"data_offsets\":[8192,8228]}}");
    refused_lie("{\"__metadata__\":{\"format\":\"PT\"},"
                "\"big\":{\"dtype\":\"F32\",\"shape\":[2048],\"data_offsets\":[0,8192]},"
                "\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[8192,8208]},"
                "\"b\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[8208,8220]},"
                "\"c\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[8220,8228]},"
                "\"none\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[8228,8228]}}");
}

END_TEST

/* --- errors of the disk are remembered --------------------------------------------------------------- */

START_TEST(a_write_that_failed_is_never_forgotten)
{
    struct wfs_error err;
    put(T, "a", sixteen, 16);
    struct stage_handle *handle = open_file(T, "a", O_WRONLY);
    listen("write data, ", fail_with_eio);
    ck_assert_int_eq(stage_write(handle, "x", 1, 0), -EIO);
    stage_release(handle);
    ck_assert_str_eq(problems(), "SpoolDamaged");
    ck_assert_int_eq(commit_with(&(struct commit_options){0}, &err), -EIO);
    ck_assert_has(err.text, "'a'");
    ck_assert_int_eq(unlink_tensor("a"), 0);
    put(T, "a", sixteen, 16);
    commit_as_previewed();
}

END_TEST

START_TEST(what_cannot_be_journalled_does_not_happen)
{
    put(T, "c", "8 bytes.", 8);
    listen("write journal, ", fail_with_eio);
    ck_assert_int_eq(unlink_tensor("a"), -EIO);
    ck_assert(exists(T, "a"));
    listen("write journal, ", fail_with_eio);
    ck_assert_int_eq(rename_tensor("b", "z", 0), -EIO);
    ck_assert(exists(T, "b") && !exists(T, "z"));
    ck_assert_uint_eq(stage_change_total(model.stage), 1);
    ck_assert_int_eq(unlink_tensor("a"), 0);
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_commit_syncs_in_order,
        an_intent_is_on_disk_before_the_rename,
        an_fsync_marks_what_is_on_disk,
        synced_bytes_lose_their_mark_before_they_change,
        synced_bytes_go_after_the_journal_stopped_naming_them,
        a_discard_is_on_disk_before_bytes_go,
        a_model_changed_before_a_commit_costs_no_copy,
        a_model_changed_during_a_commit_is_not_replaced,
        a_failed_rename_leaves_everything_as_it_was,
        what_is_published_is_not_cancelled_any_more,
        until_then_it_is,
        a_file_that_is_not_as_planned_is_not_published,
        a_write_that_failed_is_never_forgotten,
        what_cannot_be_journalled_does_not_happen,
    };
    return RUN_TESTS_WITH("order", tests, setup, model_teardown);
}
