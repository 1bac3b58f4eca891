/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "format/npy.h"
#include "format/shape.h"
#include "model/convert.h"
#include "model/extract.h"
#include "model/folder_internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

/* A file that may be a tensor, while it is looked at. */
struct candidate {
    struct folder *folder;
    const char *file_name; /* relative to the folder */
    int fd;
    uint64_t file_size;
    struct folder_item item;
};

#define TELL(candidate, code, ...) \
    folder_tell((candidate)->folder, code, false, &(candidate)->item.tensor, __VA_ARGS__)

/* --- declarations ------------------------------------------------------------------------------------- */

/* What metadata.json says of the tensor, when it says both. */
static bool find_declaration(const struct candidate *candidate, struct wfs_tensor *ret_tensor)
{
    const struct wfs_header *document = candidate->folder->document;
    size_t index = 0;

    if (!document ||
        !wfs_header_find(document, candidate->item.tensor.name, candidate->item.tensor.name_length, &index))
        return false;
    *ret_tensor = wfs_header_tensor(document, index);
    return ret_tensor->dtype < WFS_DTYPE_COUNT && ret_tensor->shape;
}

static int set_declaration(struct candidate *candidate, enum wfs_dtype dtype, size_t rank,
                           const unsigned char *shape, size_t shape_size)
{
    unsigned char *copy = malloc(shape_size + 1);

    if (!copy)
        return -ENOMEM;
    if (shape_size > 0)
        memcpy(copy, shape, shape_size);
    candidate->item.tensor.dtype = dtype;
    candidate->item.tensor.rank = rank;
    candidate->item.tensor.shape = copy;
    candidate->item.tensor.shape_size = shape_size;
    return 0;
}

/* What `cp -a` out of a mount's staging/ leaves on a file. 1: declared, 0: not, negative: no memory. */
static int declare_by_xattrs(struct candidate *candidate)
{
    char dtype_name[32];
    char shape_text[4096];
    enum wfs_dtype dtype = WFS_DTYPE_COUNT;
    auto_free unsigned char *shape = NULL;
    size_t rank = 0;
    size_t shape_size = 0;

    ssize_t dtype_length = fgetxattr(candidate->fd, "user.safetensors.dtype", dtype_name, sizeof dtype_name);
    ssize_t shape_length = fgetxattr(candidate->fd, "user.safetensors.shape", shape_text, sizeof shape_text);
    if (dtype_length < 0 || shape_length < 0 ||
        wfs_dtype_by_name(dtype_name, (size_t)dtype_length, &dtype) < 0 ||
        shape_parse(shape_text, (size_t)shape_length, &rank, &shape, &shape_size) < 0)
        return 0;
    return set_declaration(candidate, dtype, rank, shape, shape_size) < 0 ? -ENOMEM : 1;
}

/* --- raw files ---------------------------------------------------------------------------------------- */

static int look_at_raw(struct candidate *candidate)
{
    struct wfs_tensor declared;
    unsigned char start[16] = {0};

    int r = find_declaration(candidate, &declared) ? set_declaration(candidate, declared.dtype, declared.rank,
                                                                     declared.shape, declared.shape_size)
                                                   : declare_by_xattrs(candidate);
    if (r < 0)
        return r;
    if (!candidate->item.tensor.shape) {
        ssize_t size = io_read_some(candidate->fd, start, sizeof start, 0);
        bool is_npy = size > 0 && npy_magic(start, (size_t)size);
        TELL(candidate, is_npy ? WFS_CODE_NPY_IN_TENSORS : WFS_CODE_DTYPE_UNDECLARED, "%s: %s",
             candidate->file_name,
             is_npy ? "begins like an .npy file: move it to " EXTRACT_NPY "/"
                    : "has no dtype and shape in " EXTRACT_DOCUMENT);
        return 0;
    }
    candidate->item.offset = 0;
    candidate->item.length = candidate->file_size;
    return 0;
}

/* --- .npy files --------------------------------------------------------------------------------------- */

static int read_npy_header(struct candidate *candidate, struct npy_header *header, struct wfs_error *err)
{
    size_t room = candidate->file_size < NPY_HEADER_MAX ? (size_t)candidate->file_size : NPY_HEADER_MAX;
    auto_free unsigned char *bytes = malloc(room + 1);

    if (!bytes)
        return -ENOMEM;
    ssize_t size = io_read_some(candidate->fd, bytes, room, 0);
    return size < 0 ? (int)size : npy_decode(bytes, (size_t)size, header, err);
}

/* What the bytes are: NumPy has no name for BF16 and the 8-bit floats, so the declaration of the same width
 * decides. */
static enum wfs_dtype npy_dtype(const struct candidate *candidate, const struct npy_header *header)
{
    struct wfs_tensor declared;

    if (find_declaration(candidate, &declared)) {
        bool same_width = wfs_dtype_bits(declared.dtype) == header->item_size * 8;
        if (header->is_void && same_width)
            return declared.dtype;
        if (header->is_u2 && declared.dtype == WFS_BF16)
            return WFS_BF16;
    }
    return header->dtype;
}

