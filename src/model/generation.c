/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "format/name.h"
#include "format/sniff.h"
#include "model/checksum.h"
#include "model/generation_internal.h"

#include <string.h>

#define SNIFF_SIZE 512u

DEFINE_CLEANUP(struct generation, generation, generation_unref)
#define auto_generation __attribute__((cleanup(cleanup_generation)))

/* --- reading the header ----------------------------------------------------------------------- */

/* What is known of a file that cannot be read. */
struct suspect {
    const char *path;
    uint64_t file_size;
    size_t size;
    unsigned char bytes[SNIFF_SIZE]; /* its beginning */
};

/* Whether a file that is something else altogether breaks this rule. */
static bool doubts_the_format(enum wfs_code code)
{
    return code >= WFS_CODE_HEADER_TOO_SMALL && code <= WFS_CODE_INVALID_HEADER_DESERIALIZATION;
}

/* Completes the sentence of a broken rule: which file, and what it is instead. */
static int explain(const struct suspect *suspect, int r, struct wfs_error *err)
{
    if (!err)
        return r;
    const char *kind = doubts_the_format(err->code) ? sniff(suspect->bytes, suspect->size) : NULL;
    if (!kind && err->code == WFS_CODE_INVALID_HEADER_LENGTH)
        kind = "an incomplete download, or no safetensors file";
    if (kind)
        return error_rule(err, err->code, "%s: %s; this is %s", printable_string(suspect->path).text,
                          err->text, kind);
    error_prefix(err, "%s: ", printable_string(suspect->path).text);
    return r;
}

/* Reads the JSON after the prefix: malloc'd, with a spare byte, as header_decode() wants it. */
static int read_json(int fd, uint64_t length, char **ret_json, struct wfs_error *err)
{
    auto_free char *json = malloc((size_t)length + 1);
    if (!json)
        return error_no_memory(err);
    int r = io_read_at(fd, json, (size_t)length, HEADER_PREFIX);
    if (r == -ENODATA)
        return error_rule(err, WFS_CODE_SOURCE_CHANGED, "the file was cut while its header was read");
    if (r < 0)
        return error_errno(err, -r, "cannot read the header");
    json[length] = '\0';
    *ret_json = take_ptr(json);
    return 0;
}

static int read_header(struct generation *generation, int fd, unsigned mode, struct suspect *suspect,
                       struct wfs_error *err)
{
    if (fstat(fd, &generation->st) < 0)
        return error_errno(err, errno, "cannot be read");
    suspect->file_size = (uint64_t)generation->st.st_size;
    ssize_t count = io_read_some(fd, suspect->bytes, sizeof suspect->bytes, 0);
    if (count < 0)
        return error_errno(err, (int)-count, "cannot be read");
    suspect->size = (size_t)count;
    uint64_t length = 0;
    int r = header_length(suspect->bytes, suspect->size, suspect->file_size, &length, err);
    if (r < 0)
        return r;
    auto_free char *json = NULL;
    r = read_json(fd, length, &json, err);
    if (r < 0)
        return r;
    uint32_t hash = checksum_crc32(0, suspect->bytes, HEADER_PREFIX);
    generation->header_hash = checksum_crc32(hash, json, (size_t)length);
    return header_decode(take_ptr(json), (size_t)length, suspect->file_size, mode, &generation->header, err);
}

/* --- names whose file name is a hash ---------------------------------------------------------- */

static const uint64_t file_name_key[2] = {0, 0};

/* Percent-encoding makes three bytes of one at most, so that short names are never hashed. */
static bool is_hashed(const struct wfs_tensor *tensor, char file_name[FILE_NAME_BUFFER])
{
    if (tensor->name_length <= FILE_NAME_ENCODED_MAX / 3)
        return false;
    char decoded[FILE_NAME_BUFFER];
    size_t length = 0;
    name_encode(tensor->name, tensor->name_length, file_name);
    return name_decode(file_name, decoded, &length) == NAME_HASHED;
}

