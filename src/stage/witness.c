/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/witness.h"

#include "format/hash.h"
#include "stage/record.h"

#include <linux/ioprio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BLOCK_SIZE (64u << 10) /* part of what a digest is: never another one */
#define STEP_MS    5

/* --- digests --- */

static int digest_image(const struct image *image, const atomic_bool *stop, uint64_t *ret_digest)
{
    uint64_t length = image_length(image);
    uint64_t digest = length;
    auto_free char *block = malloc(BLOCK_SIZE);

    if (!block)
        return -ENOMEM;
    for (uint64_t at = 0; at < length; at += BLOCK_SIZE) {
        const uint64_t key[2] = {digest, at};
        size_t size = length - at < BLOCK_SIZE ? (size_t)(length - at) : BLOCK_SIZE;
        if (stop && atomic_load(stop))
            return -ECANCELED;
        ssize_t count = image_read(image, block, size, at);
        if (count != (ssize_t)size)
            return count < 0 ? (int)count : -ESTALE;
        digest = hash_bytes(key, block, size);
    }
    *ret_digest = digest;
    return 0;
}

int witness_digest(struct generation *generation, size_t index, const atomic_bool *stop, uint64_t *ret_digest)
{
    struct image *image = generation_tensor_image(generation, index);
    int r = image ? digest_image(image, stop, ret_digest) : -ENOMEM;

    image_unref(image);
    return r < 0 ? r
                 : file_check(generation_file(generation)); /* bytes of a file that changed are nobody's */
}

/* --- notes --- */

static struct witness *witnesses_of(struct stage *stage)
{
    struct witnesses *all = &stage->witnesses;

    if (!all->items) {
        all->count = generation_count(stage->generation);
        all->items = calloc(all->count + 1, sizeof(*all->items));
    }
    return all->items;
}

static bool remember_index(struct edit *edit, size_t index)
{
    if (edit->noted_count == edit->noted_capacity) {
        size_t capacity = edit->noted_capacity ? edit->noted_capacity * 2 : 8;
        size_t *noted = realloc(edit->noted, capacity * sizeof(*noted));
        if (!noted)
            return false;
        edit->noted = noted;
        edit->noted_capacity = capacity;
    }
    edit->noted[edit->noted_count++] = index;
    return true;
}

static void put_witness(struct stage *stage, size_t index, struct bytes *out)
{
    const struct witness *witness = &stage->witnesses.items[index];
    struct wfs_tensor tensor = generation_tensor(stage->generation, index);
    struct record_tensor record = {
        .name = tensor.name,
        .name_length = tensor.name_length,
        .declared = {.dtype = tensor.dtype,
                     .has_shape = true,
                     .rank = tensor.rank,
                     .shape = (unsigned char *)tensor.shape,
                     .shape_size = tensor.shape_size,
                     .by = DECLARED_BY_MODEL},
        .has_digest = witness->is_known,
        .digest = witness->digest,
    };

    record_put_tensor(out, &record);
}

static void witness_index(struct edit *edit, size_t index)
{
    struct stage *stage = edit->stage;
    struct witness *items = witnesses_of(stage);

    if (!items || !remember_index(edit, index)) {
        edit->payload.failed = true;
        return;
    }
    if (items[index].is_noted) {
        edit->noted_count--;
        return;
    }
    struct wfs_tensor tensor = generation_tensor(stage->generation, index);
    if (!items[index].is_known && tensor.end - tensor.begin <= WITNESS_AT_ONCE)
        items[index].is_known = witness_digest(stage->generation, index, NULL, &items[index].digest) == 0;
    if (!items[index].is_known && index < stage->witnesses.next)
        stage->witnesses.next = index;
    put_witness(stage, index, &edit->payload);
    items[index].is_noted = true;
}

void witness_name(struct edit *edit, struct key key)
{
    size_t index;

    if (base_find(edit->stage, key, &index))
        witness_index(edit, index);
}

void witness_state(struct edit *edit, const struct entry_state *state)
{
    const struct content *content = &state->content;

    if (content->kind == CONTENT_SOURCE &&
        (!content->generation || content->generation == edit->stage->generation))
        witness_index(edit, content->index);
    if (state->origin)
        witness_name(edit, (struct key){SPACE_TENSOR, state->origin, state->origin_length});
}

void witness_map(struct edit *edit)
{
    struct stage *stage = edit->stage;

    if (stage->witnesses.map_is_noted)
        return;
    stage->witnesses.map_is_noted = edit->noted_map = true;
    witness_put_map(stage, &edit->payload);
}

static void set_noted(struct edit *edit, bool is_noted)
{
    struct witnesses *all = &edit->stage->witnesses;

    for (size_t i = 0; i < edit->noted_count; i++)
        all->items[edit->noted[i]].is_noted = is_noted;
    if (edit->noted_map)
        all->map_is_noted = is_noted;
}

