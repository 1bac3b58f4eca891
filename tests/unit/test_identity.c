/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/pending.h"
#include "unit/scratch.h"

#define MODEL "m.safetensors"
#define OTHER "other.safetensors"

static const char header[] = "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}      ";
static const char renamed[] = "{\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}      ";
static const struct timespec times[2] = {
    {1000, 1},
    {2000, 2}
};

static struct scratch scratch;
static struct base_identity identity;

/* A file of one size and one mtime, whatever its header. */
static void write_model(const char *name, const char *json)
{
    char bytes[8 + sizeof header - 1 + 4] = {(char)(sizeof header - 1)};
    int fd = openat(scratch.fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    memcpy(bytes + 8, json, sizeof header - 1);
    ck_assert_int_eq(write(fd, bytes, sizeof bytes), sizeof bytes);
    ck_assert_int_eq(futimens(fd, times), 0);
    close(fd);
}

static int check(const char *name)
{
    return base_identity_check(scratch.fd, name, &identity);
}

static void setup(void)
{
    struct generation *generation = NULL;
    scratch = scratch_open();
    write_model(MODEL, header);
    ck_assert_int_eq(generation_open(scratch.fd, MODEL, 0, 1, &generation, NULL), 0);
    identity = base_identity_of(generation);
    generation_unref(generation);
}

static void teardown(void)
{
    scratch_close(&scratch);
}

START_TEST(a_file_is_itself)
{
    ck_assert_int_eq(check(MODEL), 1);
}

END_TEST

START_TEST(a_copy_with_the_same_time_and_header_is_the_same)
{
    write_model(OTHER, header);
    ck_assert_int_eq(check(OTHER), 1);
}

END_TEST

START_TEST(another_header_of_the_same_size_and_time_is_another_model)
{
    write_model(OTHER, renamed);
    ck_assert_int_eq(check(OTHER), 0);
}

END_TEST

START_TEST(what_is_no_model_any_more_is_another)
{
    char text[8 + sizeof header - 1 + 4];
    memset(text, 'x', sizeof text);
    int fd = openat(scratch.fd, OTHER, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ck_assert_int_eq(write(fd, text, sizeof text), sizeof text);
    ck_assert_int_eq(futimens(fd, times), 0);
    close(fd);
    ck_assert_int_eq(check(OTHER), 0);
}

END_TEST

START_TEST(another_time_is_another_model)
{
    struct timespec later[2] = {
        times[0], {2000, 3}
    };
    ck_assert_int_eq(utimensat(scratch.fd, MODEL, later, 0), 0);
    ck_assert_int_eq(check(MODEL), 0);
}

END_TEST

START_TEST(a_link_a_pipe_and_nothing_are_no_model)
{
    ck_assert_int_eq(symlinkat(MODEL, scratch.fd, "link"), 0);
    ck_assert_int_eq(check("link"), 0);
    ck_assert_int_eq(mkfifoat(scratch.fd, "pipe", 0600), 0);
    ck_assert_int_eq(check("pipe"), 0);
    ck_assert_int_eq(check("nothing"), -ENOENT);
}

END_TEST

START_TEST(no_model_equals_no_model_only)
{
    struct base_identity none = {.none = true};
    ck_assert(base_identity_equal(&none, &none));
    ck_assert(!base_identity_equal(&none, &identity));
    ck_assert(base_identity_equal(&identity, &identity));
    ck_assert_int_eq(base_identity_check(scratch.fd, MODEL, &none), 0);
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_file_is_itself,
        a_copy_with_the_same_time_and_header_is_the_same,
        another_header_of_the_same_size_and_time_is_another_model,
        what_is_no_model_any_more_is_another,
        another_time_is_another_model,
        a_link_a_pipe_and_nothing_are_no_model,
        no_model_equals_no_model_only,
    };
    return RUN_TESTS_WITH("identity", tests, setup, teardown);
}
