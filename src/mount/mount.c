/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a mount, from top to bottom. The order matters: what can fail with a sentence comes before the
 * mount, and nothing is opened by path after it.
 */
#include "mount/mount.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "mount/control.h"
#include "mount/mountpoint.h"
#include "mount/notify.h"
#include "mount/ops.h"
#include "mount/passthrough.h"
#include "mount/session.h"
#include "mount/watch.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A thread for each processor: more only wake each other up (docs/performance.md 3). Two are needed, because
 * an fsync or a conversion may take its time. */
#define LEAST_THREADS 2
#define MOST_THREADS  4

#define READ_AHEAD_KIB (MAX_READ_AHEAD / 1024u)

/* --- mounting --------------------------------------------------------------------------------- */

/* libfuse tells why a mount failed in its log only. */
static _Thread_local char last_log[256];

__attribute__((format(printf, 2, 0))) static void keep_log(enum fuse_log_level level, const char *format,
                                                           va_list arguments)
{
    (void)level;
    vsnprintf(last_log, sizeof(last_log), format, arguments);
    last_log[strcspn(last_log, "\n")] = '\0';
}

static int fail_to_mount(const struct session *session, struct wfs_error *err)
{
    static const char prefix[] = "fuse: ";
    bool prefixed = strncmp(last_log, prefix, strlen(prefix)) == 0;
    const char *why = last_log + (prefixed ? strlen(prefix) : 0);

    return error_rule(err, WFS_CODE_IO_FAILED, "%s: cannot mount: %s",
                      printable_string(session->options->mountpoint).text,
                      *why ? printable_string(why).text : "fusermount3 tells why");
}

/* A value within a comma-separated list. */
static void append_escaped(struct bytes *out, const char *value)
{
    for (; *value; value++) {
        if (*value == ',' || *value == '\\')
            bytes_char(out, '\\');
        bytes_char(out, *value);
    }
}

static int add_options(const struct session *session, struct fuse_args *arguments)
{
    const struct mount_options *options = session->options;
    auto_bytes list = BYTES_EMPTY;

    bytes_printf(&list, "default_permissions,subtype=weightfs,max_read=%u", MAX_READ);
    if (options->read_only)
        bytes_string(&list, ",ro");
    bytes_string(&list, ",fsname=");
    append_escaped(&list, session->target.source);
    if (options->fuse_options)
        bytes_printf(&list, ",%s", options->fuse_options);
    if (list.failed || fuse_opt_add_arg(arguments, "weightfs") < 0 || fuse_opt_add_arg(arguments, "-o") < 0 ||
        fuse_opt_add_arg(arguments, list.data) < 0)
        return -ENOMEM;
    return options->debug && fuse_opt_add_arg(arguments, "-d") < 0 ? -ENOMEM : 0;
}

static int attach(struct session *session, struct wfs_error *err)
{
    struct fuse_args arguments = FUSE_ARGS_INIT(0, NULL);
    int r = 0;

    if (add_options(session, &arguments) < 0) {
        fuse_opt_free_args(&arguments);
        return error_no_memory(err);
    }
    last_log[0] = '\0';
    fuse_set_log_func(keep_log);
    session->fuse = fuse_session_new(&arguments, &mount_operations, sizeof(mount_operations), session);
    if (!session->fuse)
        r = error_rule(err, WFS_CODE_USAGE, "cannot mount: %s",
                       *last_log ? last_log : "libfuse refuses the options");
    else if (fuse_session_mount(session->fuse, session->mountpoint) != 0)
        r = fail_to_mount(session, err);
    fuse_set_log_func(NULL);
    fuse_opt_free_args(&arguments);
    return r;
}

static void set_read_ahead(struct session *session, unsigned major, unsigned minor)
{
    int r = mountpoint_set_read_ahead(major, minor, READ_AHEAD_KIB);

    if (r == 0)
        session_note(session, NOTE_READ_AHEAD, "read-ahead raised to %u KiB", READ_AHEAD_KIB);
    else
        session_note(session, NOTE_READ_AHEAD,
                     "read-ahead left at the kernel's default: /sys/class/bdi/%u:%u: %s", major, minor,
                     strerrordesc_np(-r));
}

/* --- serving ---------------------------------------------------------------------------------- */

static unsigned choose_threads(const struct mount_options *options)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    if (options->max_threads)
        return options->max_threads;
    if (processors < LEAST_THREADS)
        return LEAST_THREADS;
    return processors < MOST_THREADS ? (unsigned)processors : MOST_THREADS;
}

static int run_loop(struct session *session, struct wfs_error *err)
{
    unsigned threads = choose_threads(session->options);
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    if (!config)
        return error_no_memory(err);

    fuse_loop_cfg_set_clone_fd(config, 0);
    fuse_loop_cfg_set_max_threads(config, threads);
    fuse_loop_cfg_set_idle_threads(config, threads);
    int r = fuse_session_loop_mt(session->fuse, config);
    fuse_loop_cfg_destroy(config);
    return r < 0 ? error_errno(err, -r, "the session ended") : 0;
}

/* From the moment of the mount to the moment when nothing of it is left. */
static int serve_mounted(struct session *session, const struct mount_listener *listener,
                         struct wfs_error *err)
{
    unsigned major = 0;
    unsigned minor = 0;

    if (mountpoint_device(session->mountpoint, &major, &minor))
        set_read_ahead(session, major, minor);
    int r = notifier_new(session, &session->notifier);
    if (r == 0)
        r = watch_new(session, major, minor, &session->watch);
    if (r < 0) {
        r = error_errno(err, -r, "cannot start serving");
    } else {
        if (listener->ready)
            listener->ready(listener->context);
        r = run_loop(session, err);
    }
    control_wait(session->control); /* a commit outlives a lazy unmount */
    watch_free(session->watch);
    notifier_free(session->notifier);
    return r;
}

static int serve(struct session *session, const struct mount_listener *listener, struct wfs_error *err)
{
    int r = attach(session, err);
    if (r == 0) {
        passthrough_begin(session->passthrough);
        r = serve_mounted(session, listener, err);
        passthrough_end(session->passthrough);
        fuse_session_unmount(session->fuse);
    }
    if (session->fuse)
        fuse_session_destroy(session->fuse);
    return r;
}

static void tell_what_stays(const struct session *session, const struct mount_listener *listener)
{
    size_t changes = stage_change_total(session->stage);
    const char *directory = stage_directory(session->stage);
    char line[512];

    if (changes == 0 || !directory || !listener->note)
        return;
    snprintf(line, sizeof(line), "%zu staged change%s kept in %s", changes, changes == 1 ? "" : "s",
             printable_string(directory).text);
    listener->note(listener->context, line);
}

int mount_serve(const struct mount_options *options, const struct mount_listener *listener,
                struct wfs_error *err)
{
    struct session *session;

    mount_reserve_stdio();
    watch_prepare_signals();
    int r = session_open(options, listener, &session, err);
    if (r < 0)
        return r;
    r = serve(session, listener, err);
    if (r == 0)
        tell_what_stays(session, listener);
    session_close(session);
    return r;
}

void mount_reserve_stdio(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}
