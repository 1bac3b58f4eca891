/* SPDX-License-Identifier: Apache-2.0 */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

ssize_t io_read_some(int fd, void *buffer, size_t length, uint64_t offset)
{
    size_t done = 0;
    while (done < length) {
        ssize_t count = pread(fd, (char *)buffer + done, length - done, (off_t)(offset + done));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        if (count == 0)
            break;
        done += (size_t)count;
    }
    return (ssize_t)done;
}

int io_read_at(int fd, void *buffer, size_t length, uint64_t offset)
{
    ssize_t count = io_read_some(fd, buffer, length, offset);
    if (count < 0)
        return (int)count;
    return (size_t)count == length ? 0 : -ENODATA;
}

int io_write_at(int fd, const void *data, size_t length, uint64_t offset)
{
    size_t done = 0;
    while (done < length) {
        ssize_t count = pwrite(fd, (const char *)data + done, length - done, (off_t)(offset + done));
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return count < 0 ? -errno : -EIO;
        done += (size_t)count;
    }
    return 0;
}

int io_truncate(int fd, uint64_t size)
{
    while (ftruncate(fd, (off_t)size) < 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

int io_sync(int fd)
{
    while (fsync(fd) < 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

/* Somebody else may have made a shared terminal or pipe non-blocking. */
static void wait_until_writable(int fd)
{
    struct pollfd wanted = {.fd = fd, .events = POLLOUT};
    poll(&wanted, 1, -1);
}

int io_write(int fd, const void *data, size_t length)
{
    size_t done = 0;
    while (done < length) {
        ssize_t count = write(fd, (const char *)data + done, length - done);
        if (count > 0)
            done += (size_t)count;
        else if (count < 0 && errno == EAGAIN)
            wait_until_writable(fd);
        else if (count == 0 || errno != EINTR)
            return count < 0 ? -errno : -EIO;
    }
    return 0;
}

DIR *io_list(int dirfd)
{
    int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = fd < 0 ? NULL : fdopendir(fd);
    if (!listing && fd >= 0)
        close(fd);
    return listing;
}

int io_reopen_for_reading(int fd)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int reading = open(path, O_RDONLY | O_CLOEXEC);
    return reading >= 0 ? reading : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}
