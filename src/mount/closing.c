/* SPDX-License-Identifier: Apache-2.0 */
#include "mount/closing.h"

#include "base/cleanup.h"
#include "base/clock.h"

#define FLUSH_PATIENCE   0.05 /* seconds */
#define RELEASE_PATIENCE 1.0  /* the release has begun, and may have a file to convert */

/* With session->lock held. */
static void set_closing(struct session *session, struct handle *handle, bool closing)
{
    if (handle->is_closing == closing)
        return;
    handle->is_closing = closing;
    if (closing)
        session->closing++;
    else if (--session->closing == 0)
        pthread_cond_broadcast(&session->closed);
}

void closing_wrote(struct session *session, struct handle *handle)
{
    handle->wrote = true;
    if (session->closing == 0)
        return;
    auto_lock(&session->lock);
    set_closing(session, handle, false);
}

void closing_flushed(struct session *session, struct handle *handle, pid_t pid)
{
    if (!handle->wrote || pid != handle->pid)
        return;
    auto_lock(&session->lock);
    handle->wrote = false;
    handle->closing_until = clock_after(clock_now(), FLUSH_PATIENCE);
    set_closing(session, handle, true);
}

void closing_release_begins(struct session *session, struct handle *handle)
{
    auto_lock(&session->lock);
    if (handle->is_closing)
        handle->closing_until = clock_after(clock_now(), RELEASE_PATIENCE);
}

void closing_release_done(struct session *session, struct handle *handle)
{
    auto_lock(&session->lock);
    set_closing(session, handle, false);
}

/* Gives up those whose time has come; the earliest time of the others. With session->lock held. */
static bool next_deadline(struct session *session, struct timespec *ret_deadline)
{
    const struct timespec now = clock_now();
    struct handle *handle;
    bool found = false;

    LIST_FOREACH(handle, &session->handles, link)
    {
        if (!handle->is_closing)
            continue;
        if (!clock_is_later(&handle->closing_until, &now)) {
            set_closing(session, handle, false);
        } else if (!found || clock_is_later(ret_deadline, &handle->closing_until)) {
            *ret_deadline = handle->closing_until;
            found = true;
        }
    }
    return found;
}

/* The read-only tree knows nothing of edits. */
static bool depends_on_edits(uint64_t number)
{
    enum view view = number_view(number);
    return view == VIEW_FIXED ? number >= NODE_STAGING : view >= VIEW_STAGED_TENSOR;
}

void closing_wait(struct session *session, uint64_t number)
{
    struct timespec deadline;

    if (session->closing == 0 || !depends_on_edits(number))
        return;
    auto_lock(&session->lock);
    while (session->closing > 0 && next_deadline(session, &deadline))
        pthread_cond_timedwait(&session->closed, &session->lock, &deadline);
}
