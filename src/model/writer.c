/* SPDX-License-Identifier: Apache-2.0 */
#include "model/writer.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "format/header.h"
#include "model/generation.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BUFFER_SIZE ((size_t)1 << 20)

DEFINE_CLEANUP(struct wfs_writer, writer, wfs_writer_close)
#define auto_writer __attribute__((cleanup(cleanup_writer)))

struct printable writer_path(const struct wfs_writer *writer)
{
    return printable_string(writer->path);
}

static int take_options(struct wfs_writer *writer, const struct wfs_writer_options *options,
                        struct wfs_error *err)
{
    const char *layout = options->layout ? options->layout : "canonical";

    if (layout_parse(layout, &writer->layout) < 0 || writer->layout.kind == LAYOUT_KEEP)
        return error_rule(err, WFS_CODE_WRITER_MISUSE, "%s: there is no layout '%s': canonical or align=N",
                          writer_path(writer).text, printable_string(layout).text);
    writer->crc = options->crc != 0;
    writer->buffer.size = options->buffer_size ? options->buffer_size : BUFFER_SIZE;
    writer->progress = options->progress;
    writer->context = options->context;
    return 0;
}

static int begin_replace(struct wfs_writer *writer, bool exclusive, struct wfs_error *err)
{
    int r = target_open(writer->path, &writer->target, err);
    if (r < 0)
        return r;

    const struct target *target = &writer->target;
    if (exclusive && target->exists)
        return error_rule(err, WFS_CODE_TARGET_EXISTS, "%s: exists already", writer_path(writer).text);
    struct replace_options options = {
        .keep = target->exists ? &target->old : NULL,
        .keep_fd = target->old_fd,
        .exclusive = exclusive,
    };
    return replace_begin(target->dirfd, target->name, &options, &writer->replace, err);
}

int wfs_writer_create(const char *path, const struct wfs_writer_options *options,
                      struct wfs_writer **ret_writer, struct wfs_error *err)
{
    static const struct wfs_writer_options defaults;
    auto_writer struct wfs_writer *writer = calloc(1, sizeof *writer + strlen(path) + 1);

    if (!writer)
        return error_no_memory(err);
    options = options ? options : &defaults;
    strcpy(writer->path, path); // NOLINT(clang-analyzer-security.insecureAPI.strcpy): made to measure above
    writer->target = TARGET_NONE;
    writer->preallocate = true;
    writer->begun = clock_now();
    int r = take_options(writer, options, err);
    if (r == 0)
        r = begin_replace(writer, options->exclusive != 0, err);
    if (r == 0)
        *ret_writer = take_ptr(writer);
    return r;
}

/* The first tensor that lacks bytes, and how many others do. */
static int check_complete(const struct wfs_writer *writer, struct wfs_error *err)
{
    const struct writer_tensor *first = NULL;
    size_t incomplete = 0;

    for (size_t i = 0; i < writer->count; i++) {
        const struct writer_tensor *tensor = &writer->tensors[i];
        uint64_t size = tensor->end - tensor->begin;
        if (pieces_missing(&tensor->pieces, size) == size)
            continue;
        first = first ? first : tensor;
        incomplete++;
    }
    if (!first)
        return 0;
    uint64_t size = first->end - first->begin;
    char others[64] = "";
    if (incomplete > 1)
        snprintf(others, sizeof others, "; so do %zu others", incomplete - 1);
    return error_rule(err, WFS_CODE_WRITER_MISUSE,
                      "%s: tensor '%s': misses bytes from %" PRIu64 " on, %" PRIu64 " of %" PRIu64
                      " were written%s",
                      writer_path(writer).text, printable(first->name, first->name_length).text,
                      pieces_missing(&first->pieces, size), first->pieces.total, size, others);
}

/* Reads the file with the parser that everybody uses, before anybody can see it. */
static int validate(const struct wfs_writer *writer, struct wfs_error *err)
{
    struct generation *written = NULL;
    int fd = fcntl(replace_fd(writer->replace), F_DUPFD_CLOEXEC, 3);

    if (fd < 0)
        return error_errno(err, errno, "%s: cannot be read back", writer_path(writer).text);
    int r = generation_adopt(fd, writer->path, HEADER_OFFICIAL, 0, NULL, &written, err);
    generation_unref(written);
    return r;
}

static int publish(struct wfs_writer *writer, struct wfs_error *err)
{
    int r = replace_sync(writer->replace, err);

    return r < 0 ? r : replace_commit(writer->replace, err);
}

int wfs_writer_finish(struct wfs_writer *writer, struct wfs_error *err)
{
    if (writer->is_finished)
        return error_rule(err, WFS_CODE_WRITER_MISUSE, "%s: finished twice", writer_path(writer).text);
    if (writer->broken.errnum) {
        if (err)
            *err = writer->broken;
        return -writer->broken.errnum;
    }

    int r = writer_fix(writer, err);
    if (r == 0)
        r = check_complete(writer, err);
    if (r == 0)
        r = writer_flush(writer, err);
    if (r == 0)
        r = writer_put_header(writer, err);
    if (r == 0)
        r = validate(writer, err);
    if (r == 0)
        r = publish(writer, err);
    if (r >= 0) {
        writer->is_finished = true;
        writer->ended = clock_now();
    }
    return r;
}

struct wfs_writer_stats wfs_writer_stats(const struct wfs_writer *writer)
{
    struct timespec now = writer->is_finished ? writer->ended : clock_now();

    return (struct wfs_writer_stats){
        .written = writer->written,
        .total = writer->total,
        .seconds = clock_seconds(&writer->begun, &now),
    };
}

void wfs_writer_close(struct wfs_writer *writer)
{
    if (!writer)
        return;
    replace_free(writer->replace);
    target_close(&writer->target);
    writer_free_declared(writer);
    free(writer->raw_header);
    free(writer->buffer.data);
    free(writer);
}
