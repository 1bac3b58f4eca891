/* SPDX-License-Identifier: Apache-2.0
 *
 * Open files of staging/: who has them open, and what the last close sets off.
 */
#include "stage/pending.h"

#include <fcntl.h>
#include <string.h>

/* With stage->lock held. */
static void handle_attach(struct stage_handle *handle)
{
    struct stage *stage = handle->stage;
    struct entry *entry = handle->entry;

    entry->refs++;
    entry->handles++;
    if (entry->state.content.kind == CONTENT_SOURCE && !entry->state.content.generation)
        entry->state.content.generation = generation_ref(stage->generation);
    if (handle->writable) {
        entry->writers++;
        handle->next = stage->writers;
        stage->writers = handle;
    }
}

int stage_open_entry(struct stage *stage, struct entry *entry, enum stage_place place, int flags,
                     struct stage_handle **ret_handle)
{
    int mode = flags & O_ACCMODE;
    bool writable = mode != O_RDONLY;
    auto_change struct stage *gate = NULL;

    if (writable || (flags & O_TRUNC)) {
        int r = change_begin(stage);
        if (r < 0)
            return r;
        gate = stage;
    }
    auto_free struct stage_handle *handle = calloc(1, sizeof(*handle));
    if (!handle)
        return -ENOMEM;
    *handle = (struct stage_handle){
        .stage = stage,
        .entry = entry,
        .place = place,
        .readable = mode != O_WRONLY,
        .writable = writable,
        .append = flags & O_APPEND,
    };
    {
        auto_lock(&stage->lock);
        if (entry->retired)
            return -ESTALE;
        handle_attach(handle);
    }
    if (flags & O_TRUNC) {
        int r = entry_truncate(entry, place, 0);
        if (r < 0) {
            struct stage_handle *failed = take_ptr(handle);
            failed->place = place;
            handle_detach(failed);
            free(failed);
            return r;
        }
    }
    *ret_handle = take_ptr(handle);
    return 0;
}

void stage_handle_set_pid(struct stage_handle *handle, pid_t pid)
{
    auto_lock(&handle->stage->lock);
    handle->pid = pid;
}

int stage_flush(struct stage_handle *handle)
{
    auto_lock(&handle->stage->lock);
    const struct content *content = &handle->entry->state.content;
    int r = content->kind == CONTENT_SPOOL && content->spool ? file_error(content->spool) : 0;

    return handle->writable ? r : 0;
}

static void forget_writer(struct stage_handle *handle)
{
    struct stage_handle **link = &handle->stage->writers;

    while (*link && *link != handle)
        link = &(*link)->next;
    if (*link)
        *link = handle->next;
}

void handle_detach(struct stage_handle *handle)
{
    struct stage *stage = handle->stage;
    struct entry *entry = handle->entry;
    auto_lock(&stage->lock);

    if (handle->writable) {
        if (!handle->is_closing)
            entry->writers--;
        forget_writer(handle);
    }
    if (--entry->handles == 0) {
        struct content *content = &entry->state.content;
        if (entry->retired) {
            content_clear(content);
        } else if (content->kind == CONTENT_SOURCE && !entry->staged) {
            generation_unref(content->generation);
            content->generation = NULL;
        }
        if (entry == stage->document)
            document_image_drop(stage);
    }
    entry_unref_locked(entry);
}

void entry_settle(struct entry *entry)
{
    struct stage *stage = entry->stage;
    bool is_document;
    {
        auto_lock(&stage->lock);
        if (entry->writers > 0 || entry->retired)
            return;
        is_document = entry == stage->document && entry->staged;
    }
    if (is_document)
        (void)document_settle(stage);
    else
        (void)draft_settle(entry);
}

/* Of writers that close at the same time, the one that counts down to zero is the last. */
static void settle(struct stage_handle *handle)
{
    {
        auto_lock(&handle->stage->lock);
        handle->is_closing = true;
        if (--handle->entry->writers > 0)
            return;
    }
    entry_settle(handle->entry);
}

void stage_release(struct stage_handle *handle)
{
    /* settling comes before detaching: a commit that waits for the writers to go must meet the settled state
     */
    if (handle->writable) {
        change_begin_late(handle->stage);
        settle(handle);
        handle_detach(handle);
        change_end(handle->stage);
    } else {
        handle_detach(handle);
    }
    stage_tidy_up(handle->stage,
                  false); /* the last reader of what a commit took away may have kept it alive */
    free(handle);
}

int stage_image(struct stage_handle *handle, struct image **ret_image)
{
    auto_lock(&handle->stage->lock);
    struct image *image = entry_image(handle->entry, handle->place);

    if (!image)
        return -ENOMEM;
    *ret_image = image;
    return 0;
}