static int look_at_decoded_npy(struct candidate *candidate, const struct npy_header *header)
{
    enum wfs_dtype dtype = npy_dtype(candidate, header);

    if (dtype == WFS_DTYPE_COUNT) {
        TELL(candidate, WFS_CODE_DTYPE_UNDECLARED,
             "%s: holds one-byte elements whose dtype only " EXTRACT_DOCUMENT " can tell",
             candidate->file_name);
        return 0;
    }
    if (header->fortran_order && header->rank > 1 && header->data_size > CONVERT_TRANSPOSE_MAX) {
        TELL(candidate, WFS_CODE_NPY_INVALID,
             "%s: is in Fortran order and too large to be turned: save it with np.ascontiguousarray(x)",
             candidate->file_name);
        return 0;
    }
    if (candidate->file_size - header->data_offset != header->data_size) {
        TELL(candidate, WFS_CODE_NPY_INCOMPLETE,
             "%s: has %" PRIu64 " bytes of elements, its header says %" PRIu64, candidate->file_name,
             candidate->file_size - header->data_offset, header->data_size);
        return 0;
    }
    candidate->item.offset = header->data_offset;
    candidate->item.length = header->data_size;
    return set_declaration(candidate, dtype, header->rank, header->shape, header->shape_size);
}

/* Takes the header over. */
static int keep_foreign(struct candidate *candidate, struct npy_header *header)
{
    struct npy_header *foreign = malloc(sizeof *foreign);

    if (!foreign)
        return -ENOMEM;
    *foreign = *header;
    *header = (struct npy_header){0};
    candidate->item.foreign = foreign;
    return 0;
}

void folder_free_foreign(struct folder_item *item)
{
    if (item->foreign)
        npy_header_clear(item->foreign);
    free(item->foreign);
}

static int look_at_npy(struct candidate *candidate)
{
    struct npy_header header;
    struct wfs_error err = {0};

    int r = read_npy_header(candidate, &header, &err);
    if (r == -ENOMEM)
        return r;
    if (r < 0) {
        TELL(candidate, r == -EAGAIN ? WFS_CODE_NPY_INCOMPLETE : WFS_CODE_NPY_INVALID, "%s: %s",
             candidate->file_name,
             r == -EINVAL   ? err.text
             : r == -EAGAIN ? "ends within its header"
                            : strerrordesc_np(-r));
        return 0;
    }
    r = look_at_decoded_npy(candidate, &header);
    if (r == 0 && candidate->item.tensor.shape && must_convert_npy(&header))
        r = keep_foreign(candidate, &header);
    npy_header_clear(&header);
    return r;
}

/* --- one file ----------------------------------------------------------------------------------------- */

static bool has_its_size(struct candidate *candidate)
{
    struct wfs_tensor *tensor = &candidate->item.tensor;
    uint64_t expected = 0;
    enum wfs_code code = shape_byte_size(tensor->dtype, tensor->rank, tensor->shape, &expected);

    if (code != WFS_CODE_NONE) {
        TELL(candidate, code, "%s: %s", candidate->file_name, wfs_code_sentence(code));
        return false;
    }
    if (candidate->item.length != expected) {
        TELL(candidate, WFS_CODE_SIZE_MISMATCH, "%s: has %" PRIu64 " bytes, dtype and shape ask for %" PRIu64,
             candidate->file_name, candidate->item.length, expected);
        return false;
    }
    return true;
}

static int keep(struct candidate *candidate)
{
    struct folder *folder = candidate->folder;

    if (folder->count == folder->capacity) {
        size_t capacity = folder->capacity ? folder->capacity * 2 : 32;
        struct folder_item *items = reallocarray(folder->items, capacity, sizeof *items);
        if (!items)
            return -ENOMEM;
        folder->items = items;
        folder->capacity = capacity;
    }
    candidate->item.file_name = strdup(candidate->file_name);
    if (!candidate->item.file_name)
        return -ENOMEM;
    folder->items[folder->count++] = candidate->item;
    candidate->item.tensor = (struct wfs_tensor){0};
    candidate->item.foreign = NULL;
    return 0;
}

static int look_at_file(struct candidate *candidate, bool is_npy)
{
    struct stat st;

    candidate->fd = openat(candidate->folder->dirfd, candidate->file_name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (candidate->fd < 0 || fstat(candidate->fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        TELL(candidate, WFS_CODE_IO_FAILED, "%s: %s", candidate->file_name,
             candidate->fd < 0 ? strerrordesc_np(errno) : "is no regular file");
        return 0;
    }
    candidate->file_size = (uint64_t)st.st_size;
    int r = is_npy ? look_at_npy(candidate) : look_at_raw(candidate);
    if (r == 0 && candidate->item.tensor.shape && has_its_size(candidate))
        r = keep(candidate);
    return r;
}

int folder_add_file(struct folder *folder, const char *file_name, const char *name, size_t name_length,
                    bool is_npy)
{
    struct candidate candidate = {.folder = folder, .file_name = file_name, .fd = -1};

    candidate.item.tensor.name = name;
    candidate.item.tensor.name_length = name_length;
    int r = look_at_file(&candidate, is_npy);
    if (candidate.fd >= 0)
        close(candidate.fd);
    free((unsigned char *)candidate.item.tensor.shape);
    free((char *)candidate.item.tensor.name);
    folder_free_foreign(&candidate.item);
    return r;
}
