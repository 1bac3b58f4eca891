/* SPDX-License-Identifier: Apache-2.0 */
#include "mount/notify.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fault.h"
#include "format/name.h"
#include "mount/tree.h"

#include <fuse_lowlevel.h>
#include <string.h>

#define PATIENCE_SECONDS 10

struct notifier {
    struct session *session;
    pthread_t thread;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stop;
    bool source_changed;
    struct generation *before, *after; /* the commit to tell of; NULL: none */
    uint64_t asked, done;              /* commits handed in, and told */
};

/* --- what is sent ----------------------------------------------------------------------------- */

/* Failures are of no interest: the kernel did not know the thing, or the mount is gone. */
static void forget_name(struct session *session, uint64_t directory, const char *name)
{
    fuse_lowlevel_notify_inval_entry(session->fuse, directory, name, strlen(name));
}

static void forget_content(struct session *session, uint64_t number)
{
    fuse_lowlevel_notify_inval_inode(session->fuse, number, 0, 0);
}

static void forget_tensor(struct session *session, const struct wfs_tensor *tensor)
{
    char file_name[FILE_NAME_BUFFER + sizeof(".npy")];

    size_t length = name_encode(tensor->name, tensor->name_length, file_name);
    forget_name(session, NODE_TENSORS, file_name);
    memcpy(file_name + length, ".npy", sizeof(".npy"));
    forget_name(session, NODE_NPY, file_name);
}

/* Whether the other generation has the same tensor under the same name. */
static bool is_kept(const struct generation *generation, size_t index, const struct generation *other)
{
    const struct wfs_tensor tensor = generation_tensor(generation, index);
    size_t found;

    return wfs_header_find(generation_header(other), tensor.name, tensor.name_length, &found) &&
           generation_version(generation, index).id == generation_version(other, found).id;
}

static void tell_of_commit(struct session *session, const struct generation *before,
                           const struct generation *after)
{
    const struct generation *both[] = {before, after};

    for (size_t g = 0; g < 2; g++) {
        for (size_t i = 0; i < generation_count(both[g]); i++) {
            if (is_kept(both[g], i, both[1 - g]))
                continue;
            const struct wfs_tensor tensor = generation_tensor(both[g], i);
            forget_tensor(session, &tensor);
        }
    }
    forget_name(session, NODE_ROOT, "metadata.json");
    forget_name(session, NODE_ROOT, session->view_name);
    for (uint64_t directory = NODE_ROOT; directory <= NODE_NPY; directory++)
        forget_content(session, directory);
}

static void tell_of_changed_source(struct session *session)
{
    static const enum view views[] = {VIEW_TENSOR, VIEW_NPY, VIEW_STAGED_TENSOR, VIEW_STAGED_NPY};

    auto_current current = session_current(session);
    size_t count = generation_count(current.generation);

    forget_content(session, number_of(VIEW_WHOLE, current.number));
    forget_content(session, number_of(VIEW_DOCUMENT, current.number));
    forget_content(session, preview_number(session));
    for (size_t i = 0; i < count; i++)
        for (size_t v = 0; v < sizeof(views) / sizeof(views[0]); v++)
            forget_content(session, number_of(views[v], generation_version(current.generation, i).id));
}

/* --- the thread ------------------------------------------------------------------------------- */

static bool has_work(const struct notifier *notifier)
{
    return notifier->stop || notifier->source_changed || notifier->asked > notifier->done;
}

/* One round of work, with the lock let go. */
static void work(struct notifier *notifier)
{
    struct generation *before = notifier->before;
    struct generation *after = notifier->after;
    uint64_t asked = notifier->asked;
    bool source_changed = notifier->source_changed;

    notifier->before = notifier->after = NULL;
    notifier->source_changed = false;
    pthread_mutex_unlock(&notifier->lock);
    if (before && !fault(FAULT_NOTIFY))
        tell_of_commit(notifier->session, before, after);
    generation_unref(before);
    generation_unref(after);
    if (source_changed)
        tell_of_changed_source(notifier->session);
    pthread_mutex_lock(&notifier->lock);
    notifier->done = asked;
    pthread_cond_broadcast(&notifier->changed);
}

static void *run(void *context)
{
    struct notifier *notifier = context;

    auto_lock(&notifier->lock);
    while (true) {
        while (!has_work(notifier))
            pthread_cond_wait(&notifier->changed, &notifier->lock);
        if (notifier->stop)
            return NULL;
        work(notifier);
    }
}

static void notifier_destroy(struct notifier *notifier)
{
    generation_unref(notifier->before);
    generation_unref(notifier->after);
    pthread_cond_destroy(&notifier->changed);
    pthread_mutex_destroy(&notifier->lock);
    free(notifier);
}

int notifier_new(struct session *session, struct notifier **ret_notifier)
{
    pthread_condattr_t attributes;
    struct notifier *notifier = calloc(1, sizeof(*notifier));
    if (!notifier)
        return -ENOMEM;
    notifier->session = session;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&notifier->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&notifier->lock, NULL);
    int r = pthread_create(&notifier->thread, NULL, run, notifier);
    if (r != 0) {
        notifier_destroy(notifier);
        return -r;
    }
    *ret_notifier = notifier;
    return 0;
}

void notifier_free(struct notifier *notifier)
{
    if (!notifier)
        return;
    pthread_mutex_lock(&notifier->lock);
    notifier->stop = true;
    pthread_cond_broadcast(&notifier->changed);
    pthread_mutex_unlock(&notifier->lock);
    pthread_join(notifier->thread, NULL);
    notifier_destroy(notifier);
}

void notifier_published(struct notifier *notifier, struct generation *before, struct generation *after)
{
    const struct timespec deadline = clock_after(clock_now(), PATIENCE_SECONDS);

    auto_lock(&notifier->lock);
    if (!notifier->before) /* else: a commit that was not told of yet, its names are told with this one's */
        notifier->before = generation_ref(before);
    generation_unref(notifier->after);
    notifier->after = generation_ref(after);
    uint64_t serial = ++notifier->asked;
    pthread_cond_broadcast(&notifier->changed);
    while (notifier->done < serial && !notifier->stop)
        if (pthread_cond_timedwait(&notifier->changed, &notifier->lock, &deadline) != 0)
            break;
}

void notifier_source_changed(struct notifier *notifier)
{
    auto_lock(&notifier->lock);
    notifier->source_changed = true;
    pthread_cond_broadcast(&notifier->changed);
}
