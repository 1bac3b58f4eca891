/* SPDX-License-Identifier: Apache-2.0
 *
 * A directory of its own for each test that touches files, and the few calls that such tests repeat.
 */
#ifndef UNIT_SCRATCH_H
#define UNIT_SCRATCH_H

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct scratch {
    char path[256];
    int fd;
};

static inline struct scratch scratch_open(void)
{
    struct scratch scratch;
    const char *parent = getenv("TMPDIR");
    snprintf(scratch.path, sizeof scratch.path, "%s/weightfs-unit-XXXXXX", parent ? parent : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(scratch.path));
    scratch.fd = open(scratch.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(scratch.fd, 0);
    return scratch;
}

/* Entries of the directory, hidden ones too; removes them when asked to. */
static inline int scratch_walk(const struct scratch *scratch, int remove_them)
{
    DIR *directory = opendir(scratch->path);
    ck_assert_ptr_nonnull(directory);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        count++;
        if (remove_them)
            unlinkat(scratch->fd, entry->d_name, 0);
    }
    closedir(directory);
    return count;
}

static inline int scratch_count(const struct scratch *scratch)
{
    return scratch_walk(scratch, 0);
}

static inline void scratch_close(struct scratch *scratch)
{
    scratch_walk(scratch, 1);
    rmdir(scratch->path);
    close(scratch->fd);
}

static inline int scratch_open_file(const struct scratch *scratch, const char *name)
{
    int fd = openat(scratch->fd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    ck_assert_int_ge(fd, 0);
    return fd;
}

static inline void scratch_write(const struct scratch *scratch, const char *name, const void *data,
                                 size_t length)
{
    int fd = scratch_open_file(scratch, name);
    ck_assert_int_eq(ftruncate(fd, 0), 0);
    ck_assert_int_eq(write(fd, data, length), (ssize_t)length);
    close(fd);
}

/* Whether the file holds exactly these bytes. */
static inline int scratch_holds(const struct scratch *scratch, const char *name, const void *data,
                                size_t length)
{
    int fd = openat(scratch->fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    char *found = malloc(length + 2);
    ck_assert_ptr_nonnull(found);
    ssize_t count = read(fd, found, length + 1);
    int same = count == (ssize_t)length && memcmp(found, data, length) == 0;
    free(found);
    close(fd);
    return same;
}

struct test_run {
    const char *name;
    const TTest *const *tests;
    size_t count;
    int rounds; /* each test runs with _i from 0 to rounds - 1 */
    void (*setup)(void);
    void (*teardown)(void);
};

static inline int run_tests(const struct test_run *run)
{
    Suite *suite = suite_create(run->name);
    TCase *tcase = tcase_create(run->name);
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, run->setup, run->teardown);
    for (size_t i = 0; i < run->count; i++)
        tcase_add_loop_test(tcase, run->tests[i], 0, run->rounds);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#define RUN_TESTS_EACH(name, tests, rounds, setup, teardown) \
    run_tests(&(const struct test_run){name, tests, sizeof(tests) / sizeof *(tests), rounds, setup, teardown})
#define RUN_TESTS_WITH(name, tests, setup, teardown) RUN_TESTS_EACH(name, tests, 1, setup, teardown)
#define RUN_TESTS(name, tests)                       RUN_TESTS_WITH(name, tests, NULL, NULL)

#endif
