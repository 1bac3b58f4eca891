/* SPDX-License-Identifier: Apache-2.0
 *
 * umount(2) returns before a daemon has ended; this verb returns after, so that what follows finds everything
 * written.
 */
#include "base/cleanup.h"
#include "base/error.h"
#include "cli/cmd.h"
#include "cli/model.h"
#include "cli/mounted.h"
#include "cli/outcome.h"

#include <dirent.h>
#include <getopt.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define BUSY_TRIES              10 /* a process that ended a moment ago may still be letting go */
#define BUSY_PAUSE_MICROSECONDS 30000u
#define PATIENCE_MILLISECONDS   1000

struct request {
    bool commit;
    bool discard;
    bool lazy;
    bool force;
};

/* --- unmounting ------------------------------------------------------------------------------- */

/* Its own words are heard the last time only. */
static int run_fusermount(const char *point, bool lazy, bool quiet)
{
    char options[8];
    char *arguments[] = {(char[]){"fusermount3"}, options, (char[]){"--"}, (char *)point, NULL};
    pid_t pid;
    int status;

    snprintf(options, sizeof(options), "-u%s%s", lazy ? "z" : "", quiet ? "q" : "");
    int r = posix_spawnp(&pid, arguments[0], NULL, NULL, arguments, environ);
    if (r != 0)
        return -r;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EBUSY;
}

static int unmount_once(const char *point, const struct request *request, bool quiet)
{
    int flags = UMOUNT_NOFOLLOW | (request->lazy ? MNT_DETACH : 0) | (request->force ? MNT_FORCE : 0);

    if (umount2(point, flags) == 0)
        return 0;
    return errno == EPERM ? run_fusermount(point, request->lazy || request->force, quiet) : -errno;
}

static int unmount(const struct mountinfo *mount, const struct request *request)
{
    struct wfs_error err = {0};
    struct printable point = printable_string(mount->point);
    int r = -EBUSY;

    for (int i = 1; r == -EBUSY && i <= BUSY_TRIES; i++) {
        if (i > 1)
            usleep(BUSY_PAUSE_MICROSECONDS);
        r = unmount_once(mount->point, request, i < BUSY_TRIES);
    }
    if (r == 0)
        return EXIT_DONE;
    if (r == -EBUSY)
        error_rule(&err, WFS_CODE_BUSY,
                   "%s: in use: a file is open or a process stands in it; --lazy detaches it", point.text);
    else
        error_errno(&err, -r, "%s: cannot unmount", point.text);
    return cmd_fail(&err);
}

/* --- the daemon ------------------------------------------------------------------------------- */

/* A descriptor of the daemon's process. The pid is asked for twice: a daemon that answers after the
 * descriptor was opened is the process it stands for. -1: not to be had. */
static int open_daemon(struct model *model, int pid)
{
    struct json_object *status = NULL;
    struct wfs_error err = {0};

    if (pid <= 0)
        return -1;
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0 || model_status(model, &status, &err) < 0)
        return fd;
    bool same = outcome_pid(status) == pid;
    outcome_free(status);
    if (!same)
        cleanup_close(&fd);
    return same ? fd : -1;
}

/* Whether the process sees a mount of that device, which is gone from our own mount namespace. No other field
 * of a line looks like that: blanks in paths are escaped. */
static bool sees_mount(const char *pid, unsigned major, unsigned minor)
{
    char path[64];
    char device[32];
    auto_free char *line = NULL;
    size_t room = 0;
    bool found = false;

    snprintf(path, sizeof(path), "/proc/%.20s/mountinfo", pid);
    snprintf(device, sizeof(device), " %u:%u ", major, minor);
    FILE *file = fopen(path, "re");
    while (file && !found && getline(&line, &room, file) > 0)
        found = strstr(line, device) != NULL;
    if (file)
        fclose(file);
    return found;
}

/* A process in whose mount namespace the mount lives on; 0: there is none that we may look at. */
static int find_holder(const struct mountinfo *mount)
{
    DIR *directory = opendir("/proc");
    int holder = 0;

    for (const struct dirent *item; directory && !holder && (item = readdir(directory));) {
        int pid = (int)strtol(item->d_name, NULL, 10);
        if (pid > 0 && sees_mount(item->d_name, mount->major, mount->minor))
            holder = pid;
    }
    if (directory)
        closedir(directory);
    return holder;
}

/* It may have much to sync, so there is no limit; but it does not end while a container, say, keeps a copy of
 * the mount. */
