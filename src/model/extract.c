/* SPDX-License-Identifier: Apache-2.0 */
#include "model/extract.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "format/encode.h"
#include "format/name.h"
#include "format/npy.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

DEFINE_CLEANUP(struct image, image, image_unref)
#define auto_image __attribute__((cleanup(cleanup_image)))

struct extraction {
    struct generation *generation;
    const struct extract_options *options;
    int dirfd;
    struct printable directory;
};

static int fail(const struct extraction *extraction, int errnum, const char *name, struct wfs_error *err)
{
    return error_errno(err, errnum, "%s/%s: cannot be written", extraction->directory.text,
                       printable_string(name).text);
}

/* --- the directory ------------------------------------------------------------------------------------ */

static int refuse_existing(const struct extraction *extraction, struct wfs_error *err)
{
    static const char *const names[] = {EXTRACT_DOCUMENT, EXTRACT_TENSORS, EXTRACT_NPY, EXTRACT_HIDDEN};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (faccessat(extraction->dirfd, names[i], F_OK, AT_SYMLINK_NOFOLLOW) == 0)
            return error_rule(err, WFS_CODE_TARGET_EXISTS,
                              "%s/%s: exists already: extract into a new directory",
                              extraction->directory.text, names[i]);
    return 0;
}

static int open_directory(struct extraction *extraction, const char *directory, struct wfs_error *err)
{
    if (mkdir(directory, 0777) != 0 && errno != EEXIST)
        return error_errno(err, errno, "%s: cannot be made", extraction->directory.text);
    extraction->dirfd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (extraction->dirfd < 0)
        return error_errno(err, errno, "%s: cannot be opened", extraction->directory.text);
    return refuse_existing(extraction, err);
}

static int make_directory(const struct extraction *extraction, const char *name, struct wfs_error *err)
{
    if (mkdirat(extraction->dirfd, name, 0777) == 0 || errno == EEXIST)
        return 0;
    return fail(extraction, errno, name, err);
}

static int create_file(const struct extraction *extraction, const char *name, struct wfs_error *err)
{
    int fd = openat(extraction->dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);

    return fd < 0 ? fail(extraction, errno, name, err) : fd;
}

/* A late error of a network file system comes with the close. */
static int close_file(const struct extraction *extraction, int *fd, const char *name, struct wfs_error *err)
{
    return close(take_fd(fd)) == 0 ? 0 : fail(extraction, errno, name, err);
}

static int write_bytes(const struct extraction *extraction, const char *name, const struct bytes *bytes,
                       struct wfs_error *err)
{
    if (bytes->failed)
        return error_no_memory(err);
    auto_close int fd = create_file(extraction, name, err);
    if (fd < 0)
        return fd;
    int r = io_write_at(fd, bytes->data, bytes->length, 0);
    return r < 0 ? fail(extraction, -r, name, err) : close_file(extraction, &fd, name, err);
}

/* --- tensors ------------------------------------------------------------------------------------------ */

static int write_tensor(const struct extraction *extraction, size_t index, struct wfs_error *err)
{
    struct wfs_tensor tensor = generation_tensor(extraction->generation, index);
    bool npy = extraction->options->npy && npy_can_show(tensor.dtype, tensor.rank);
    char encoded[FILE_NAME_BUFFER];
    char name[FILE_NAME_BUFFER + 32];

    name_encode(tensor.name, tensor.name_length, encoded);
    snprintf(name, sizeof name, "%s/%s%s", npy ? EXTRACT_NPY : EXTRACT_TENSORS, encoded, npy ? ".npy" : "");
    auto_image struct image *image = npy ? generation_npy_image(extraction->generation, index)
                                         : generation_tensor_image(extraction->generation, index);
    if (!image)
        return error_no_memory(err);
    auto_close int fd = create_file(extraction, name, err);
    if (fd < 0)
        return fd;
    int r = image_write(image, fd, 0, &extraction->options->observer, NULL, err);
    if (r < 0) {
        error_prefix(err, "%s/%s: ", extraction->directory.text, printable_string(name).text);
        return r;
    }
    return close_file(extraction, &fd, name, err);
}

static size_t selected_count(const struct extraction *extraction)
{
    return extraction->options->indices ? extraction->options->count
                                        : generation_count(extraction->generation);
}

static size_t selected(const struct extraction *extraction, size_t i)
{
    return extraction->options->indices ? extraction->options->indices[i] : i;
}

static int write_tensors(const struct extraction *extraction, struct wfs_error *err)
{
    int r = make_directory(extraction, EXTRACT_TENSORS, err);

    if (r == 0 && extraction->options->npy)
        r = make_directory(extraction, EXTRACT_NPY, err);
    for (size_t i = 0; r == 0 && i < selected_count(extraction); i++)
        r = write_tensor(extraction, selected(extraction, i), err);
    return r;
}

/* --- the header --------------------------------------------------------------------------------------- */

static int write_document(const struct extraction *extraction, struct wfs_error *err)
{
    size_t count = selected_count(extraction);
    auto_free struct wfs_tensor *tensors = calloc(count + 1, sizeof *tensors);
    auto_bytes document = BYTES_EMPTY;
    struct metadata_map metadata = {false, 0, NULL};

    if (!tensors || metadata_of_header(generation_header(extraction->generation), &metadata) < 0)
        return error_no_memory(err);
    for (size_t i = 0; i < count; i++)
        tensors[i] = generation_tensor(extraction->generation, selected(extraction, i));
    document_encode(tensors, count, &metadata, &document);
    free(metadata.pairs);
    return write_bytes(extraction, EXTRACT_DOCUMENT, &document, err);
}

/* Only the header of all tensors is of use to pack. */
static int write_header(const struct extraction *extraction, struct wfs_error *err)
{
    uint64_t data_offset = wfs_header_data_offset(generation_header(extraction->generation));
    auto_image struct image *image = image_new();

    if (selected_count(extraction) != generation_count(extraction->generation))
        return 0;
    if (!image || image_add_file(image, generation_file(extraction->generation), HEADER_PREFIX,
                                 data_offset - HEADER_PREFIX) < 0)
        return error_no_memory(err);
    int r = make_directory(extraction, EXTRACT_HIDDEN, err);
    if (r < 0)
        return r;
    auto_close int fd = create_file(extraction, EXTRACT_HEADER, err);
    if (fd < 0)
        return fd;
    r = image_write(image, fd, 0, NULL, NULL, err);
    return r < 0 ? r : close_file(extraction, &fd, EXTRACT_HEADER, err);
}

static int write_all(const struct extraction *extraction, struct wfs_error *err)
{
    int r = write_document(extraction, err);

    if (r == 0)
        r = write_header(extraction, err);
    return r < 0 ? r : write_tensors(extraction, err);
}

int extract_model(struct generation *generation, const char *directory, const struct extract_options *options,
                  struct wfs_error *err)
{
    struct extraction extraction = {
        .generation = generation, .options = options, .dirfd = -1, .directory = printable_string(directory)};
    int r = open_directory(&extraction, directory, err);

    if (r == 0)
        r = write_all(&extraction, err);
    if (extraction.dirfd >= 0)
        close(extraction.dirfd);
    return r;
}
