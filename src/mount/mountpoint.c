/* SPDX-License-Identifier: Apache-2.0 */
#include "mount/mountpoint.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/mountinfo.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#define PATIENCE_MILLISECONDS 5000

static const char mount_type[] = "fuse.weightfs";

/* fusermount3 may unmount for a user who may not. Its own sentence would only confuse: stderr is closed to
 * it. */
static int run_fusermount(const char *path)
{
    char *arguments[] = {(char[]){"fusermount3"}, (char[]){"-uzq"}, (char[]){"--"}, (char *)path, NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status;

    if (posix_spawn_file_actions_init(&actions) != 0)
        return -ENOMEM;
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    int r = posix_spawnp(&pid, arguments[0], &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (r != 0)
        return -r;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPERM;
}

static int unmount(const char *path)
{
    if (umount2(path, MNT_DETACH | MNT_FORCE | UMOUNT_NOFOLLOW) == 0)
        return 0;
    if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
        return 0;
    return errno == EPERM ? run_fusermount(path) : -errno;
}

/* The path of a directory whose own attributes cannot be had. */
static char *resolve_parent(const char *given)
{
    auto_free char *copy = strdup(given);
    char *path = NULL;

    if (!copy)
        return NULL;
    size_t length = strlen(copy);
    while (length > 1 && copy[length - 1] == '/')
        copy[--length] = '\0';
    char *slash = strrchr(copy, '/');
    const char *base = slash ? slash + 1 : copy;
    if (slash == copy)
        return strdup(copy);
    if (slash)
        *slash = '\0';
    auto_free char *parent = realpath(slash ? copy : ".", NULL);
    if (!parent || asprintf(&path, "%s/%s", strcmp(parent, "/") == 0 ? "" : parent, base) < 0)
        return NULL;
    return path;
}

/* Whether the daemon of a mount has died. The kernel remembers attributes, so it is asked for what it does
 * not; by a child, since a daemon that hangs does not answer at all. */
static bool is_dead(const char *path)
{
    struct statvfs st;
    int status;

    pid_t child = fork();
    if (child == 0)
        _exit(statvfs(path, &st) < 0 && (errno == ENOTCONN || errno == ECONNABORTED));
    for (int i = 0; child > 0 && i < PATIENCE_MILLISECONDS; i++) {
        if (waitpid(child, &status, WNOHANG) == child)
            return WIFEXITED(status) && WEXITSTATUS(status) == 1;
        usleep(1000);
    }
    if (child > 0)
        kill(child, SIGKILL);
    return false;
}

static int refuse_mounted(const char *given, struct wfs_error *err)
{
    return error_rule(err, WFS_CODE_BUSY, "%s: a model is mounted there already",
                      printable_string(given).text);
}

/* A mount whose daemon was killed is in nobody's use. */
static int clear_dead_mount(const char *given, struct wfs_error *err)
{
    auto_free char *path = resolve_parent(given);

    if (!path || !mountpoint_device(path, &(unsigned){0}, &(unsigned){0}))
        return 0;
    if (!is_dead(path))
        return refuse_mounted(given, err);
    int r = unmount(path);
    return r < 0 ? error_errno(err, -r, "%s: the mount of a daemon that has died cannot be removed",
                               printable_string(given).text)
                 : 0;
}

int mountpoint_resolve(const char *given, char **ret_path, struct wfs_error *err)
{
    struct stat st;

    int r = clear_dead_mount(given, err);
    if (r < 0)
        return r;
    auto_free char *path = realpath(given, NULL);
    if (!path || stat(path, &st) < 0)
        return error_errno(err, errno, "mount point %s", printable_string(given).text);
    if (!S_ISDIR(st.st_mode))
        return error_errno(err, ENOTDIR, "mount point %s", printable_string(given).text);
    if (mountpoint_device(path, &(unsigned){0}, &(unsigned){0}))
        return refuse_mounted(given, err);
    *ret_path = take_ptr(path);
    return 0;
}

bool mountpoint_covers(const char *mountpoint, const char *path)
{
    size_t length = strlen(mountpoint);
    if (length == 1)
        return true;
    return strncmp(mountpoint, path, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

bool mountpoint_device(const char *path, unsigned *ret_major, unsigned *ret_minor)
{
    auto_mountinfo mount = MOUNTINFO_NONE;

    if (mountinfo_find(path, true, &mount) < 0 || strcmp(mount.type, mount_type) != 0)
        return false;
    *ret_major = mount.major;
    *ret_minor = mount.minor;
    return true;
}

int mountpoint_force_unmount(const char *path, unsigned major, unsigned minor)
{
    unsigned found_major;
    unsigned found_minor;

    if (!mountpoint_device(path, &found_major, &found_minor) || found_major != major || found_minor != minor)
        return -ENOENT;
    return unmount(path);
}

int mountpoint_set_read_ahead(unsigned major, unsigned minor, unsigned kib)
{
    char path[64];
    char value[16];

    snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb", major, minor);
    int length = snprintf(value, sizeof(value), "%u", kib);
    auto_close int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, value, (size_t)length) != length)
        return -errno;
    return 0;
}
