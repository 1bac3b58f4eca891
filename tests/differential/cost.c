/* SPDX-License-Identifier: Apache-2.0
 *
 * cost FILE [ROUNDS]: reads a file's header and prints the verdict, the shortest time of a round in seconds,
 * the processor's time of all rounds, and the largest memory of this process in bytes.
 */
#include "base/cleanup.h"
#include "format/header.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static char *read_header(int fd, uint64_t length)
{
    char *json = malloc(length + 1);
    uint64_t filled = 0;
    while (json && filled < length) {
        ssize_t count = pread(fd, json + filled, length - filled, (off_t)(HEADER_PREFIX + filled));
        if (count <= 0)
            abort();
        filled += (uint64_t)count;
    }
    return json;
}

static int open_once(const char *path, struct wfs_error *err)
{
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat stat;
    unsigned char prefix[HEADER_PREFIX];
    uint64_t length;
    if (fd < 0 || fstat(fd, &stat) < 0)
        abort();
    ssize_t size = pread(fd, prefix, sizeof prefix, 0);
    int r = header_length(prefix, size < 0 ? 0 : (size_t)size, (uint64_t)stat.st_size, &length, err);
    if (r < 0)
        return r;
    char *json = read_header(fd, length);
    auto_header struct wfs_header *header = NULL;
    return json ? header_decode(json, length, (uint64_t)stat.st_size, HEADER_OFFICIAL, &header, err)
                : -ENOMEM;
}

/* Of this program alone: ru_maxrss would begin with what the process had before exec(). */
static long long largest_memory(void)
{
    FILE *status = fopen("/proc/self/status", "re");
    char line[128];
    long long kib = 0;
    while (status && fgets(line, sizeof line, status))
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = atoll(line + 6); // NOLINT(cert-err34-c)
    if (status)
        fclose(status);
    return kib * 1024;
}

int main(int count, char **arguments)
{
    int rounds = count > 2 ? atoi(arguments[2]) : 1; // NOLINT(cert-err34-c)
    double best = 1e9;
    struct wfs_error err = {0, WFS_CODE_NONE, ""};
    for (int i = 0; i < rounds; i++) {
        double start = now();
        open_once(arguments[1], &err);
        double seconds = now() - start;
        best = seconds < best ? seconds : best;
    }
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double processor = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    printf("%s %f %f %lld\n", err.errnum ? wfs_code_name(err.code) : "ok", best, processor, largest_memory());
    return 0;
}
