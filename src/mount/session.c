/* SPDX-License-Identifier: Apache-2.0 */
#include "mount/session.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "mount/behind.h"
#include "mount/control.h"
#include "mount/handle.h"
#include "mount/listing.h"
#include "mount/mountpoint.h"
#include "mount/passthrough.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FIRST_TENSOR_ID   1u
#define DEFAULT_VIEW_NAME "model.safetensors"
#define REPORT_GOOD_FOR   4.0 /* times as long as it took to make */

static void *ref_entry(void *entry)
{
    return entry_ref(entry);
}

static void unref_entry(void *entry)
{
    entry_unref(entry);
}

static const struct node_class entry_class = {ref_entry, unref_entry};

/* Names that the root directory has already. */
static bool is_taken(const char *name)
{
    static const char *const fixed[] = {"metadata.json", "tensors", "npy", "staging", ".weightfs"};
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
        if (strcmp(name, fixed[i]) == 0)
            return true;
    return false;
}

static char *choose_view_name(const char *source)
{
    const char *name = strrchr(source, '/') + 1;
    return strdup(is_taken(name) ? DEFAULT_VIEW_NAME : name);
}

static int resolve_names(struct session *session, struct wfs_error *err)
{
    const struct mount_options *options = session->options;
    const struct stage_target_request request = {options->source, options->output, options->staging,
                                                 options->create};

    /* first: it clears a dead mount away that may lie over the source */
    int r = mountpoint_resolve(options->mountpoint, &session->mountpoint, err);
    r = r < 0 ? r : stage_target_resolve(&request, &session->target, err);
    if (r < 0)
        return r;
    if (options->output && mountpoint_covers(session->mountpoint, session->target.path))
        return error_rule(err, WFS_CODE_USAGE,
                          "%s: output=%s would lie in the mount point, where nobody can see it",
                          printable_string(options->mountpoint).text, printable_string(options->output).text);
    if (options->staging && mountpoint_covers(session->mountpoint, session->target.staging))
        return error_rule(
            err, WFS_CODE_USAGE,
            "the staging directory %s must not lie in the mount point %s: the mount would hide it",
            printable_string(session->target.staging).text, printable_string(session->mountpoint).text);
    session->view_name = choose_view_name(session->target.source);
    return session->view_name ? 0 : error_no_memory(err);
}

static int open_generation(struct session *session, struct wfs_error *err)
{
    const struct mount_options *options = session->options;
    unsigned mode = options->tolerate_stsw ? HEADER_STSW : HEADER_OFFICIAL;

    session->current.number = 1;
    if (options->create)
        return generation_empty(&session->current.generation, err);
    return generation_open(AT_FDCWD, options->source, mode, FIRST_TENSOR_ID, &session->current.generation,
                           err);
}

static int open_stage(struct session *session, const struct mount_listener *listener, struct wfs_error *err)
{
    const struct mount_options *options = session->options;
    struct stage_options wanted = {
        .read_only = options->read_only,
        .discard = options->discard_staging,
        .rebase = options->rebase,
        .accept_unsynced = options->accept_unsynced,
        .create = options->create,
        .mountpoint = session->mountpoint,
        .follow = options->follow,
        .replace_link = options->replace_link,
    };
    stage_target_describe(&session->target, &wanted);

    int r = stage_open(session->target.dirfd, session->target.name, session->current.generation, &wanted,
                       &session->stage, err);
    if (r < 0)
        return r;
    size_t changes = stage_change_total(session->stage);
    if (changes > 0 && listener->note) {
        const char *resumed = stage_resumed(session->stage);
        listener->note(listener->context, resumed ? resumed : "staged changes were resumed");
    }
    return 0;
}

static int fill(struct session *session, const struct mount_listener *listener, struct wfs_error *err)
{
    int r = resolve_names(session, err);
    if (r < 0)
        return r;
    r = open_generation(session, err);
    if (r < 0)
        return r;
    if (node_table_new(&entry_class, &session->nodes) < 0 || control_new(session, &session->control) < 0 ||
        passthrough_new(session, &session->passthrough) < 0 ||
        (session->options->drop_behind && behind_new(&session->behind) < 0))
        return error_no_memory(err);
    return open_stage(session, listener, err);
}

static void init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

int session_open(const struct mount_options *options, const struct mount_listener *listener,
                 struct session **ret_session, struct wfs_error *err)
{
    struct session *session = calloc(1, sizeof(*session));
    if (!session)
        return error_no_memory(err);
    session->options = options;
    session->target = STAGE_TARGET_NONE;
    session->owner = geteuid();
    session->group = getegid();
    clock_gettime(CLOCK_REALTIME, &session->begun);
    pthread_mutex_init(&session->lock, NULL);
    init_condition(&session->closed);
    LIST_INIT(&session->handles);
    LIST_INIT(&session->listings);

    int r = fill(session, listener, err);
    if (r < 0)
        session_close(session);
    else
        *ret_session = session;
    return r;
}