static void wait_for_end(int fd, const struct mountinfo *mount)
{
    struct pollfd ended = {.fd = fd, .events = POLLIN};

    while (fd >= 0 && poll(&ended, 1, PATIENCE_MILLISECONDS) <= 0) {
        /* when our own namespace has such a device, a newer mount was given its number */
        bool is_reused = sees_mount("self", mount->major, mount->minor);
        int holder = is_reused ? 0 : find_holder(mount);
        if (holder) {
            cmd_say(
                "%s: unmounted here, but the mount namespace of process %d still has it, and its daemon ends "
                "with that",
                printable_string(mount->point).text, holder);
            return;
        }
    }
}

/* --- the verb --------------------------------------------------------------------------------- */

/* A mount that cannot be asked: its daemon is dead, or does not answer. */
static int umount_blind(const struct model *model, const struct request *request, const struct wfs_error *err)
{
    struct request detach = *request;

    if (request->commit || request->discard || (err->errnum != ENOTCONN && !request->lazy && !request->force))
        return cmd_fail(err);
    detach.lazy = true;
    if (err->errnum != ENOTCONN)
        cmd_say("%s", err->text);
    return unmount(&model->mount, &detach);
}

static bool has_edits(struct json_object *status)
{
    return outcome_change_count(status) > 0 || outcome_staging_directory(status);
}

static int settle_edits(struct model *model, const struct request *request, struct json_object *status)
{
    static const char *const no_arguments[] = {NULL};
    struct wfs_error err = {0};

    if (request->commit)
        return model_commit(model, no_arguments, false);
    if (request->discard && has_edits(status) && model_discard(model, NULL, 0, &err) < 0)
        return cmd_fail(&err);
    return EXIT_DONE;
}

static void tell_what_stays(struct json_object *status)
{
    size_t changes = outcome_change_count(status);
    const char *directory = outcome_staging_directory(status);

    if (changes > 0 && directory)
        cmd_say("%zu staged change%s kept in %s; the next mount resumes %s", changes, changes == 1 ? "" : "s",
                printable_string(directory).text, changes == 1 ? "it" : "them");
}

/* With the status as it is right before the unmount. */
static int umount_answering(struct model *model, const struct request *request, struct json_object *status)
{
    struct wfs_error err = {0};

    if (strcmp(outcome_state(status), "running") == 0) {
        error_rule(&err, WFS_CODE_BUSY, "%s: a commit is running", printable_string(model->mount.point).text);
        return cmd_fail(&err);
    }
    auto_close int daemon = open_daemon(model, outcome_pid(status));
    int code = unmount(&model->mount, request);
    if (code != EXIT_DONE)
        return code;
    if (!request->lazy)
        wait_for_end(daemon, &model->mount);
    tell_what_stays(status);
    return EXIT_DONE;
}

static int umount_model(struct model *model, const struct request *request)
{
    struct json_object *status = NULL;
    struct wfs_error err = {0};

    int r = model_status(model, &status, &err);
    if (r < 0)
        return umount_blind(model, request, &err);
    int code = settle_edits(model, request, status);
    outcome_free(status);
    if (code != EXIT_DONE)
        return code;
    r = model_status(model, &status, &err);
    if (r < 0)
        return cmd_fail(&err);
    code = umount_answering(model, request, status);
    outcome_free(status);
    return code;
}

static int read_request(int argc, char **argv, struct request *request)
{
    static const struct option options[] = {
        {"commit",  no_argument, NULL, 'c'},
        {"discard", no_argument, NULL, 'd'},
        {"lazy",    no_argument, NULL, 'l'},
        {"force",   no_argument, NULL, 'f'},
        {NULL,      0,           NULL, 0  },
    };

    for (int option; (option = getopt_long(argc, argv, "lf", options, NULL)) != -1;) {
        request->commit |= option == 'c';
        request->discard |= option == 'd';
        request->lazy |= option == 'l';
        request->force |= option == 'f';
        if (option == '?')
            return EXIT_USAGE;
    }
    if (request->commit && request->discard)
        return cmd_usage("umount", "umount: --commit and --discard exclude each other");
    return argc - optind == 1 ? EXIT_DONE : cmd_usage("umount", "umount: which mount?");
}

int cmd_umount(int argc, char **argv)
{
    auto_model model = MODEL_NONE;
    struct request request = {false};

    int code = read_request(argc, argv, &request);
    if (code != EXIT_DONE)
        return code;
    const char *path = argv[optind];
    if (mounted_find(path, &model.mount) < 0) {
        cmd_say("%s: no model is mounted there", printable_string(path).text);
        return EXIT_USAGE;
    }
    model.is_mounted = true;
    return umount_model(&model, &request);
}
