/* SPDX-License-Identifier: Apache-2.0
 *
 * In the background by default: the parent waits until the mount is usable and leaves; what goes wrong before
 * is said by the child, which has the terminal until then.
 */
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "cli/cmd.h"
#include "cli/mounted.h"
#include "mount/mount.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct invocation {
    struct mount_options options;
    struct bytes list; /* all that was given after -o */
    bool foreground;
    char *made;   /* a mount point of ours, to be removed in the end; NULL: none */
    int made_in;  /* the directory it is in */
    int ready_fd; /* where the parent waits; -1: nobody does */
    int null_fd;
};

/* --- the command line --------------------------------------------------------------------------- */

enum {
    OPTION_CREATE = 256,
    OPTION_DISCARD_STAGING,
    OPTION_REBASE,
    OPTION_ACCEPT_UNSYNCED,
    OPTION_FOLLOW,
    OPTION_REPLACE_LINK,
    OPTION_TOLERATE,
};

static const struct option long_options[] = {
    {"foreground",      no_argument,       NULL, 'f'                   },
    {"options",         required_argument, NULL, 'o'                   },
    {"debug",           no_argument,       NULL, 'd'                   },
    {"create",          no_argument,       NULL, OPTION_CREATE         },
    {"discard-staging", no_argument,       NULL, OPTION_DISCARD_STAGING},
    {"rebase",          no_argument,       NULL, OPTION_REBASE         },
    {"accept-unsynced", no_argument,       NULL, OPTION_ACCEPT_UNSYNCED},
    {"follow",          no_argument,       NULL, OPTION_FOLLOW         },
    {"replace-link",    no_argument,       NULL, OPTION_REPLACE_LINK   },
    {"tolerate",        required_argument, NULL, OPTION_TOLERATE       },
    {NULL,              0,                 NULL, 0                     },
};

static void add_to_list(struct invocation *invocation, const char *name, const char *value)
{
    struct bytes *list = &invocation->list;

    if (list->length > 0)
        bytes_char(list, ',');
    bytes_string(list, name);
    bytes_string(list, value);
}

