/* SPDX-License-Identifier: Apache-2.0 */
#include "mount/handle.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "mount/closing.h"
#include "mount/passthrough.h"
#include "mount/watch.h"

#include <fcntl.h>

static void handle_free(struct handle *handle)
{
    if (!handle)
        return;
    image_unref(handle->image);
    generation_unref(handle->origin.generation);
    entry_unref(handle->entry);
    pthread_mutex_destroy(&handle->lock);
    free(handle);
}

DEFINE_CLEANUP(struct handle, handle, handle_free)
#define auto_handle __attribute__((cleanup(cleanup_handle)))

static struct handle *handle_new(enum handle_kind kind, uint64_t number)
{
    struct handle *handle = calloc(1, sizeof(*handle));
    if (!handle)
        return NULL;
    handle->kind = kind;
    handle->number = number;
    pthread_mutex_init(&handle->lock, NULL);
    return handle;
}

struct current handle_origin(struct session *session, uint64_t number)
{
    const struct handle *handle;

    auto_lock(&session->lock);
    LIST_FOREACH(handle, &session->handles, link)
    if (handle->number == number && handle->origin.generation)
        return (struct current){generation_ref(handle->origin.generation), handle->origin.number};
    return (struct current){NULL, 0};
}

static bool opens_for_writing(int flags)
{
    return (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
}

/* --- the read-only tree ----------------------------------------------------------------------- */

/* The image of a model's file; *ret_known: whether the generation knows it. NULL also without memory. */
static struct image *model_image(const struct current *current, uint64_t number, bool *ret_known)
{
    struct generation *generation = current->generation;
    size_t index;

    *ret_known = true;
    switch (number_view(number)) {
    case VIEW_TENSOR:
    case VIEW_NPY:
        if (!generation_find_id(generation, number_id(number), &index))
            break;
        return number_view(number) == VIEW_NPY ? generation_npy_image(generation, index)
                                               : generation_tensor_image(generation, index);
    case VIEW_DOCUMENT:
        if (number_id(number) != current->number)
            break;
        return generation_document_image(generation);
    case VIEW_WHOLE:
        if (number_id(number) != current->number)
            break;
        return generation_whole_image(generation);
    default:
        break;
    }
    *ret_known = false;
    return NULL;
}

/* In the current generation, or in the one that another open handle of the number holds. */
static int find_image(struct session *session, struct handle *handle)
{
    bool known;

    handle->origin = session_current(session);
    handle->image = model_image(&handle->origin, handle->number, &known);
    if (!known) {
        current_done(&handle->origin);
        handle->origin = handle_origin(session, handle->number);
        if (handle->origin.generation)
            handle->image = model_image(&handle->origin, handle->number, &known);
    }
    return handle->image ? 0 : known ? -ENOMEM : -ESTALE;
}

/* -ESTALE when the file that a handle's model is in was changed in place. */
static int check_origin(const struct handle *handle)
{
    struct file *source = generation_file(handle->origin.generation);
    return source ? file_check(source) : 0;
}

static int open_model_file(struct session *session, uint64_t number, int flags, struct handle **ret_handle)
{
    if (opens_for_writing(flags))
        return -EROFS;
    auto_handle struct handle *handle = handle_new(HANDLE_IMAGE, number);
    if (!handle)
        return -ENOMEM;
    int r = find_image(session, handle);
    if (r < 0)
        return r;
    r = check_origin(handle);
    if (r < 0)
        return r;
    *ret_handle = take_ptr(handle);
    return 0;
}

/* --- .weightfs/ ------------------------------------------------------------------------------- */

static int open_status(struct session *session, uint64_t number, int flags, struct handle **ret_handle)
{
    auto_bytes text = BYTES_EMPTY;

    if (opens_for_writing(flags))
        return -EROFS;
    auto_handle struct handle *handle = handle_new(HANDLE_IMAGE, number);
    if (!handle)
        return -ENOMEM;
    if (number == NODE_STATUS_JSON && !stage_is_committing(session->stage))
        handle->tells_end = session->commits;
    watch_look(session->watch);
    int r = session_status(session, number == NODE_STATUS_JSON, &text);
    if (r < 0)
        return r;
    handle->image = image_new();
    if (!handle->image)
        return -ENOMEM;
    size_t length = text.length;
    char *memory = bytes_take(&text);
    r = memory ? image_add_memory(handle->image, memory, length) : -ENOMEM;
    if (r < 0)
        return r;
    *ret_handle = take_ptr(handle);
    return 0;
}

static int open_control(uint64_t number, struct handle **ret_handle)
{
    struct handle *handle = handle_new(HANDLE_CONTROL, number);
    if (!handle)
        return -ENOMEM;
    *ret_handle = handle;
    return 0;
}

/* --- staging/ --------------------------------------------------------------------------------- */

enum stage_place place_of_view(enum view view)
{
    switch (view) {
    case VIEW_STAGED_TENSOR:
        return PLACE_TENSORS;
    case VIEW_STAGED_NPY:
        return PLACE_NPY;
    default:
        return PLACE_ROOT;
    }
}

static int open_preview(struct session *session, uint64_t number, int flags, struct handle **ret_handle)
{
    if (opens_for_writing(flags))
        return -EROFS;
    auto_handle struct handle *handle = handle_new(HANDLE_PREVIEW, number);
    if (!handle)
        return -ENOMEM;
    int r = stage_preview(session->stage, &handle->image, &handle->change);
    if (r < 0)
        return r;
    if (number != number_of(VIEW_PREVIEW, handle->change + 1))
        return -ESTALE;
    *ret_handle = take_ptr(handle);
    return 0;
}

static int open_entry(struct session *session, uint64_t number, struct entry *entry, int flags, pid_t pid,
                      struct handle **ret_handle)
{
    auto_handle struct handle *handle = handle_new(HANDLE_STAGED, number);
    if (!handle)
        return -ENOMEM;
    handle->place = place_of_view(number_view(number));
    handle->append = (flags & O_APPEND) != 0;
    handle->pid = pid;
    int r = stage_open_entry(session->stage, entry, handle->place, flags, &handle->staged);
    if (r < 0)
        return r;
    handle->entry = entry_ref(entry);
    stage_handle_set_pid(handle->staged, pid);
    *ret_handle = take_ptr(handle);
    return 0;
}

static int open_staged(struct session *session, uint64_t number, int flags, pid_t pid,
                       struct handle **ret_handle)
{
    struct entry *entry = node_get(session->nodes, number);
    if (!entry)
        return -ESTALE;
    int r = open_entry(session, number, entry, flags, pid, ret_handle);
    entry_unref(entry);
    return r;
}

int handle_positional(struct session *session, struct handle *handle, struct stage_handle **ret_staged)
{
    auto_lock(&handle->lock);
    if (handle->append && !handle->position) {
        int r = stage_open_entry(session->stage, handle->entry, handle->place, O_RDWR, &handle->position);
        if (r < 0)
            return r;
    }
    *ret_staged = handle->append ? handle->position : handle->staged;
    return 0;
}

/* --- all of them ------------------------------------------------------------------------------ */

/* From here on handle_close() is owed for it. */
static void register_handle(struct session *session, struct handle *handle)
{
    pthread_mutex_lock(&session->lock);
    LIST_INSERT_HEAD(&session->handles, handle, link);
    pthread_mutex_unlock(&session->lock);
    watch_opened(session->watch);
}

static int open_by_view(struct session *session, uint64_t number, int flags, pid_t pid,
                        struct handle **ret_handle)
{
    switch (number_view(number)) {
    case VIEW_TENSOR:
    case VIEW_NPY:
    case VIEW_DOCUMENT:
    case VIEW_WHOLE:
        return open_model_file(session, number, flags, ret_handle);
    case VIEW_STAGED_TENSOR:
    case VIEW_STAGED_NPY:
    case VIEW_STAGED_FILE:
        return open_staged(session, number, flags, pid, ret_handle);
    case VIEW_PREVIEW:
        return open_preview(session, number, flags, ret_handle);
    case VIEW_CONTROL:
        return open_control(number, ret_handle);
    case VIEW_FIXED:
        break;
    }
    if (number == NODE_STATUS || number == NODE_STATUS_JSON)
        return open_status(session, number, flags, ret_handle);
    return -EISDIR;
}

int handle_open(struct session *session, uint64_t number, int flags, pid_t pid, struct handle **ret_handle)
{
    int r = open_by_view(session, number, flags, pid, ret_handle);
    if (r == 0)
        register_handle(session, *ret_handle);
    return r;
}

int handle_open_entry(struct session *session, uint64_t number, struct entry *entry, int flags, pid_t pid,
                      struct handle **ret_handle)
{
    int r = open_entry(session, number, entry, flags, pid, ret_handle);
    if (r == 0)
        register_handle(session, *ret_handle);
    return r;
}

void handle_close(struct session *session, struct handle *handle)
{
    closing_release_begins(session, handle);
    if (handle->position)
        stage_release(handle->position);
    if (handle->staged)
        stage_release(handle->staged);
    closing_release_done(session, handle);
    passthrough_release(session->passthrough, handle);
    pthread_mutex_lock(&session->lock);
    LIST_REMOVE(handle, link);
    pthread_mutex_unlock(&session->lock);
    if (handle->tells_end)
        session->end_told = handle->tells_end;
    handle_free(handle);
}

void handle_close_all(struct session *session)
{
    struct handle *handle;

    while ((handle = LIST_FIRST(&session->handles)))
        handle_close(session, handle);
}

int handle_image(struct session *session, struct handle *handle, struct image **ret_image)
{
    int r;

    switch (handle->kind) {
    case HANDLE_IMAGE:
        r = number_view(handle->number) == VIEW_DOCUMENT ? check_origin(handle) : 0;
        if (r == 0)
            *ret_image = image_ref(handle->image);
        return r;
    case HANDLE_PREVIEW:
        if (stage_change_count(session->stage) != handle->change)
            return -ESTALE;
        *ret_image = image_ref(handle->image);
        return 0;
    case HANDLE_STAGED:
        return stage_image(handle->staged, ret_image);
    case HANDLE_CONTROL:
        break;
    }
    *ret_image = image_new();
    return *ret_image ? 0 : -ENOMEM;
}
