/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/lock.h"

#include "base/cleanup.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/mountinfo.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define LOCK_WAIT_MS 5000
#define LOCK_STEP_MS 20

static int lock_operation(int fd, int operation, struct flock *lock)
{
    *lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return !fault(FAULT_LOCK) && fcntl(fd, operation, lock) < 0 ? -errno : 0;
}

bool lock_is_mounted(const char *mountpoint)
{
    auto_mountinfo mount = MOUNTINFO_NONE;
    int r = mountinfo_find(mountpoint, true, &mount);

    if (r < 0)
        return r != -ENOENT; /* not knowing, do not call it gone */
    return strcmp(mount.type, "fuse.weightfs") == 0;
}

/* The lock file says "PID MOUNTPOINT\n". */
static void read_holder(int fd, struct spool_holder *ret_holder)
{
    char text[sizeof(ret_holder->mountpoint) + 32];
    *ret_holder = (struct spool_holder){0};
    ssize_t count = io_read_some(fd, text, sizeof(text) - 1, 0);
    if (count <= 0)
        return;
    text[count] = '\0';

    char *rest;
    long pid = strtol(text, &rest, 10);
    ret_holder->pid = pid > 0 ? (pid_t)pid : 0;
    if (*rest == ' ')
        rest++;
    size_t length = strlen(rest);
    if (length > 0 && rest[length - 1] == '\n')
        rest[length - 1] = '\0';
    (void)snprintf(ret_holder->mountpoint, sizeof(ret_holder->mountpoint), "%s", rest);
}

static int write_holder(int fd, const char *mountpoint)
{
    auto_free char *text = NULL;
    if (asprintf(&text, "%ld %s\n", (long)getpid(), mountpoint ? mountpoint : "") < 0) {
        text = NULL;
        return -ENOMEM;
    }
    int r = io_truncate(fd, 0);
    return r < 0 ? r : io_write_at(fd, text, strlen(text), 0);
}

/* A holder that serves a mount is there to stay; one whose mount is gone, or that never had one, is about to
 * end. */
static bool worth_waiting(int fd, struct spool_holder *ret_holder)
{
    read_holder(fd, ret_holder);
    return ret_holder->mountpoint[0] == '\0' || !lock_is_mounted(ret_holder->mountpoint);
}

static bool still_named(int dirfd, int fd)
{
    struct stat by_name;
    struct stat by_fd;

    return fstatat(dirfd, LOCK_NAME, &by_name, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &by_fd) == 0 &&
           by_name.st_ino == by_fd.st_ino && by_name.st_dev == by_fd.st_dev;
}

int lock_take(int dirfd, const char *mountpoint, int *ret_fd, struct spool_holder *ret_holder)
{
    const struct timespec step = {0, LOCK_STEP_MS * 1000000L};
    struct flock lock;
    auto_close int fd = openat(dirfd, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;

    int r = lock_operation(fd, F_OFD_SETLK, &lock);
    for (int waited = 0; (r == -EAGAIN || r == -EACCES) && waited < LOCK_WAIT_MS; waited += LOCK_STEP_MS) {
        if (!worth_waiting(fd, ret_holder))
            return -EBUSY;
        nanosleep(&step, NULL);
        r = lock_operation(fd, F_OFD_SETLK, &lock);
    }
    if (r == -EAGAIN || r == -EACCES)
        return -EBUSY;
    if (r < 0)
        return r;
    if (!fault(FAULT_LOCK_NAMED) && !still_named(dirfd, fd))
        return -ESTALE;
    r = write_holder(fd, mountpoint);
    if (r < 0)
        return r;
    *ret_fd = take_fd(&fd);
    return 0;
}

int spool_holder(const struct spool_place *place, struct spool_holder *ret_holder)
{
    struct flock lock;
    auto_close int dirfd = openat(place->dirfd, place->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dirfd < 0)
        return -ENOENT;
    auto_close int fd = openat(dirfd, LOCK_NAME, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || lock_operation(fd, F_OFD_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
        return -ENOENT;
    read_holder(fd, ret_holder);
    return 0;
}
