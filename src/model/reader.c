/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "model/flags.h"
#include "model/generation.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include <weightfs/reader.h>

struct wfs_reader {
    struct generation *generation;
    pthread_mutex_t mutex; /* protects map */
    void *map;             /* the whole file, from the first wfs_reader_map() on */
    size_t map_size;
    int fd; /* acquired from the generation's file */
    char name[];
};

static struct printable path_of(const struct wfs_reader *reader)
{
    return printable_string(reader->name);
}

/* Takes over the reference. */
static int reader_new(struct generation *generation, const char *name, struct wfs_reader **ret_reader,
                      struct wfs_error *err)
{
    struct wfs_reader *reader = calloc(1, sizeof *reader + strlen(name) + 1);

    if (!reader) {
        generation_unref(generation);
        return error_no_memory(err);
    }
    reader->generation = generation;
    strcpy(reader->name, name); // NOLINT(clang-analyzer-security.insecureAPI.strcpy): made to measure above
    pthread_mutex_init(&reader->mutex, NULL);
    reader->fd = file_acquire(generation_file(generation));
    if (reader->fd < 0) {
        int r = error_errno(err, -reader->fd, "%s: cannot be opened", path_of(reader).text);
        wfs_reader_close(reader);
        return r;
    }
    *ret_reader = reader;
    return 0;
}

int wfs_reader_open(const char *path, unsigned flags, struct wfs_reader **ret_reader, struct wfs_error *err)
{
    struct generation *generation = NULL;
    int r = generation_open(AT_FDCWD, path, mode_of_flags(flags), 0, &generation, err);

    return r < 0 ? r : reader_new(generation, path, ret_reader, err);
}

int wfs_reader_open_fd(int fd, const char *name, unsigned flags, struct wfs_reader **ret_reader,
                       struct wfs_error *err)
{
    struct generation *generation = NULL;
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);

    if (own < 0)
        return error_errno(err, errno, "%s: cannot be opened", printable_string(name).text);
    int r = generation_adopt(own, name, mode_of_flags(flags), 0, NULL, &generation, err);
    return r < 0 ? r : reader_new(generation, name, ret_reader, err);
}

void wfs_reader_close(struct wfs_reader *reader)
{
    if (!reader)
        return;
    if (reader->map)
        munmap(reader->map, reader->map_size);
    if (reader->fd >= 0)
        file_release(generation_file(reader->generation));
    generation_unref(reader->generation);
    pthread_mutex_destroy(&reader->mutex);
    free(reader);
}

const struct wfs_header *wfs_reader_header(const struct wfs_reader *reader)
{
    return generation_header(reader->generation);
}

int wfs_reader_find(const struct wfs_reader *reader, const char *name, struct wfs_tensor *ret_tensor,
                    struct wfs_error *err)
{
    const struct wfs_header *header = wfs_reader_header(reader);
    size_t index = 0;

    if (!wfs_header_find(header, name, strlen(name), &index))
        return error_rule(err, WFS_CODE_NOT_FOUND, "%s: there is no tensor '%s'", path_of(reader).text,
                          printable_string(name).text);
    *ret_tensor = wfs_header_tensor(header, index);
    return 0;
}

int wfs_reader_range(const struct wfs_reader *reader, const struct wfs_tensor *tensor, uint64_t *ret_offset,
                     uint64_t *ret_length)
{
    *ret_offset = wfs_header_data_offset(wfs_reader_header(reader)) + tensor->begin;
    *ret_length = tensor->end - tensor->begin;
    return reader->fd;
}

/* Bytes are only worth what the header says of them while the file is the one whose header was read. */
static int check_unchanged(const struct wfs_reader *reader, struct wfs_error *err)
{
    if (file_check(generation_file(reader->generation)) == 0)
        return 0;
    return error_rule(err, WFS_CODE_SOURCE_CHANGED, "%s: was changed since it was opened",
                      path_of(reader).text);
}

int wfs_reader_read(const struct wfs_reader *reader, const struct wfs_tensor *tensor, uint64_t offset,
                    void *buffer, size_t length, struct wfs_error *err)
{
    uint64_t begin = 0;
    uint64_t size = 0;
    int fd = wfs_reader_range(reader, tensor, &begin, &size);

    if (offset > size || length > size - offset)
        return error_errno(err, ERANGE, "%s: tensor '%s': %zu bytes at %" PRIu64 " of %" PRIu64,
                           path_of(reader).text, printable(tensor->name, tensor->name_length).text, length,
                           offset, size);
    int r = io_read_at(fd, buffer, length, begin + offset);
    int changed = check_unchanged(reader, err);
    if (changed < 0)
        return changed;
    if (r < 0)
        return error_errno(err, -r, "%s: tensor '%s': cannot be read", path_of(reader).text,
                           printable(tensor->name, tensor->name_length).text);
    return 0;
}

static int map_file(struct wfs_reader *reader, struct wfs_error *err)
{
    auto_lock(&reader->mutex);

    if (reader->map)
        return 0;
    uint64_t size = file_identity(generation_file(reader->generation))->size;
    void *map = size > SIZE_MAX ? MAP_FAILED : mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, reader->fd, 0);
    if (map == MAP_FAILED)
        return error_errno(err, size > SIZE_MAX ? EFBIG : errno, "%s: cannot be mapped",
                           path_of(reader).text);
    reader->map = map;
    reader->map_size = (size_t)size;
    return 0;
}

int wfs_reader_map(struct wfs_reader *reader, const struct wfs_tensor *tensor, const void **ret_bytes,
                   struct wfs_error *err)
{
    uint64_t offset = 0;
    uint64_t length = 0;

    int r = map_file(reader, err);
    if (r == 0)
        r = check_unchanged(reader, err);
    if (r < 0)
        return r;
    wfs_reader_range(reader, tensor, &offset, &length);
    *ret_bytes = (const char *)reader->map + offset;
    return 0;
}

bool wfs_reader_crc(const struct wfs_reader *reader, size_t index, uint32_t *ret_crc)
{
    return header_crc(wfs_reader_header(reader), index, ret_crc);
}
