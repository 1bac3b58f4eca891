/* SPDX-License-Identifier: Apache-2.0
 *
 * By blocks, because pages lie in the cache in folios of up to 2 MiB, of which the kernel drops whole ones
 * only (docs/performance.md 3).
 */
#include "mount/behind.h"

#include "base/checked.h"
#include "base/cleanup.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BLOCK      ((uint64_t)8 << 20)
#define LOOK_AHEAD (3 * BLOCK) /* farther than the kernel reads ahead of the daemon: two windows of 8 MiB */
#define PAGES_MAX  (BLOCK / 4096)

enum origin {
    UNKNOWN,
    OURS,
    THEIRS,
};

struct block {
    uint32_t served; /* bytes since it was looked at */
    uint8_t origin;
};

struct behind {
    pthread_mutex_t lock;
    struct file *file; /* the model file that was read last */
    struct block *blocks;
    size_t count;
};

int behind_new(struct behind **ret_behind)
{
    struct behind *behind = calloc(1, sizeof(*behind));
    if (!behind)
        return -ENOMEM;
    pthread_mutex_init(&behind->lock, NULL);
    *ret_behind = behind;
    return 0;
}

void behind_free(struct behind *behind)
{
    if (!behind)
        return;
    file_unref(behind->file);
    free(behind->blocks);
    pthread_mutex_destroy(&behind->lock);
    free(behind);
}

static uint64_t block_length(const struct behind *behind, size_t index)
{
    return min_u64(BLOCK, file_identity(behind->file)->size - index * BLOCK);
}

/* A part of a model file: false for memory, and for spool files, which are ours to keep. */
static bool is_source(const struct image_slice_part *part)
{
    return part->file && !file_name(part->file);
}

/* Without memory for it nothing is dropped. */
static bool set_file(struct behind *behind, struct file *file)
{
    size_t count = (size_t)(file_identity(file)->size / BLOCK + 1);

    if (behind->file == file)
        return true;
    struct block *blocks = calloc(count, sizeof(*blocks));
    if (!blocks)
        return false;
    file_unref(behind->file);
    free(behind->blocks);
    behind->file = file_ref(file);
    behind->blocks = blocks;
    behind->count = count;
    return true;
}

/* Whether any page of a range is in the cache. The kernel says so of all pages of a file that is not ours. */
static bool is_cached(int fd, uint64_t offset, uint64_t length)
{
    unsigned char pages[PAGES_MAX];
    bool cached = true;

    void *map = mmap(NULL, (size_t)length, PROT_READ, MAP_SHARED, fd, (off_t)offset);
    if (map == MAP_FAILED)
        return true;
    if (mincore(map, (size_t)length, pages) == 0) {
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        cached = false;
        for (size_t i = 0; i < (length + page - 1) / page; i++)
            cached |= pages[i] & 1;
    }
    munmap(map, (size_t)length);
    return cached;
}

static void look_at(struct behind *behind, const struct image_slice_part *part)
{
    uint64_t end = part->offset + part->length + LOOK_AHEAD;

    for (size_t i = (size_t)(part->offset / BLOCK); i < behind->count && i * BLOCK < end; i++) {
        struct block *block = &behind->blocks[i];
        uint64_t length = block_length(behind, i);
        if (block->origin != UNKNOWN || length == 0)
            continue;
        block->origin = is_cached(part->fd, i * BLOCK, length) ? THEIRS : OURS;
        block->served = 0;
    }
}

/* Forgets what was known of a block, and drops it where it is ours. */
static void leave(struct behind *behind, int fd, size_t index)
{
    struct block *block = &behind->blocks[index];

    if (block->origin == OURS)
        posix_fadvise(fd, (off_t)(index * BLOCK), (off_t)block_length(behind, index), POSIX_FADV_DONTNEED);
    *block = (struct block){.origin = UNKNOWN};
}

/* A block is left when all of it was served, or, where only part of it was wanted, when the reader is well
 * past it. */
static void serve(struct behind *behind, int fd, size_t index, uint64_t length)
{
    struct block *block = &behind->blocks[index];

    if (block->served == 0 && index >= 2 && behind->blocks[index - 2].served > 0)
        leave(behind, fd, index - 2);
    block->served += (uint32_t)length;
    if (block->served >= block_length(behind, index))
        leave(behind, fd, index);
}

void behind_before(struct behind *behind, const struct image_slice *slice)
{
    auto_lock(&behind->lock);
    for (size_t i = 0; i < slice->count; i++)
        if (is_source(&slice->parts[i]) && set_file(behind, slice->parts[i].file))
            look_at(behind, &slice->parts[i]);
}

void behind_after(struct behind *behind, const struct image_slice *slice)
{
    auto_lock(&behind->lock);
    for (size_t i = 0; i < slice->count; i++) {
        const struct image_slice_part *part = &slice->parts[i];
        uint64_t end = part->offset + part->length;
        if (!is_source(part) || part->file != behind->file)
            continue;
        for (uint64_t at = part->offset; at < end; at = (at / BLOCK + 1) * BLOCK)
            serve(behind, part->fd, (size_t)(at / BLOCK), min_u64(end, (at / BLOCK + 1) * BLOCK) - at);
    }
}