static int refuse_same_file_name(const struct wfs_tensor *a, const struct wfs_tensor *b,
                                 struct wfs_error *err)
{
    return error_rule(
        err, WFS_CODE_DUPLICATE_TENSOR,
        "tensors '%s' and '%s': DuplicateTensor: their file names are the same, expected different ones",
        printable(a->name, a->name_length).text, printable(b->name, b->name_length).text);
}

/* Whether no two tensors share a hashed file name; the lookup is sorted. */
static int check_hashed_names(const struct generation *generation, struct wfs_error *err)
{
    const struct lookup *names = &generation->hashed_names;
    for (size_t i = 1; i < names->count; i++) {
        if (names->pairs[i - 1].key != names->pairs[i].key)
            continue;
        char file_name[FILE_NAME_BUFFER];
        struct wfs_tensor a = generation_tensor(generation, names->pairs[i - 1].index);
        struct wfs_tensor b = generation_tensor(generation, names->pairs[i].index);
        name_encode(a.name, a.name_length, file_name);
        if (name_matches(file_name, b.name, b.name_length))
            return refuse_same_file_name(&a, &b, err);
    }
    return 0;
}

static int find_hashed_names(struct generation *generation, struct wfs_error *err)
{
    size_t count = generation_count(generation);
    for (size_t i = 0; i < count; i++) {
        char file_name[FILE_NAME_BUFFER];
        struct wfs_tensor tensor = generation_tensor(generation, i);
        if (!is_hashed(&tensor, file_name))
            continue;
        uint64_t key = hash_bytes(file_name_key, file_name, strlen(file_name));
        if (lookup_add(&generation->hashed_names, key, i) < 0)
            return error_no_memory(err);
    }
    lookup_sort(&generation->hashed_names);
    return check_hashed_names(generation, err);
}

static bool find_hashed(const struct generation *generation, const char *file_name, size_t *ret_index)
{
    const struct lookup *names = &generation->hashed_names;
    uint64_t key = hash_bytes(file_name_key, file_name, strlen(file_name));
    for (size_t i = lookup_place(names, key); i < names->count && names->pairs[i].key == key; i++) {
        struct wfs_tensor tensor = generation_tensor(generation, names->pairs[i].index);
        if (!name_matches(file_name, tensor.name, tensor.name_length))
            continue;
        *ret_index = names->pairs[i].index;
        return true;
    }
    return false;
}

/* --- opening ---------------------------------------------------------------------------------- */

static struct generation *generation_new(void)
{
    struct generation *generation = calloc(1, sizeof *generation);
    if (generation)
        atomic_init(&generation->references, 1);
    return generation;
}

static int index_versions(struct generation *generation, struct wfs_error *err)
{
    size_t count = generation->versions ? generation_count(generation) : 0;
    for (size_t i = 0; i < count; i++)
        if (lookup_add(&generation->ids, generation->versions[i].id, i) < 0)
            return error_no_memory(err);
    lookup_sort(&generation->ids);
    return 0;
}

/* Reads a generation whose file is set. */
static int load(struct generation *generation, const char *path, unsigned mode, struct wfs_error *err)
{
    struct suspect suspect = {.path = path};
    int fd = file_acquire(generation->file);
    int r = read_header(generation, fd, mode, &suspect, err);
    file_release(generation->file);
    if (r == 0)
        r = find_hashed_names(generation, err);
    if (r == 0)
        r = index_versions(generation, err);
    return r < 0 ? explain(&suspect, r, err) : 0;
}

int generation_open(int dirfd, const char *name, unsigned mode, uint64_t first_id,
                    struct generation **ret_generation, struct wfs_error *err)
{
    auto_generation struct generation *generation = generation_new();
    if (!generation)
        return error_no_memory(err);
    generation->first_id = first_id;
    int r = file_open(dirfd, name, 0, &generation->file, err);
    if (r == 0)
        r = load(generation, name, mode, err);
    if (r < 0)
        return r;
    *ret_generation = take_ptr(generation);
    return 0;
}

