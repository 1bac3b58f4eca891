/* SPDX-License-Identifier: Apache-2.0 */
#include "mount/watch.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"
#include "mount/control.h"
#include "mount/mountpoint.h"
#include "mount/notify.h"
#include "stage/stage.h"

#include <fuse_lowlevel.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>

#define WAKE_SIGNAL       SIGUSR1
#define WAKE_MILLISECONDS 20
#define CALM_MILLISECONDS 300 /* between two rounds of invalidation while somebody writes to the source */
#define LOOK_MILLISECONDS 500 /* between two looks at the source while a file is open */

struct watch {
    struct session *session;
    unsigned major, minor;
    pthread_t loop; /* the thread that runs the session loop */
    pthread_t thread;
    int signal_fd;
    int source_fd; /* inotify; -1: none */
    int wake_fd;   /* eventfd: something to do, or to stop */
    atomic_bool stop;
    uint64_t watched; /* number of the generation whose file is watched; 0: none */
    int watch_id;
    _Atomic uint64_t told; /* number of the generation whose file is known to have changed; 0: none */
    atomic_bool is_asleep; /* no file is open: waits for events only */
};

static void on_wake(int signum)
{
    (void)signum;
}

static sigset_t ending_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    return set;
}

void watch_prepare_signals(void)
{
    const sigset_t set = ending_signals();
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    const struct sigaction wake = {.sa_handler = on_wake}; /* no SA_RESTART: it has to interrupt */

    pthread_sigmask(SIG_BLOCK, &set, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGXFSZ, &ignore, NULL);
    sigaction(WAKE_SIGNAL, &wake, NULL);
}

/* --- the source ------------------------------------------------------------------------------- */

/* By descriptor: after the mount no path is opened. */
static void watch_source(struct watch *watch)
{
    auto_current current = session_current(watch->session);
    struct file *source = generation_file(current.generation);
    char path[32];

    if (watch->source_fd < 0 || watch->watched == current.number)
        return;
    if (watch->watch_id >= 0)
        inotify_rm_watch(watch->source_fd, watch->watch_id);
    watch->watched = current.number;
    watch->watch_id = -1;
    int fd = source ? file_acquire(source) : -1;
    if (fd < 0)
        return;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    watch->watch_id = inotify_add_watch(watch->source_fd, path, IN_MODIFY | IN_ATTRIB);
    file_release(source);
    if (watch->watch_id < 0)
        session_note(watch->session, NOTE_WATCH, "the model file is not watched for changes: inotify: %s",
                     strerrordesc_np(errno));
}

static void drain(int fd)
{
    char events[4096];
    while (read(fd, events, sizeof(events)) > 0)
        continue;
}

/* Whether the file that is served has no name any more. While a commit runs that may be its own doing. */
static bool is_nameless(const struct watch *watch, struct file *source)
{
    struct stat st = {.st_nlink = 1};
    int fd = file_acquire(source);

    if (fd < 0)
        return false;
    (void)fstat(fd, &st);
    file_release(source);
    return st.st_nlink == 0 && !stage_is_committing(watch->session->stage);
}

/* Tells of a change in place, but, where `again` does not ask for it, of one only once: after it no page can
 * come into the cache. Returns whether it told. */
static bool look_at_source(struct watch *watch, bool again)
{
    auto_current current = session_current(watch->session);
    struct file *source = generation_file(current.generation);

    if (!source || file_check(source) != -ESTALE) {
        atomic_store(&watch->told, 0);
        return false;
    }
    if (atomic_exchange(&watch->told, current.number) == current.number && !again)
        return false;
    session_note(watch->session, NOTE_SOURCE,
                 "the model file was changed in place: reading it answers ESTALE until it is mounted again");
    notifier_source_changed(watch->session->notifier);
    return true;
}

/* A commit that ends meanwhile takes the note away, as it does with all that were about the file before. */
static void look_at_name(struct watch *watch)
{
    auto_current current = session_current(watch->session);
    struct file *source = generation_file(current.generation);

    if (!source || !is_nameless(watch, source))
        return;
    auto_current after = session_current(watch->session);
    if (after.number == current.number)
        session_note(
            watch->session, NOTE_SOURCE,
            "the model file was removed, or replaced by another: the one that was mounted is served");
}

