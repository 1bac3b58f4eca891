/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/mounted.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/io.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define PATIENCE_SECONDS 5
#define COMMAND_MAX      (((size_t)1 << 20) - 4096) /* in one piece: 256 pages, and it begins within one */

static const char mount_type[] = "fuse.weightfs";

/* --- finding it ------------------------------------------------------------------------------- */

/* Takes "." and ".." out of an absolute path, without looking whether they are there. */
static void normalize(char *path)
{
    char *to = path;
    char *rest = path;
    char *part;

    while ((part = strsep(&rest, "/"))) {
        if (*part == '\0' || strcmp(part, ".") == 0)
            continue;
        if (strcmp(part, "..") == 0) {
            while (to > path && *--to != '/')
                continue;
            continue;
        }
        size_t length = strlen(part);
        *to++ = '/';
        memmove(to, part, length);
        to += length;
    }
    if (to == path)
        *to++ = '/';
    *to = '\0';
}

static char *absolute(const char *path)
{
    char *joined = NULL;

    if (path[0] == '/') {
        joined = strdup(path);
    } else {
        auto_free char *directory = getcwd(NULL, 0);
        if (!directory || asprintf(&joined, "%s/%s", directory, path) < 0)
            return NULL;
    }
    if (joined)
        normalize(joined);
    return joined;
}

static int find_at(const char *path, struct mountinfo *ret_mount)
{
    struct mountinfo mount = MOUNTINFO_NONE;

    int r = path ? mountinfo_find(path, false, &mount) : -ENOENT;
    if (r < 0)
        return r;
    if (strcmp(mount.type, mount_type) != 0) {
        mountinfo_clear(&mount);
        return -ENOENT;
    }
    *ret_mount = mount;
    return 0;
}

/* The path is tried as it is first: resolving its links would ask a daemon that may not answer. */
int mounted_find(const char *path, struct mountinfo *ret_mount)
{
    auto_free char *plain = absolute(path);
    int r = find_at(plain, ret_mount);
    if (r == 0)
        return 0;
    auto_free char *resolved = realpath(path, NULL);
    return find_at(resolved, ret_mount);
}

/* --- a child that asks the daemon ------------------------------------------------------------- */

/* It can be left behind. */
struct child {
    pid_t pid;
    int answer; /* a pipe */
};

/* A request that the daemon took and does not answer cannot be killed: whoever waits for the end of our
 * output must not wait for the child that is left behind. */
static void let_go_of_output(void)
{
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (int fd = 0; nothing >= 0 && fd <= STDERR_FILENO; fd++)
        dup2(nothing, fd);
}

/* `ask` runs in the child and does not return. */
static int child_start(struct child *child, void (*ask)(const char *path, const char *command, int out),
                       const char *path, const char *command)
{
    int pipe_fds[2];

    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return -errno;
    child->pid = fork();
    if (child->pid == 0) {
        let_go_of_output();
        ask(path, command, pipe_fds[1]);
    }
    int r = child->pid < 0 ? -errno : 0;
    close(pipe_fds[1]);
    child->answer = pipe_fds[0];
    if (r < 0)
        close(child->answer);
    return r;
}

/* One that hangs is not waited for. */
static void child_end(const struct child *child, bool hangs)
{
    close(child->answer);
    if (child->pid <= 0)
        return;
    kill(child->pid, SIGKILL);
    waitpid(child->pid, NULL, hangs ? WNOHANG : 0);
}

/* --- reading, with patience ------------------------------------------------------------------- */

/* The bytes, then an errno. */
static void ask_for_file(const char *path, const char *command, int out)
{
    char buffer[65536];

    (void)command;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t count = fd < 0 ? -1 : read(fd, buffer, sizeof(buffer));

    while (count > 0 && io_write(out, buffer, (size_t)count) == 0)
        count = read(fd, buffer, sizeof(buffer));
    int errnum = count < 0 ? errno : 0;
    (void)io_write(out, &errnum, sizeof(errnum));
    _exit(0);
}

static int remaining_milliseconds(const struct timespec *deadline)
{
    const struct timespec now = clock_now();
    long left = (deadline->tv_sec - now.tv_sec) * 1000 + (deadline->tv_nsec - now.tv_nsec) / 1000000;
    return left > 0 ? (int)left : 0;
}

/* Collects what the child sends until it ends; -ETIMEDOUT. */
static int collect(int in, struct bytes *out)
{
    const struct timespec deadline = clock_after(clock_now(), PATIENCE_SECONDS);
    char buffer[65536];

    while (true) {
        struct pollfd ready = {.fd = in, .events = POLLIN};
        int r = poll(&ready, 1, remaining_milliseconds(&deadline));
        if (r == 0)
            return -ETIMEDOUT;
        ssize_t count = r < 0 ? -1 : read(in, buffer, sizeof(buffer));
        if (count == 0)
            return 0;
        if (count < 0 && errno != EINTR)
            return -errno;
        if (count > 0)
            bytes_append(out, buffer, (size_t)count);
    }
}

static int read_patiently(const char *path, struct bytes *out)
{
    auto_bytes sent = BYTES_EMPTY;
    struct child child = {0, -1};
    int errnum;

    int r = child_start(&child, ask_for_file, path, NULL);
    if (r < 0)
        return r;
    r = collect(child.answer, &sent);
    child_end(&child, r == -ETIMEDOUT);
    if (r < 0)
        return r;
    if (sent.failed || sent.length < sizeof(errnum))
        return -EIO;
    size_t length = sent.length - sizeof(errnum);
    memcpy(&errnum, sent.data + length, sizeof(errnum));
    bytes_append(out, sent.data, length);
    return errnum ? -errnum : out->failed ? -ENOMEM : 0;
}