int generation_adopt(int fd, const char *path, unsigned mode, uint64_t first_id,
                     struct generation_version *versions, struct generation **ret_generation,
                     struct wfs_error *err)
{
    auto_close int owned = fd;
    auto_free struct generation_version *owned_versions = versions;
    auto_generation struct generation *generation = generation_new();
    if (!generation)
        return error_no_memory(err);
    generation->first_id = first_id;
    generation->versions = take_ptr(owned_versions);
    int r = file_adopt(take_fd(&owned), &generation->file, err);
    if (r < 0) {
        error_prefix(err, "%s: ", printable_string(path).text);
        return r;
    }
    r = load(generation, path, mode, err);
    if (r < 0)
        return r;
    *ret_generation = take_ptr(generation);
    return 0;
}

int generation_empty(struct generation **ret_generation, struct wfs_error *err)
{
    auto_generation struct generation *generation = generation_new();
    if (!generation || header_empty(&generation->header) < 0)
        return error_no_memory(err);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    generation->st = (struct stat){
        .st_mode = S_IFREG | 0644,
        .st_uid = geteuid(),
        .st_gid = getegid(),
        .st_atim = now,
        .st_mtim = now,
        .st_ctim = now,
    };
    *ret_generation = take_ptr(generation);
    return 0;
}

struct generation *generation_ref(struct generation *generation)
{
    atomic_fetch_add(&generation->references, 1);
    return generation;
}

void generation_unref(struct generation *generation)
{
    if (!generation || atomic_fetch_sub(&generation->references, 1) > 1)
        return;
    wfs_header_free(generation->header);
    file_unref(generation->file);
    lookup_clear(&generation->ids);
    lookup_clear(&generation->hashed_names);
    free(generation->versions);
    free(generation);
}

/* --- what it holds ---------------------------------------------------------------------------- */

const struct wfs_header *generation_header(const struct generation *generation)
{
    return generation->header;
}

struct file *generation_file(const struct generation *generation)
{
    return generation->file;
}

bool generation_is_empty(const struct generation *generation)
{
    return !generation->file;
}

const struct stat *generation_stat(const struct generation *generation)
{
    return &generation->st;
}

uint32_t generation_header_hash(const struct generation *generation)
{
    return generation->header_hash;
}

size_t generation_count(const struct generation *generation)
{
    return wfs_header_count(generation->header);
}

struct wfs_tensor generation_tensor(const struct generation *generation, size_t index)
{
    return wfs_header_tensor(generation->header, index);
}

struct generation_version generation_version(const struct generation *generation, size_t index)
{
    if (generation->versions)
        return generation->versions[index];
    return (struct generation_version){generation->first_id + index, generation->st.st_mtim};
}

bool generation_find_id(const struct generation *generation, uint64_t id, size_t *ret_index)
{
    if (!generation->versions) {
        *ret_index = (size_t)(id - generation->first_id);
        return id >= generation->first_id && id - generation->first_id < generation_count(generation);
    }
    const struct lookup *ids = &generation->ids;
    size_t place = lookup_place(ids, id);
    if (place == ids->count || ids->pairs[place].key != id)
        return false;
    *ret_index = ids->pairs[place].index;
    return true;
}

bool generation_find_file(const struct generation *generation, const char *file_name, size_t *ret_index)
{
    char name[FILE_NAME_BUFFER];
    size_t length = 0;
    if (strlen(file_name) > FILE_NAME_ENCODED_MAX)
        return false;
    switch (name_decode(file_name, name, &length)) {
    case NAME_TENSOR:
        return wfs_header_find(generation->header, name, length, ret_index);
    case NAME_HASHED:
        return find_hashed(generation, file_name, ret_index);
    case NAME_SCRATCH:
    case NAME_INVALID:
    default:
        return false;
    }
}

uint64_t generation_offset(const struct generation *generation, size_t index)
{
    return wfs_header_data_offset(generation->header) + generation_tensor(generation, index).begin;
}