static void on_source_event(struct watch *watch)
{
    drain(watch->source_fd);
    if (look_at_source(watch, true))
        poll(&(struct pollfd){.fd = watch->wake_fd, .events = POLLIN}, 1, CALM_MILLISECONDS);
    else
        look_at_name(watch);
}

/* --- the end ---------------------------------------------------------------------------------- */

/* A commit is cancelled, the mount taken away; then the loop is woken until it has noticed. */
static void end_session(struct watch *watch)
{
    struct pollfd woken = {.fd = watch->wake_fd, .events = POLLIN};

    control_cancel(watch->session->control);
    mountpoint_force_unmount(watch->session->mountpoint, watch->major, watch->minor);
    fuse_session_exit(watch->session->fuse);
    while (!watch->stop) {
        pthread_kill(watch->loop, WAKE_SIGNAL);
        poll(&woken, 1, WAKE_MILLISECONDS);
    }
}

/* --- the thread ------------------------------------------------------------------------------- */

/* What is stored through a mapping, or written on another machine, is no event of inotify: while a file is
 * open, whose cached pages somebody may read, the source is looked at now and then. */
static int patience(struct watch *watch)
{
    atomic_store(&watch->is_asleep, true);
    pthread_mutex_lock(&watch->session->lock);
    bool is_open = !LIST_EMPTY(&watch->session->handles);
    pthread_mutex_unlock(&watch->session->lock);
    if (is_open)
        atomic_store(&watch->is_asleep, false);
    return is_open ? LOOK_MILLISECONDS : -1;
}

static void *run(void *context)
{
    struct watch *watch = context;
    struct pollfd fds[] = {
        {.fd = watch->wake_fd,   .events = POLLIN},
        {.fd = watch->signal_fd, .events = POLLIN},
        {.fd = watch->source_fd, .events = POLLIN},
    };

    while (!watch->stop) {
        int count = poll(fds, 3, patience(watch));
        if (count == 0)
            (void)look_at_source(watch, false);
        if (count <= 0)
            continue;
        if (fds[1].revents) {
            end_session(watch);
            return NULL;
        }
        if (fds[0].revents) {
            drain(watch->wake_fd);
            watch_source(watch);
        }
        if (fds[2].revents)
            on_source_event(watch);
    }
    return NULL;
}

static void watch_destroy(struct watch *watch)
{
    cleanup_close(&watch->signal_fd);
    cleanup_close(&watch->source_fd);
    cleanup_close(&watch->wake_fd);
    free(watch);
}

static int open_descriptors(struct watch *watch)
{
    const sigset_t set = ending_signals();

    watch->source_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (watch->source_fd < 0)
        session_note(watch->session, NOTE_WATCH, "the model file is not watched for changes: inotify: %s",
                     strerrordesc_np(errno));
    watch->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    watch->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return watch->signal_fd < 0 || watch->wake_fd < 0 ? -errno : 0;
}

static void wake(struct watch *watch)
{
    while (eventfd_write(watch->wake_fd, 1) < 0 && errno == EINTR)
        continue;
}

int watch_new(struct session *session, unsigned major, unsigned minor, struct watch **ret_watch)
{
    struct watch *watch = calloc(1, sizeof(*watch));
    if (!watch)
        return -ENOMEM;
    watch->session = session;
    watch->major = major;
    watch->minor = minor;
    watch->loop = pthread_self();
    watch->signal_fd = watch->source_fd = watch->wake_fd = watch->watch_id = -1;
    int r = open_descriptors(watch);
    if (r == 0) {
        watch_source(watch);
        r = -pthread_create(&watch->thread, NULL, run, watch);
    }
    if (r < 0)
        watch_destroy(watch);
    else
        *ret_watch = watch;
    return r;
}

void watch_generation(struct watch *watch)
{
    wake(watch);
}

void watch_opened(struct watch *watch)
{
    if (watch && atomic_exchange(&watch->is_asleep, false))
        wake(watch);
}

void watch_look(struct watch *watch)
{
    if (watch)
        (void)look_at_source(watch, false);
}

void watch_free(struct watch *watch)
{
    if (!watch)
        return;
    watch->stop = true;
    wake(watch);
    pthread_join(watch->thread, NULL);
    watch_destroy(watch);
}
