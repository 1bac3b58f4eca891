/* SPDX-License-Identifier: Apache-2.0 */
#include "base/checked.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "image/image_internal.h"

#define WRITE_BUFFER ((uint64_t)1 << 20) /* more would leave the processor's cache */

/* One run of image_write(). */
struct output {
    int fd;
    uint64_t offset;
    const struct image_observer *observer;
    struct clone_cost *cost;
    char *buffer; /* for blocks that the observer sees, NULL until needed */
    int stopped;  /* what the observer cancelled with */
};

static int report_progress(void *context, uint64_t done)
{
    struct output *output = context;
    output->offset += done;
    if (output->observer->progress)
        output->stopped = output->observer->progress(output->observer->context, done);
    return output->stopped;
}

static int write_block(struct output *output, const char *data, size_t length)
{
    if (output->observer->block)
        output->observer->block(output->observer->context, data, length);
    int r = io_write_at(output->fd, data, length, output->offset);
    if (r < 0)
        return r;
    output->cost->copied += length;
    return report_progress(output, length);
}

static int write_memory(struct output *output, const struct image_part *part)
{
    int r = 0;
    for (uint64_t done = 0, step; r == 0 && done < part->length; done += step) {
        step = min_u64(part->length - done, WRITE_BUFFER);
        r = write_block(output, part->memory + done, (size_t)step);
    }
    return r;
}

/* Through a buffer, because the observer wants to see every byte. */
static int copy_observed(struct output *output, const struct image_part *part, int from)
{
    if (!output->buffer)
        output->buffer = malloc(WRITE_BUFFER);
    if (!output->buffer)
        return -ENOMEM;
    int r = 0;
    for (uint64_t done = 0, step; r == 0 && done < part->length; done += step) {
        step = min_u64(part->length - done, WRITE_BUFFER);
        r = io_read_at(from, output->buffer, (size_t)step, part->offset + done);
        if (r == 0)
            r = write_block(output, output->buffer, (size_t)step);
    }
    return r;
}

static int write_file(struct output *output, const struct image_part *part)
{
    int from = file_acquire(part->file);
    if (from < 0)
        return from;
    int r = 0;
    if (output->observer->block)
        r = copy_observed(output, part, from);
    else
        r = clone_range(from, part->offset, output->fd, output->offset, part->length, report_progress, output,
                        output->cost);
    file_release(part->file);
    return r;
}

static int explain(const struct output *output, int r, struct wfs_error *err)
{
    unsigned long long offset = output->offset;
    if (output->stopped) {
        error_rule(err, WFS_CODE_CANCELLED, "cancelled at byte %llu", offset);
        return output->stopped;
    }
    if (r == -ENODATA)
        return error_rule(err, WFS_CODE_SOURCE_CHANGED,
                          "writing byte %llu: a file that the bytes come from is shorter than it was",
                          offset);
    return error_errno(err, -r, "writing byte %llu", offset);
}

int image_write(const struct image *image, int fd, uint64_t offset, const struct image_observer *observer,
                struct clone_cost *cost, struct wfs_error *err)
{
    static const struct image_observer nobody = {NULL, NULL, NULL};
    struct clone_cost unwanted = {0, 0};
    struct output output = {
        .fd = fd,
        .offset = offset,
        .observer = observer ? observer : &nobody,
        .cost = cost ? cost : &unwanted,
    };
    int r = 0;
    for (size_t i = 0; r == 0 && i < image->count; i++) {
        const struct image_part *part = &image->parts[i];
        r = part->file ? write_file(&output, part) : write_memory(&output, part);
    }
    free(output.buffer);
    return r == 0 ? 0 : explain(&output, r, err);
}
