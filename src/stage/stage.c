/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/stage.h"

#include "base/error.h"
#include "stage/pending.h"
#include "stage/witness.h"

#include <fcntl.h>
#include <string.h>

#define WITNESS_PATIENCE_MS 2000 /* for digests that are still to be made when all ends */

DEFINE_CLEANUP(struct stage, stage, stage_close)

/* --- opening --- */

static uint64_t first_free_id(const struct generation *generation)
{
    uint64_t next = 1;

    for (size_t i = 0; i < generation_count(generation); i++) {
        uint64_t id = generation_version(generation, i).id;
        next = id >= next ? id + 1 : next;
    }
    return next;
}

static void init_locks(struct stage *stage)
{
    pthread_rwlockattr_t attributes;

    pthread_rwlockattr_init(&attributes);
    /* a commit must not wait behind an endless stream of changes */
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&stage->gate, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    pthread_mutex_init(&stage->lock, NULL);
}

static bool copy_string(char **to, const char *from)
{
    *to = from ? strdup(from) : NULL;
    return !from || *to;
}

static struct layout default_layout(const struct generation *generation)
{
    return (struct layout){.kind = generation_is_empty(generation) ? LAYOUT_CANONICAL : LAYOUT_KEEP};
}

static struct stage *stage_new(int dirfd, const char *name, struct generation *generation,
                               const struct stage_options *options)
{
    struct stage *stage = calloc(1, sizeof(*stage));
    if (!stage)
        return NULL;
    init_locks(stage);
    stage->dirfd = dirfd;
    stage->spool_parent = -1;
    stage->options = *options;
    stage->create = options->create || options->output;
    stage->generation = generation_ref(generation);
    stage->next_id = first_free_id(generation);
    stage->layout = default_layout(generation);
    stage->clock =
        generation_is_empty(generation) ? (struct timespec){0, 0} : generation_stat(generation)->st_mtim;
    bool ok = table_init(&stage->table) == 0 && copy_string(&stage->name, name) &&
              copy_string(&stage->path, options->path ? options->path : name) &&
              copy_string(&stage->mountpoint, options->mountpoint) &&
              copy_string(&stage->link, options->link) && copy_string(&stage->link_name, options->link_name);
    if (ok)
        stage->document = entry_new(stage, stage->next_id++);
    if (!ok || !stage->document) {
        stage_close(stage);
        return NULL;
    }
    return stage;
}

int stage_open(int dirfd, const char *name, struct generation *generation,
               const struct stage_options *options, struct stage **ret_stage, struct wfs_error *err)
{
    __attribute__((cleanup(cleanup_stage))) struct stage *stage = stage_new(dirfd, name, generation, options);
    if (!stage)
        return error_no_memory(err);
    int r = stage_place_spool(stage, options->staging, err);
    if (r < 0)
        return r;
    stage_judge_place(stage, options->read_only);
    if (!stage->read_only_why.errnum) {
        pthread_mutex_lock(&stage->lock);
        r = recover(stage, options, err);
        pthread_mutex_unlock(&stage->lock);
        if (r < 0)
            return r;
        stage_settle_resumed(stage);
    }
    stage->options = (struct stage_options){
        .follow = options->follow,
        .replace_link = options->replace_link,
        .link_dirfd = options->link_dirfd,
        .output = options->output,
    };
    stage->is_open = true;
    {
        auto_lock(&stage->lock);
        witness_start(stage);
    }
    *ret_stage = take_ptr(stage);
    return 0;
}

/* --- closing --- */

static void free_entries(struct stage *stage)
{
    auto_lock(&stage->lock);

    for (size_t bucket = 0; stage->table.buckets && bucket < stage->table.bucket_count; bucket++) {
        for (struct slot *slot = stage->table.buckets[bucket]; slot; slot = slot->next) {
            struct entry *entry = slot->entry;
            slot->entry = NULL;
            if (!entry)
                continue;
            entry->slot = NULL;
            entry_set_staged(entry, false);
        }
    }
    if (stage->document) {
        stage->document->staged = false;
        stage->document->refs = 1;
        entry_unref_locked(stage->document);
    }
}

