/* SPDX-License-Identifier: Apache-2.0 */
#include "mount/control.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fault.h"
#include "mount/notify.h"
#include "mount/passthrough.h"
#include "mount/watch.h"
#include "stage/words.h"

#include <poll.h>
#include <string.h>

#define LAST_STEPS_SECONDS    1
#define FOLLOWER_MILLISECONDS 2000
#define STEP_MILLISECONDS     10

/* The one commit that may run, and its thread. */
struct control {
    struct session *session;

    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool is_running;
    bool is_closing; /* no commit begins any more */
    bool has_thread; /* to be joined, running or not */
    pthread_t thread;

    /* the commit's own, while it runs */
    struct words words;
    struct commit_options options;
    size_t size;    /* of the write */
    bool early;     /* answered once staging is frozen */
    fuse_req_t req; /* NULL: answered; the committing thread's own */
    atomic_bool cancelled;
};

int control_new(struct session *session, struct control **ret_control)
{
    struct control *control = calloc(1, sizeof(*control));
    if (!control)
        return -ENOMEM;
    control->session = session;
    pthread_mutex_init(&control->lock, NULL);
    pthread_cond_init(&control->ended, NULL);
    *ret_control = control;
    return 0;
}

void control_free(struct control *control)
{
    if (!control)
        return;
    control_wait(control);
    if (control->has_thread)
        pthread_join(control->thread, NULL);
    words_clear(&control->words);
    pthread_cond_destroy(&control->ended);
    pthread_mutex_destroy(&control->lock);
    free(control);
}

void control_wait(struct control *control)
{
    auto_lock(&control->lock);
    while (control->is_running)
        pthread_cond_wait(&control->ended, &control->lock);
}

static void cancel(struct control *control)
{
    control->cancelled = true;
    stage_cancel(control->session->stage);
}

/* Whoever began the commit with `commit-start` reads its end in the status, when there still is one. */
static void let_it_be_read(struct session *session)
{
    for (int waited = 0; waited < FOLLOWER_MILLISECONDS && session->end_told != session->commits;
         waited += STEP_MILLISECONDS)
        poll(NULL, 0, STEP_MILLISECONDS);
}

void control_cancel(struct control *control)
{
    pthread_mutex_lock(&control->lock);
    control->is_closing = true;
    bool is_followed = control->is_running && control->early;
    pthread_mutex_unlock(&control->lock);
    cancel(control);
    control_wait(control);
    if (is_followed)
        let_it_be_read(control->session);
}

static void answer(fuse_req_t req, int r, size_t size)
{
    if (r < 0)
        fuse_reply_err(req, r == -EINTR ? ECANCELED : -r);
    else
        fuse_reply_write(req, size);
}

/* --- commit ----------------------------------------------------------------------------------- */

static void answer_commit(struct control *control, int r)
{
    if (control->req)
        answer(control->req, r, control->size);
    control->req = NULL;
}

static void on_frozen(void *context)
{
    struct control *control = context;
    control->session->commits++;
    if (control->cancelled) /* asked before there was a commit to cancel */
        stage_cancel(control->session->stage);
    if (control->early)
        answer_commit(control, 0);
}

static void on_published(void *context, struct generation *before, struct generation *after)
{
    struct session *session = ((struct control *)context)->session;
    session_publish(session, after);
    passthrough_published(session->passthrough);
    watch_generation(session->watch);
    notifier_published(session->notifier, before, after);
}

static void *run_commit(void *context)
{
    struct control *control = context;
    const struct commit_observer observer = {control, on_frozen, on_published};
    struct wfs_error err = {0};

    int r = stage_commit(control->session->stage, &control->options, &observer, &err);
    if (err.code == WFS_CODE_READ_ONLY || err.code == WFS_CODE_BUSY)
        stage_note(control->session->stage, &err);
    answer_commit(control, r > 0 ? -EIO : r); /* replaced, but durability unknown: told as an I/O error */

    auto_lock(&control->lock);
    words_clear(&control->words);
    control->is_running = false;
    pthread_cond_broadcast(&control->ended);
    return NULL;
}

static void on_interrupt(fuse_req_t req, void *context)
{
    (void)req;
    cancel(context);
}

/* The status tells the end of a commit a moment before its thread is done with it, and who reads that may be
 * quick to start the next. With the lock held. */
static void let_it_finish(struct control *control)
{
    struct timespec deadline;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += LAST_STEPS_SECONDS;
    while (control->is_running && !stage_is_committing(control->session->stage))
        if (pthread_cond_timedwait(&control->ended, &control->lock, &deadline) != 0)
            break;
}

/* Takes over the words, on success. */
static int start_commit(struct control *control, fuse_req_t req, struct words *words, size_t size,
                        struct wfs_error *err)
{
    struct commit_options options;

    int r = words_commit_options((const char *const *)words->word + 1, &options, err);
    if (r < 0)
        return r;
    auto_lock(&control->lock);
    let_it_finish(control);
    if (control->is_running || control->is_closing)
        return error_rule(err, WFS_CODE_BUSY,
                          control->is_running ? "a commit is running" : "the mount is ending");
    if (control->has_thread)
        pthread_join(control->thread, NULL);
    control->words = *words;
    control->options = options;
    control->size = size;
    control->early = fault(FAULT_REPLY_EARLY) || strcmp(words->word[0], "commit-start") == 0;
    control->req = req;
    control->cancelled = false;
    control->is_running = true;
    fuse_req_interrupt_func(req, on_interrupt, control);
    control->has_thread = pthread_create(&control->thread, NULL, run_commit, control) == 0;
    if (!control->has_thread) {
        control->is_running = false;
        control->words = WORDS_NONE; /* still the caller's, as the request is */
        control->req = NULL;
        return error_errno(err, EAGAIN, "cannot start a thread for the commit");
    }
    *words = WORDS_NONE;
    return 1;
}

/* --- all commands ----------------------------------------------------------------------------- */

/* 0 or a negative errno: to be answered now; 1: a commit was started that answers itself. */
static int obey(struct control *control, fuse_req_t req, struct words *words, size_t size,
                struct wfs_error *err)
{
    struct stage *stage = control->session->stage;
    const char *verb = words->count > 0 ? words->word[0] : "";

    if (strcmp(verb, "commit") == 0 || strcmp(verb, "commit-start") == 0)
        return start_commit(control, req, words, size, err);
    if (strcmp(verb, "discard") == 0)
        return stage_discard(stage, words->word + 1, words->count - 1, err);
    if (strcmp(verb, "check") == 0 && words->count == 1)
        return stage_check(stage, err);
    if (strcmp(verb, "cancel") == 0 && words->count == 1) {
        cancel(control);
        return 0;
    }
    return error_rule(err, WFS_CODE_USAGE,
                      "control: there is no command '%s': commit, check, discard [NAME...], cancel",
                      printable_string(verb).text);
}

void control_write(struct control *control, fuse_req_t req, const char *data, size_t size)
{
    auto_words words = WORDS_NONE;
    struct wfs_error err = {0};

    int r = words_split(data, size, &words, &err);
    if (r == 0)
        r = obey(control, req, &words, size, &err);
    if (r == 1)
        return;
    if (err.code == WFS_CODE_USAGE || err.code == WFS_CODE_BUSY || err.code == WFS_CODE_NOT_FOUND)
        stage_note(control->session->stage, &err);
    answer(req, r, size);
}