/* Long options are those of -o in another spelling. */
static int take_option(struct invocation *invocation, int option)
{
    switch (option) {
    case 'f':
        invocation->foreground = true;
        break;
    case 'o':
        add_to_list(invocation, "", optarg);
        break;
    case 'd':
        add_to_list(invocation, "debug", "");
        break;
    case OPTION_CREATE:
        add_to_list(invocation, "create", "");
        break;
    case OPTION_DISCARD_STAGING:
        add_to_list(invocation, "discard_staging", "");
        break;
    case OPTION_REBASE:
        add_to_list(invocation, "rebase", "");
        break;
    case OPTION_ACCEPT_UNSYNCED:
        add_to_list(invocation, "accept_unsynced", "");
        break;
    case OPTION_FOLLOW:
        add_to_list(invocation, "follow", "");
        break;
    case OPTION_REPLACE_LINK:
        add_to_list(invocation, "replace_link", "");
        break;
    case OPTION_TOLERATE:
        add_to_list(invocation, "tolerate=", optarg);
        break;
    case 'n': /* what mount(8) tells its helpers */
    case 's':
    case 'v':
        break;
    default:
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}

static int read_arguments(int argc, char **argv, struct invocation *invocation)
{
    struct wfs_error err = {0};

    for (int option; (option = getopt_long(argc, argv, "fo:dnsv", long_options, NULL)) != -1;)
        if (take_option(invocation, option) != EXIT_DONE)
            return EXIT_USAGE;
    if (argc - optind < 1 || argc - optind > 2)
        return cmd_usage("mount", "mount: which file, and where to?");
    if (invocation->list.failed)
        return EXIT_SYSTEM;
    if (invocation->list.data && mount_options_parse(invocation->list.data, &invocation->options, &err) < 0)
        return cmd_usage("mount", "%s", err.text);
    invocation->options.source = argv[optind];
    invocation->options.mountpoint = argv[optind + 1];
    return EXIT_DONE;
}

/* --- a mount point of our own --------------------------------------------------------------------- */

/* "model.safetensors" gives "model"; a name without an ending gets one, so that it is not the file's. */
static char *mount_point_name(const char *source)
{
    const char *slash = strrchr(source, '/');
    const char *name = slash ? slash + 1 : source;
    const char *dot = strrchr(name, '.');
    char *made;

    if (dot && dot > name)
        return strndup(name, (size_t)(dot - name));
    return asprintf(&made, "%s.mnt", name) < 0 ? NULL : made;
}

/* Whether a mount is there already: the one that a daemon which was killed left behind, or mount_serve()
 * refuses. */
static bool is_mounted(const char *name)
{
    auto_mountinfo mount = MOUNTINFO_NONE;

    if (mounted_find(name, &mount) < 0)
        return false;
    const char *slash = strrchr(mount.point, '/');
    return slash && strcmp(slash + 1, name) == 0;
}

/* 0 or a negative errno. */
static int make_directory(struct invocation *invocation, const char *name)
{
    invocation->made_in = open(".", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    if (invocation->made_in < 0 || mkdir(name, 0777) < 0) {
        int errnum = errno;
        return errnum == EEXIST && is_mounted(name) ? 0 : -errnum;
    }
    return 0;
}

static int make_mount_point(struct invocation *invocation)
{
    struct wfs_error err = {0};
    auto_free char *name = mount_point_name(invocation->options.source);

    if (!name)
        return EXIT_SYSTEM;
    int r = make_directory(invocation, name);
    if (r == 0) {
        invocation->options.mountpoint = name;
        invocation->made = take_ptr(name);
        return EXIT_DONE;
    }
    if (r == -EEXIST)
        error_rule(&err, WFS_CODE_TARGET_EXISTS, "./%s exists; say where to mount: weightfs mount SRC DIR",
                   printable_string(name).text);
    else
        error_errno(&err, -r, "cannot make the mount point ./%s", printable_string(name).text);
    return cmd_fail(&err);
}

static void remove_mount_point(struct invocation *invocation)
{
    if (invocation->made)
        unlinkat(invocation->made_in, invocation->made, AT_REMOVEDIR);
    free(invocation->made);
    invocation->made = NULL;
    cleanup_close(&invocation->made_in);
}

/* --- serving ------------------------------------------------------------------------------------ */

static void on_note(void *context, const char *sentence)
{
    (void)context;
    cmd_say("%s", sentence);
}

/* Lets the parent go and the terminal with it. */
static void on_ready(void *context)
{
    struct invocation *invocation = context;

    if (invocation->ready_fd < 0)
        return;
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        dup2(invocation->null_fd, fd);
    if (chdir("/") < 0 || write(invocation->ready_fd, "", 1) != 1)
        return; /* the parent has died: nobody is waiting */
    cleanup_close(&invocation->ready_fd);
    invocation->ready_fd = -1;
}

static int serve(struct invocation *invocation)
{
    const struct mount_listener listener = {invocation, on_ready, on_note};
    struct wfs_error err = {0};

    int r = mount_serve(&invocation->options, &listener, &err);
    remove_mount_point(invocation);
    return r < 0 ? cmd_fail(&err) : EXIT_DONE;
}

/* The exit code: that of a child which ended before it was ready, else 0. */
static int wait_until_ready(int ready_fd, pid_t child)
{
    char ready;
    int status;
    ssize_t count;

    do
        count = read(ready_fd, &ready, 1);
    while (count < 0 && errno == EINTR);
    if (count == 1)
        return EXIT_DONE;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return EXIT_SYSTEM;
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    cmd_say("mount: the daemon was ended by signal %d", WTERMSIG(status));
    return EXIT_SYSTEM;
}

static int serve_in_background(struct invocation *invocation)
{
    int ready[2];

    invocation->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (invocation->null_fd < 0 || pipe2(ready, O_CLOEXEC) < 0) {
        cmd_say("mount: %s", strerrordesc_np(errno));
        return EXIT_SYSTEM;
    }
    pid_t child = fork();
    if (child < 0) {
        cmd_say("mount: %s", strerrordesc_np(errno));
        return EXIT_SYSTEM;
    }
    if (child > 0) {
        close(ready[1]);
        close(invocation->null_fd);
        cleanup_close(&invocation->made_in);
        free(invocation->made);
        invocation->made = NULL;
        int code = wait_until_ready(ready[0], child);
        close(ready[0]);
        return code;
    }
    close(ready[0]);
    setsid();
    invocation->ready_fd = ready[1];
    int code = serve(invocation);
    cleanup_close(&invocation->ready_fd);
    cleanup_close(&invocation->null_fd);
    return code;
}

static int run(int argc, char **argv, struct invocation *invocation)
{
    int code = read_arguments(argc, argv, invocation);
    if (code == EXIT_DONE && argc - optind == 1)
        code = make_mount_point(invocation);
    if (code != EXIT_DONE)
        return code;
    return invocation->foreground ? serve(invocation) : serve_in_background(invocation);
}

int cmd_mount(int argc, char **argv)
{
    struct invocation invocation = {
        .options = {.source = ""}, .list = BYTES_EMPTY, .made_in = -1, .ready_fd = -1, .null_fd = -1};

    mount_reserve_stdio();
    int code = run(argc, argv, &invocation);
    mount_options_clear(&invocation.options);
    bytes_clear(&invocation.list);
    return code;
}
