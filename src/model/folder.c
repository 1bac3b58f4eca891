/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "format/hash.h"
#include "format/name.h"
#include "model/extract.h"
#include "model/folder_internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NPY_EXTENSION ".npy"

/* --- problems ----------------------------------------------------------------------------------------- */

void folder_tell(struct folder *folder, enum wfs_code code, bool is_warning, const struct wfs_tensor *tensor,
                 const char *format, ...)
{
    struct wfs_error err = {0};
    char text[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (tensor)
        error_rule(&err, code, "tensor '%s': %s: %s", printable(tensor->name, tensor->name_length).text,
                   wfs_code_name(code), text);
    else
        error_rule(&err, code, "%s: %s", wfs_code_name(code), text);
    folder->error_count += !is_warning;
    struct wfs_problem problem = {
        .code = code,
        .is_warning = is_warning,
        .tensor = tensor ? tensor->name : NULL,
        .tensor_length = tensor ? tensor->name_length : 0,
        .offset = -1,
        .message = err.text,
    };
    if (folder->report)
        folder->report(folder->context, &problem);
}

/* --- file names --------------------------------------------------------------------------------------- */

static const uint64_t file_name_key[2] = {0, 0};

/* The declared tensor whose shortened file name this is. */
static bool find_hashed(const struct folder *folder, const char *encoded, const char **ret_name,
                        size_t *ret_length)
{
    const struct lookup *names = &folder->hashed_names;
    uint64_t key = hash_bytes(file_name_key, encoded, strlen(encoded));

    for (size_t i = lookup_place(names, key); i < names->count && names->pairs[i].key == key; i++) {
        struct wfs_tensor tensor = wfs_header_tensor(folder->document, names->pairs[i].index);
        if (!name_matches(encoded, tensor.name, tensor.name_length))
            continue;
        *ret_name = tensor.name;
        *ret_length = tensor.name_length;
        return true;
    }
    return false;
}

static int index_hashed_names(struct folder *folder)
{
    char encoded[FILE_NAME_BUFFER];
    char decoded[FILE_NAME_BUFFER];
    size_t length = 0;

    for (size_t i = 0; i < wfs_header_count(folder->document); i++) {
        struct wfs_tensor tensor = wfs_header_tensor(folder->document, i);
        name_encode(tensor.name, tensor.name_length, encoded);
        if (name_decode(encoded, decoded, &length) == NAME_HASHED &&
            lookup_add(&folder->hashed_names, hash_bytes(file_name_key, encoded, strlen(encoded)), i) < 0)
            return -ENOMEM;
    }
    lookup_sort(&folder->hashed_names);
    return 0;
}

/* Decodes a file name into malloc'd *ret_name; NULL there: no tensor (told when that is a fault). */
static int decode_file_name(struct folder *folder, const char *file_name, const char *encoded,
                            char **ret_name, size_t *ret_length)
{
    auto_free char *name = malloc(strlen(encoded) + 1);
    const char *declared = NULL;

    if (!name)
        return -ENOMEM;
    switch (name_decode(encoded, name, ret_length)) {
    case NAME_TENSOR:
        *ret_name = take_ptr(name);
        return 0;
    case NAME_HASHED:
        if (find_hashed(folder, encoded, &declared, ret_length)) {
            *ret_name = malloc(*ret_length + 1);
            if (*ret_name)
                memcpy(*ret_name, declared, *ret_length + 1);
            return *ret_name ? 0 : -ENOMEM;
        }
        folder_tell(folder, WFS_CODE_NAME_UNKNOWN, false, NULL,
                    "%s: no tensor of " EXTRACT_DOCUMENT " has this shortened file name",
                    printable_string(file_name).text);
        return 0;
    case NAME_SCRATCH:
        folder_tell(folder, WFS_CODE_NAME_UNKNOWN, true, NULL,
                    "%s: left out, its name is one of a scratch file", printable_string(file_name).text);
        return 0;
    case NAME_INVALID:
    default:
        folder_tell(folder, WFS_CODE_NAME_UNKNOWN, false, NULL, "%s: is not the file name of any tensor",
                    printable_string(file_name).text);
        return 0;
    }
}

static int look_at_entry(struct folder *folder, const char *place, const char *entry)
{
    bool is_npy = strcmp(place, EXTRACT_NPY) == 0;
    size_t length = strlen(entry);
    size_t extension = is_npy ? strlen(NPY_EXTENSION) : 0;
    auto_free char *file_name = NULL;
    char *name = NULL;
    size_t name_length = 0;

    if (asprintf(&file_name, "%s/%s", place, entry) < 0)
        return -ENOMEM;
    if (length < extension || strcmp(entry + length - extension, is_npy ? NPY_EXTENSION : "") != 0) {
        folder_tell(folder, WFS_CODE_NAME_UNKNOWN, true, NULL, "%s: left out, it is no .npy file",
                    printable_string(file_name).text);
        return 0;
    }
    auto_free char *encoded = strndup(entry, length - extension);
    if (!encoded)
        return -ENOMEM;
    int r = decode_file_name(folder, file_name, encoded, &name, &name_length);
    return r < 0 || !name ? r : folder_add_file(folder, file_name, name, name_length, is_npy);
}

static int read_place(struct folder *folder, const char *place, bool *ret_found, struct wfs_error *err)
{
    auto_close int fd = openat(folder->dirfd, place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = 0;

    *ret_found = fd >= 0;
    if (fd < 0)
        return errno == ENOENT ? 0 : error_errno(err, errno, "%s/%s: cannot be opened", folder->path, place);
    DIR *stream = fdopendir(fd);
    if (!stream)
        return error_errno(err, errno, "%s/%s: cannot be read", folder->path, place);
    take_fd(&fd);
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is our own
    for (struct dirent *entry = readdir(stream); r == 0 && entry; entry = readdir(stream))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            r = look_at_entry(folder, place, entry->d_name);
    closedir(stream);
    return r < 0 ? error_no_memory(err) : 0;
}

/* --- the header and the document ---------------------------------------------------------------------- */

/* A whole small file, malloc'd with a spare byte; NULL when there is none. */
static int read_file(const struct folder *folder, const char *name, char **ret_data, size_t *ret_length,
                     struct wfs_error *err)
{
    auto_close int fd = openat(folder->dirfd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;

    if (fd < 0)
        return errno == ENOENT ? 0 : error_errno(err, errno, "%s/%s: cannot be opened", folder->path, name);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > HEADER_LENGTH_MAX * 2LL)
        return error_rule(err, WFS_CODE_DOCUMENT_INVALID, "%s/%s: is no regular file of at most %u bytes",
                          folder->path, name, HEADER_LENGTH_MAX * 2);
    auto_free char *data = malloc((size_t)st.st_size + 1);
    if (!data)
        return error_no_memory(err);
    int r = io_read_at(fd, data, (size_t)st.st_size, 0);
    if (r < 0)
        return error_errno(err, -r, "%s/%s: cannot be read", folder->path, name);
    data[st.st_size] = '\0';
    *ret_length = (size_t)st.st_size;
    *ret_data = take_ptr(data);
    return 0;
}

static int read_document(struct folder *folder, struct wfs_error *err)
{
    char *json = NULL;
    size_t length = 0;

    int r = read_file(folder, EXTRACT_DOCUMENT, &json, &length, err);
    if (r < 0 || !json)
        return r;
    r = header_decode(json, length, 0, HEADER_DOCUMENT, &folder->document, err);
    if (r < 0) {
        error_prefix(err, "%s/" EXTRACT_DOCUMENT ": ", folder->path);
        return r;
    }
    return index_hashed_names(folder) < 0 ? error_no_memory(err) : 0;
}

/* --- the whole ---------------------------------------------------------------------------------------- */

static int compare_items(const void *left, const void *right)
{
    const struct wfs_tensor *a = &((const struct folder_item *)left)->tensor;
    const struct wfs_tensor *b = &((const struct folder_item *)right)->tensor;

    return bytes_compare(a->name, a->name_length, b->name, b->name_length);
}

static void tell_twins(struct folder *folder)
{
    for (size_t i = 1; i < folder->count; i++) {
        const struct folder_item *item = &folder->items[i];
        if (compare_items(item - 1, item) == 0)
            folder_tell(folder, WFS_CODE_DUPLICATE_TENSOR, false, &item->tensor,
                        "%s and %s: are the same tensor: remove one",
                        printable_string(item[-1].file_name).text, printable_string(item->file_name).text);
    }
}

static int compare_to_item(const void *tensor, const void *item)
{
    struct folder_item key = {.tensor = *(const struct wfs_tensor *)tensor};

    return compare_items(&key, item);
}

static void tell_missing_files(struct folder *folder)
{
    for (size_t i = 0; folder->document && i < wfs_header_count(folder->document); i++) {
        struct wfs_tensor tensor = wfs_header_tensor(folder->document, i);
        if (folder->error_count == 0 &&
            !bsearch(&tensor, folder->items, folder->count, sizeof *folder->items, compare_to_item))
            folder_tell(folder, WFS_CODE_TENSOR_MISSING, true, &tensor,
                        "left out: " EXTRACT_DOCUMENT " tells of it, but it has no file");
    }
}

static int read_places(struct folder *folder, struct wfs_error *err)
{
    bool has_tensors = false;
    bool has_npy = false;

    int r = read_place(folder, EXTRACT_TENSORS, &has_tensors, err);
    if (r == 0)
        r = read_place(folder, EXTRACT_NPY, &has_npy, err);
    if (r == 0 && !has_tensors && !has_npy)
        return error_rule(err, WFS_CODE_USAGE, "%s: has neither " EXTRACT_TENSORS "/ nor " EXTRACT_NPY "/",
                          folder->path);
    return r;
}

int folder_open(const char *path, wfs_report *report, void *context, struct folder *folder,
                struct wfs_error *err)
{
    *folder = FOLDER_NONE;
    folder->report = report;
    folder->context = context;
    folder->path = strdup(printable_string(path).text);
    if (!folder->path)
        return error_no_memory(err);
    folder->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder->dirfd < 0)
        return error_errno(err, errno, "%s: cannot be opened", folder->path);

    int r = read_document(folder, err);
    if (r == 0)
        r = read_file(folder, EXTRACT_HEADER, &folder->header, &folder->header_length, err);
    if (r == 0)
        r = read_places(folder, err);
    if (r < 0)
        return r;
    if (folder->count > 0)
        qsort(folder->items, folder->count, sizeof *folder->items, compare_items);
    tell_twins(folder);
    tell_missing_files(folder);
    return 0;
}

void folder_close(struct folder *folder)
{
    for (size_t i = 0; i < folder->count; i++) {
        free((char *)folder->items[i].tensor.name);
        free((unsigned char *)folder->items[i].tensor.shape);
        free(folder->items[i].file_name);
        folder_free_foreign(&folder->items[i]);
    }
    free(folder->items);
    free(folder->header);
    free(folder->path);
    wfs_header_free(folder->document);
    lookup_clear(&folder->hashed_names);
    if (folder->dirfd >= 0)
        close(folder->dirfd);
    *folder = FOLDER_NONE;
}