void witness_noted(struct edit *edit)
{
    set_noted(edit, true);
}

void witness_undo(struct edit *edit)
{
    set_noted(edit, false);
}

bool witness_put_next(struct stage *stage, size_t *index, struct bytes *out)
{
    const struct witnesses *all = &stage->witnesses;

    while (all->items && *index < all->count && !all->items[*index].is_noted)
        (*index)++;
    if (!all->items || *index == all->count)
        return false;
    put_witness(stage, (*index)++, out);
    return true;
}

void witness_put_map(struct stage *stage, struct bytes *out)
{
    struct metadata_map map;

    if (!stage->witnesses.map_is_noted)
        return;
    if (metadata_of_header(generation_header(stage->generation), &map) < 0) {
        out->failed = true;
        return;
    }
    record_put_map(out, &map);
    free(map.pairs);
}

void witness_forget_notes(struct stage *stage)
{
    struct witnesses *all = &stage->witnesses;

    for (size_t i = 0; all->items && i < all->count; i++)
        all->items[i].is_noted = false;
    all->map_is_noted = false;
}

void witness_clear(struct stage *stage)
{
    struct witnesses *all = &stage->witnesses;

    free(all->items);
    all->items = NULL;
    all->count = all->next = 0;
    all->map_is_noted = false;
}

int witness_known(struct stage *stage, size_t index, bool has_digest, uint64_t digest)
{
    struct witness *items = witnesses_of(stage);

    if (!items)
        return -ENOMEM;
    items[index].is_noted = true;
    if (has_digest) {
        items[index].is_known = true;
        items[index].digest = digest;
    }
    return 0;
}

/* --- the thread --- */

/* The next tensor without a digest, with stage->lock held; false: there is none. */
static bool next_unknown(struct stage *stage, size_t *ret_index)
{
    struct witnesses *all = &stage->witnesses;

    for (; all->items && all->next < all->count; all->next++) {
        const struct witness *witness = &all->items[all->next];
        if (witness->is_noted && !witness->is_known && !witness->is_hopeless) {
            *ret_index = all->next;
            return true;
        }
    }
    return false;
}

static void keep_digest(struct stage *stage, size_t index, int result, uint64_t digest)
{
    struct witness *witness = &stage->witnesses.items[index];
    struct journal *journal = stage->spool ? spool_journal(stage->spool) : NULL;
    auto_bytes payload = BYTES_EMPTY;

    if (result < 0) {
        witness->is_hopeless = true;
        return;
    }
    witness->is_known = true;
    witness->digest = digest;
    if (!witness->is_noted || !journal)
        return;
    put_witness(stage, index, &payload);
    if (!payload.failed)
        (void)journal_append(journal, payload.data, payload.length); /* a digest less is no harm */
}

/* Of this thread. Not idle: it takes locks that others wait for. */
static void be_humble(void)
{
    (void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 7));
    (void)setpriority(PRIO_PROCESS, 0, 5);
}

static void *make_digests(void *context)
{
    struct stage *stage = context;
    struct witnesses *all = &stage->witnesses;
    size_t index;
    uint64_t digest = 0;

    be_humble();
    pthread_mutex_lock(&stage->lock);
    while (!atomic_load(&all->stop) && next_unknown(stage, &index)) {
        struct generation *generation = generation_ref(stage->generation);
        pthread_mutex_unlock(&stage->lock);
        int r = witness_digest(generation, index, &all->stop, &digest);
        pthread_mutex_lock(&stage->lock);
        if (generation == stage->generation && r != -ECANCELED)
            keep_digest(stage, index, r, digest);
        generation_unref(generation);
    }
    all->is_running = false;
    pthread_mutex_unlock(&stage->lock);
    return NULL;
}

void witness_start(struct stage *stage)
{
    struct witnesses *all = &stage->witnesses;
    size_t index;

    if (all->is_running || !stage->is_open || atomic_load(&stage->frozen) || !next_unknown(stage, &index))
        return;
    if (all->has_thread)
        pthread_join(all->thread, NULL); /* it has nothing more to do but to return */
    atomic_store(&all->stop, false);
    all->has_thread = all->is_running = pthread_create(&all->thread, NULL, make_digests, stage) == 0;
}

static bool is_running(struct stage *stage)
{
    auto_lock(&stage->lock);
    return stage->witnesses.is_running;
}

void witness_stop(struct stage *stage, unsigned patience_ms)
{
    const struct timespec step = {0, STEP_MS * 1000000L};
    struct witnesses *all = &stage->witnesses;

    for (unsigned waited = 0; waited < patience_ms && is_running(stage); waited += STEP_MS)
        nanosleep(&step, NULL);
    atomic_store(&all->stop, true);
    bool has_thread;
    {
        auto_lock(&stage->lock);
        has_thread = all->has_thread;
        all->has_thread = false;
    }
    if (has_thread)
        pthread_join(all->thread, NULL);
}