void stage_close(struct stage *stage)
{
    if (!stage)
        return;
    bool has_edits = stage->spool && stage->is_open;
    if (has_edits)
        (void)stage_sync_all(stage);
    witness_stop(stage, has_edits ? WITNESS_PATIENCE_MS : 0); /* last: what is journaled starts it again */
    if (has_edits) {
        auto_lock(&stage->lock);
        preview_drop(stage);
        stage_drop_spool_if_unused(stage);
    }
    free_entries(stage);
    table_free(&stage->table);
    image_unref(stage->preview);
    image_unref(stage->rendering.image);
    spool_close(stage->spool);
    stage_forget_place(stage);
    witness_clear(stage);
    generation_unref(stage->generation);
    metadata_clear(&stage->metadata);
    problem_list_clear(&stage->last.problems);
    free(stage->name);
    free(stage->path);
    free(stage->mountpoint);
    free(stage->link);
    free(stage->link_name);
    free(stage->document_error);
    free(stage->last_note);
    free(stage->adopted);
    free(stage->resumed);
    free(stage->commit_error);
    free(stage->worn.ids);
    pthread_mutex_destroy(&stage->lock);
    pthread_rwlock_destroy(&stage->gate);
    free(stage);
}

/* --- answers --- */

int stage_writable(const struct stage *stage, struct wfs_error *err)
{
    if (stage->read_only_why.errnum && err)
        *err = stage->read_only_why;
    return -stage->read_only_why.errnum;
}

struct generation *stage_generation(struct stage *stage)
{
    auto_lock(&stage->lock);
    return generation_ref(stage->generation);
}

uint64_t stage_change_count(const struct stage *stage)
{
    return atomic_load(&stage->changes);
}

struct timespec stage_mtime(const struct stage *stage)
{
    auto_lock((pthread_mutex_t *)&stage->lock);
    return stage->clock;
}

bool stage_is_committing(const struct stage *stage)
{
    auto_lock((pthread_mutex_t *)&stage->lock);
    return stage->commit_state == COMMIT_RUNNING;
}

struct timespec stage_model_time(const struct stage *stage)
{
    auto_lock((pthread_mutex_t *)&stage->lock);
    return stage->model_time;
}

bool stage_is_read_only(const struct stage *stage)
{
    return stage->read_only_why.errnum != 0;
}

const char *stage_directory(struct stage *stage)
{
    auto_lock(&stage->lock);
    return stage->spool ? stage->spool_path : NULL;
}

const char *stage_resumed(const struct stage *stage)
{
    return stage->resumed;
}

void stage_note(struct stage *stage, const struct wfs_error *err)
{
    auto_lock(&stage->lock);
    free(stage->last_note);
    stage->last_note = strdup(err->text);
}

/* Of a staged file they are journalled, to be shown after a kill as well. */
static int set_attributes(struct entry *entry, const mode_t *mode, const struct timespec *atime,
                          const struct timespec *mtime)
{
    struct stage *stage = entry->stage;
    auto_state next = {.declared = DECLARATION_NONE, .by_xattr = DECLARATION_NONE};

    if (entry->retired)
        return -ESTALE;
    int r = state_copy(&next, &entry->state);
    if (r < 0)
        return r;
    if (mode)
        next.mode = *mode & 0777;
    if (atime)
        next.atime = *atime;
    if (mtime)
        next.mtime = *mtime;
    next.ctime = stage->clock;
    if (entry->staged)
        return entry_update(entry, &next);
    state_take(&entry->state, &next);
    return 0;
}

int stage_set_mode(struct stage *stage, struct entry *entry, mode_t mode)
{
    int r = change_begin(stage);
    if (r < 0)
        return r;
    auto_change struct stage *gate = stage;
    auto_lock(&stage->lock);
    return set_attributes(entry, &mode, NULL, NULL);
}

int stage_set_times(struct stage *stage, struct entry *entry, const struct timespec *atime,
                    const struct timespec *mtime)
{
    int r = change_begin(stage);
    if (r < 0)
        return r;
    auto_change struct stage *gate = stage;
    auto_lock(&stage->lock);
    return set_attributes(entry, NULL, atime, mtime);
}