void session_close(struct session *session)
{
    if (!session)
        return;
    control_free(session->control);
    handle_close_all(session);
    passthrough_free(session->passthrough);
    listing_close_all(session);
    node_table_free(session->nodes);
    stage_close(session->stage);
    behind_free(session->behind);
    generation_unref(session->current.generation);
    stage_target_clear(&session->target);
    for (size_t i = 0; i < SESSION_NOTES; i++)
        free(session->notes[i]);
    free(session->mountpoint);
    free(session->view_name);
    pthread_cond_destroy(&session->closed);
    pthread_mutex_destroy(&session->lock);
    free(session);
}

struct current session_current(struct session *session)
{
    auto_lock(&session->lock);
    return (struct current){generation_ref(session->current.generation), session->current.number};
}

void current_done(struct current *current)
{
    generation_unref(current->generation);
}

void session_publish(struct session *session, struct generation *generation)
{
    pthread_mutex_lock(&session->lock);
    struct generation *before = session->current.generation;
    session->current.generation = generation_ref(generation);
    session->current.number++;
    free(session->notes[NOTE_SOURCE]); /* was about the file before */
    session->notes[NOTE_SOURCE] = NULL;
    pthread_mutex_unlock(&session->lock);
    generation_unref(before);
}

void session_note(struct session *session, enum note note, const char *format, ...)
{
    char *line = NULL;
    va_list arguments;

    va_start(arguments, format);
    if (vasprintf(&line, format, arguments) < 0)
        line = NULL;
    va_end(arguments);
    if (!line)
        return;
    auto_lock(&session->lock);
    free(session->notes[note]);
    session->notes[note] = line;
}

/* Copies, so that no lock is held while the stage writes its report. */
static size_t copy_notes(struct session *session, char *notes[SESSION_NOTES + 1])
{
    size_t count = 0;

    auto_lock(&session->lock);
    for (size_t i = 0; i < SESSION_NOTES; i++) {
        char *copy = session->notes[i] ? strdup(session->notes[i]) : NULL;
        if (copy)
            notes[count++] = copy;
    }
    notes[count] = NULL;
    return count;
}

static void keep_size(struct session *session, bool json, uint64_t bytes, struct timespec changed,
                      struct timespec begun)
{
    struct timespec now = clock_now();
    struct report_size *kept = &session->report_sizes[json];

    auto_lock(&session->lock);
    *kept = (struct report_size){
        .bytes = bytes,
        .changed = changed,
        .until = clock_after(now, REPORT_GOOD_FOR * clock_seconds(&begun, &now)),
    };
}

int session_status(struct session *session, bool json, struct bytes *out)
{
    char *notes[SESSION_NOTES + 1];
    size_t count = copy_notes(session, notes);
    const struct stage_face face = {
        .mountpoint = session->mountpoint,
        .source = session->target.source,
        .pid = (int)getpid(),
        .notes = (const char *const *)notes,
    };
    struct timespec begun = clock_now();
    struct timespec changed = stage_mtime(session->stage);

    int r =
        json ? stage_report_json(session->stage, &face, out) : stage_report_text(session->stage, &face, out);
    for (size_t i = 0; i < count; i++)
        free(notes[i]);
    if (r < 0 || out->failed)
        return r < 0 ? r : -ENOMEM;
    keep_size(session, json, out->length, changed, begun);
    return 0;
}

static bool find_size(struct session *session, bool json, uint64_t *ret_size)
{
    const struct report_size *kept = &session->report_sizes[json];
    struct timespec now = clock_now();
    struct timespec changed = stage_mtime(session->stage);

    if (stage_is_committing(session->stage))
        return false;
    auto_lock(&session->lock);
    *ret_size = kept->bytes;
    return clock_is_later(&kept->until, &now) && !clock_is_later(&changed, &kept->changed);
}

int session_status_size(struct session *session, bool json, uint64_t *ret_size)
{
    auto_bytes text = BYTES_EMPTY;

    if (find_size(session, json, ret_size))
        return 0;
    int r = session_status(session, json, &text);
    *ret_size = text.length;
    return r;
}

/* The model takes its own size; what is free is what a commit could use. */
void session_statvfs(struct session *session, struct statvfs *ret_statvfs)
{
    auto_current current = session_current(session);
    struct statvfs st;

    if (fstatvfs(session->target.dirfd, &st) < 0)
        st = (struct statvfs){.f_bsize = 4096, .f_frsize = 4096};
    struct file *source = generation_file(current.generation);
    uint64_t size = source ? file_identity(source)->size : 0;
    uint64_t unit = st.f_frsize ? st.f_frsize : 4096;
    uint64_t count = generation_count(current.generation);

    st.f_blocks = (fsblkcnt_t)(size / unit + (size % unit != 0) + st.f_bfree);
    st.f_files = (fsfilcnt_t)(count + st.f_ffree);
    st.f_namemax = 255;
    *ret_statvfs = st;
}
