/* SPDX-License-Identifier: Apache-2.0
 *
 * weightfs's side of scripts/bench: obeys lines "VERB COUNT PATH" and answers each with "ok NANOSECONDS" or
 * "error SENTENCE". Uses installed headers only. The other sides speak the same way: python_side.py and
 * crate/.
 *
 *     load   reads the 64 MiB that the writing verbs write again and again (not measured)
 *     open   opens the file and closes it, COUNT times
 *     verify, crc   without and with the checksums, COUNT times
 *     write  a model of 16 tensors, each of the loaded bytes, in blocks of 1 MiB, until it is on disk
 *     write-crc   the same with checksums
 *     plain  the same bytes by write(2) and fsync(2): what the disk costs whoever writes
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <weightfs/weightfs.h>

#define MIB     ((size_t)1 << 20)
#define LOADED  (64 * MIB)
#define BLOCK   MIB
#define TENSORS 16

static char loaded[LOADED];

static uint64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static int from_errno(const char *path, struct wfs_error *err)
{
    err->errnum = errno;
    snprintf(err->text, sizeof err->text, "%.500s: %s", path,
             strerror(errno)); // NOLINT(concurrency-mt-unsafe)
    return -err->errnum;
}

static int load(const char *path, struct wfs_error *err)
{
    FILE *file = fopen(path, "rbe");

    if (!file)
        return from_errno(path, err);
    errno = ENODATA;
    int r = fread(loaded, 1, sizeof loaded, file) == sizeof loaded ? 0 : from_errno(path, err);
    fclose(file);
    return r;
}

static int open_once(const char *path, struct wfs_error *err)
{
    struct wfs_reader *reader = NULL;
    int r = wfs_reader_open(path, 0, &reader, err);

    wfs_reader_close(reader);
    return r;
}

static int verify_once(const char *path, int crc, struct wfs_error *err)
{
    struct wfs_verify_options options = {.crc = crc};
    struct wfs_verdict verdict;
    int r = wfs_verify_path(path, &options, NULL, NULL, &verdict, err);

    if (r == 0 && (!verdict.is_valid || (crc && verdict.crc_count != verdict.tensor_count))) {
        snprintf(err->text, sizeof err->text, "%.500s: found invalid", path);
        return -EINVAL;
    }
    return r;
}

/* --- writing ------------------------------------------------------------------------------------------- */

static const char *tensor_name(int index)
{
    static char name[32];

    snprintf(name, sizeof name, "blocks.%02d.weight", index);
    return name;
}

static int declare_all(struct wfs_writer *writer, struct wfs_error *err)
{
    static const uint64_t shape[] = {LOADED / 4096 / sizeof(float), 4096};
    int r = 0;

    for (int i = 0; r == 0 && i < TENSORS; i++)
        r = wfs_writer_declare(writer, tensor_name(i), WFS_F32, 2, shape, err);
    return r;
}

static int append_all(struct wfs_writer *writer, struct wfs_error *err)
{
    int r = 0;

    for (int i = 0; r == 0 && i < TENSORS; i++)
        for (size_t at = 0; r == 0 && at < LOADED; at += BLOCK)
            r = wfs_writer_append(writer, tensor_name(i), loaded + at, BLOCK, err);
    return r;
}

static int write_once(const char *path, int crc, struct wfs_error *err)
{
    struct wfs_writer_options options = {.crc = crc};
    struct wfs_writer *writer = NULL;
    int r = wfs_writer_create(path, &options, &writer, err);

    if (r == 0)
        r = declare_all(writer, err);
    if (r == 0)
        r = append_all(writer, err);
    if (r == 0)
        r = wfs_writer_finish(writer, err);
    wfs_writer_close(writer);
    return r;
}

static int write_plainly(const char *path, struct wfs_error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    int r = 0;

    if (fd < 0)
        return from_errno(path, err);
    for (int i = 0; r == 0 && i < TENSORS; i++)
        for (size_t at = 0; r == 0 && at < LOADED; at += BLOCK)
            if (write(fd, loaded + at, BLOCK) != (ssize_t)BLOCK)
                r = from_errno(path, err);
    if (r == 0 && fsync(fd) != 0)
        r = from_errno(path, err);
    close(fd);
    return r;
}

/* --- the conversation ------------------------------------------------------------------------------------
 */

static int obey_once(const char *verb, const char *path, struct wfs_error *err)
{
    if (strcmp(verb, "load") == 0)
        return load(path, err);
    if (strcmp(verb, "open") == 0)
        return open_once(path, err);
    if (strcmp(verb, "verify") == 0 || strcmp(verb, "crc") == 0)
        return verify_once(path, strcmp(verb, "crc") == 0, err);
    if (strcmp(verb, "write") == 0 || strcmp(verb, "write-crc") == 0)
        return write_once(path, strcmp(verb, "write-crc") == 0, err);
    if (strcmp(verb, "plain") == 0)
        return write_plainly(path, err);
    snprintf(err->text, sizeof err->text, "unknown verb");
    return -EINVAL;
}

static void obey(const char *verb, int count, const char *path)
{
    struct wfs_error err = {0};
    uint64_t start = now();
    int r = 0;

    for (int i = 0; r == 0 && i < count; i++)
        r = obey_once(verb, path, &err);
    if (r == 0)
        printf("ok %" PRIu64 "\n", now() - start);
    else
        printf("error %s\n", err.text);
    fflush(stdout);
}

int main(void)
{
    char line[4096];
    char verb[16];
    char path[4096];
    int count = 0;

    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "%15s %d %4095[^\n]", verb, &count, path) != 3) // NOLINT(cert-err34-c)
            return 2;
        obey(verb, count, path);
    }
    return 0;
}