int mounted_explain(const struct mountinfo *mount, int r, struct wfs_error *err)
{
    struct printable point = printable_string(mount->point);

    if (r == -ENOTCONN || r == -ECONNABORTED)
        return error_errno(err, -r, "%s: the daemon has died; 'weightfs umount' clears the mount away",
                           point.text);
    if (r != -ETIMEDOUT)
        return error_errno(err, -r, "%s", point.text);
    pid_t pid = mounted_guess_daemon(mount);
    if (pid > 0)
        return error_errno(err, ETIMEDOUT,
                           "%s: the daemon (pid %d) does not answer; 'weightfs umount --lazy' detaches it",
                           point.text, (int)pid);
    return error_errno(err, ETIMEDOUT, "%s: the daemon does not answer; 'weightfs umount --lazy' detaches it",
                       point.text);
}

int mounted_read(const struct mountinfo *mount, const char *name, struct bytes *out, struct wfs_error *err)
{
    auto_free char *path = NULL;

    if (asprintf(&path, "%s/.weightfs/%s", mount->point, name) < 0) {
        path = NULL;
        return error_no_memory(err);
    }
    int r = read_patiently(path, out);
    return r < 0 ? mounted_explain(mount, r, err) : 0;
}

/* --- commands --------------------------------------------------------------------------------- */

/* Two errnos: of opening the control file, and of the write, which is done in one piece and never again. */
static void ask_command(const char *path, const char *command, int out)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int errnum = fd < 0 ? errno : 0;

    if (io_write(out, &errnum, sizeof(errnum)) < 0 || fd < 0)
        _exit(1);
    errnum = write(fd, command, strlen(command)) < 0 ? errno : 0;
    (void)io_write(out, &errnum, sizeof(errnum));
    _exit(0);
}

/* The next errno that the child sends, negative. */
static int await_answer(int in)
{
    struct pollfd ready = {.fd = in, .events = POLLIN};
    int errnum;
    int r = poll(&ready, 1, PATIENCE_SECONDS * 1000);

    if (r <= 0)
        return r == 0 ? -ETIMEDOUT : -errno;
    return read(in, &errnum, sizeof(errnum)) == (ssize_t)sizeof(errnum) ? -errnum : -EIO;
}

static int await_command(const struct mountinfo *mount, int in)
{
    int r = await_answer(in);
    if (r < 0)
        return r;
    while ((r = await_answer(in)) == -ETIMEDOUT || r == -EINTR) {
        auto_bytes status = BYTES_EMPTY;
        if (r == -ETIMEDOUT && mounted_read(mount, "status", &status, NULL) == -ETIMEDOUT)
            break;
    }
    return r;
}

int mounted_command(const struct mountinfo *mount, const char *command)
{
    auto_free char *path = NULL;
    struct child child = {0, -1};

    if (strlen(command) > COMMAND_MAX)
        return -E2BIG;
    if (asprintf(&path, "%s/.weightfs/control", mount->point) < 0) {
        path = NULL;
        return -ENOMEM;
    }
    int r = child_start(&child, ask_command, path, command);
    if (r < 0)
        return r;
    r = await_command(mount, child.answer);
    child_end(&child, r == -ETIMEDOUT);
    return r;
}

void mounted_add_word(struct bytes *command, const char *word)
{
    if (command->length > 0)
        bytes_char(command, ' ');
    bytes_char(command, '"');
    for (; *word; word++) {
        if (*word == '"' || *word == '\\')
            bytes_char(command, '\\');
        bytes_char(command, *word);
    }
    bytes_char(command, '"');
}

/* --- the daemon ------------------------------------------------------------------------------- */

/* Whether a file below /proc/PID holds that text. */
static bool proc_file_has(pid_t pid, const char *name, const char *text)
{
    char path[64];
    char content[8192];

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, content, sizeof(content));
    return length > 0 && memmem(content, (size_t)length, text, strlen(text));
}

/* Whether the process has /dev/fuse open. Newer kernels tell which connection; `connection` is then looked
 * for. */
static bool serves(pid_t pid, const char *connection, bool *ret_certain)
{
    char path[64];
    bool found = false;

    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    DIR *directory = opendir(path);
    if (!directory)
        return false;
    for (const struct dirent *item; !found && (item = readdir(directory));) {
        char target[32];
        char info[300];
        ssize_t length = readlinkat(dirfd(directory), item->d_name, target, sizeof(target) - 1);
        target[length > 0 ? length : 0] = '\0';
        if (strcmp(target, "/dev/fuse") != 0)
            continue;
        snprintf(info, sizeof(info), "fdinfo/%s", item->d_name);
        *ret_certain = proc_file_has(pid, info, "fuse_connection:");
        found = !*ret_certain || proc_file_has(pid, info, connection);
    }
    closedir(directory);
    return found;
}

pid_t mounted_guess_daemon(const struct mountinfo *mount)
{
    const char *base = strrchr(mount->point, '/');
    char connection[48];
    pid_t guess = 0;

    snprintf(connection, sizeof(connection), "fuse_connection:\t%u\n", mount->minor);
    DIR *directory = opendir("/proc");
    if (!directory)
        return 0;
    for (const struct dirent *item; (item = readdir(directory));) {
        bool certain = false;
        pid_t pid = (pid_t)strtol(item->d_name, NULL, 10);
        if (pid <= 0 || !serves(pid, connection, &certain))
            continue;
        if (certain) {
            guess = pid;
            break;
        }
        if (proc_file_has(pid, "cmdline", base ? base + 1 : mount->point))
            guess = pid;
    }
    closedir(directory);
    return guess;
}
