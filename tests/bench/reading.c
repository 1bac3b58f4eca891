/* SPDX-License-Identifier: Apache-2.0
 *
 * The reader of scripts/bench reading, the same for every side: obeys lines "VERB COUNT ARGUMENT", arguments
 * separated by tabs, and answers each with "ok NANOSECONDS" or "error SENTENCE", as weightfs.c does.
 *
 *     run    PROGRAM ...         to its end, its output thrown away
 *     into   OUT PROGRAM ...     to its end, its output a new file
 *     cats   FILE ...            one `cat` a file, all at once
 *     walk   FILE                maps it and touches every page in order
 *     random FILE                COUNT times 4 KiB at a random place
 *     blocks FILE SIZE           all of it in requests of SIZE bytes
 *     mount  FILE PROGRAM ...    a program that mounts and returns, then the first byte of FILE
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE           4096u
#define BLOCK_MAX      ((size_t)16 << 20)
#define ARGUMENTS_MAX  16
#define CHILDREN_MAX   8
#define LINE_MAX_BYTES 16384

static char block[BLOCK_MAX];

static uint64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* --- programs --------------------------------------------------------------------------------------------
 */

static int start(char **arguments, const char *output, pid_t *child)
{
    posix_spawn_file_actions_t actions;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int r = posix_spawnp(child, arguments[0], &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    return -r;
}

static int finish(pid_t child)
{
    int status;

    if (waitpid(child, &status, 0) < 0)
        return -errno;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECHILD;
}

static int run(char **arguments, const char *output)
{
    pid_t child;
    int r = start(arguments, output, &child);

    return r < 0 ? r : finish(child);
}

static int cats(char **files)
{
    pid_t children[CHILDREN_MAX];
    int count = 0;
    int r = 0;

    for (; r == 0 && files[count] && count < CHILDREN_MAX; count += r == 0)
        r = start((char *[]){(char[]){"cat"}, files[count], NULL}, "/dev/null", &children[count]);
    while (count > 0) {
        int ended = finish(children[--count]);
        if (ended < 0)
            r = ended;
    }
    return r;
}

/* --- reading ---------------------------------------------------------------------------------------------
 */

static int open_file(const char *path, off_t *ret_size)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    *ret_size = st.st_size;
    return fd;
}

static int walk(const char *path)
{
    off_t size;
    int fd = open_file(path, &size);
    if (fd < 0)
        return fd;

    volatile const char *bytes = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
    int r = bytes == MAP_FAILED ? -errno : 0;
    for (off_t at = 0; r == 0 && at < size; at += PAGE)
        (void)bytes[at];
    if (r == 0)
        munmap((void *)bytes, (size_t)size);
    close(fd);
    return r;
}

static int read_randomly(const char *path, unsigned long count)
{
    uint64_t state = 88172645463325252u;
    off_t size;
    int fd = open_file(path, &size);
    if (fd < 0)
        return fd;

    int r = 0;
    for (unsigned long i = 0; r == 0 && i < count; i++) {
        state ^= state << 13; /* xorshift */
        state ^= state >> 7;
        state ^= state << 17;
        off_t at = (off_t)(state % ((uint64_t)size / PAGE)) * PAGE;
        if (pread(fd, block, PAGE, at) != PAGE)
            r = -EIO;
    }
    close(fd);
    return r;
}

static int read_blocks(const char *path, size_t size)
{
    off_t file_size;
    ssize_t count;
    off_t done = 0;
    int fd = open_file(path, &file_size);
    if (fd < 0)
        return fd;

    while ((count = read(fd, block, size < BLOCK_MAX ? size : BLOCK_MAX)) > 0)
        done += count;
    close(fd);
    return done == file_size ? 0 : -EIO;
}

static int mount_and_read(const char *file, char **arguments)
{
    int r = run(arguments, "/dev/null");
    if (r < 0)
        return r;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    r = fd >= 0 && read(fd, block, 1) == 1 ? 0 : -EIO;
    if (fd >= 0)
        close(fd);
    return r;
}

/* --- the conversation ------------------------------------------------------------------------------------
 */

static int obey(const char *verb, unsigned long count, char **arguments)
{
    if (strcmp(verb, "run") == 0)
        return run(arguments, "/dev/null");
    if (strcmp(verb, "into") == 0)
        return run(arguments + 1, arguments[0]);
    if (strcmp(verb, "cats") == 0)
        return cats(arguments);
    if (strcmp(verb, "walk") == 0)
        return walk(arguments[0]);
    if (strcmp(verb, "random") == 0)
        return read_randomly(arguments[0], count);
    if (strcmp(verb, "blocks") == 0 && arguments[1])
        return read_blocks(arguments[0], strtoul(arguments[1], NULL, 10));
    if (strcmp(verb, "mount") == 0)
        return mount_and_read(arguments[0], arguments + 1);
    return -ENOSYS;
}

static void cut(char *text, char **arguments)
{
    size_t count = 0;

    for (char *rest = text; rest && count < ARGUMENTS_MAX; count++)
        arguments[count] = strsep(&rest, "\t");
    arguments[count] = NULL;
}

int main(void)
{
    char line[LINE_MAX_BYTES];
    char verb[16];
    unsigned long count;
    int at;

    while (fgets(line, sizeof line, stdin)) {
        char *arguments[ARGUMENTS_MAX + 1];

        line[strcspn(line, "\n")] = '\0';
        if (sscanf(line, "%15s %lu %n", verb, &count, &at) != 2)
            return 2;
        cut(line + at, arguments);
        uint64_t begun = now();
        int r = obey(verb, count, arguments);
        uint64_t ended = now();
        if (r < 0)
            printf("error %s: %s\n", verb, strerror(-r)); /* NOLINT(concurrency-mt-unsafe) */
        else
            printf("ok %" PRIu64 "\n", ended - begun);
        fflush(stdout);
    }
    return 0;
}
