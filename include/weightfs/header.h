/* SPDX-License-Identifier: Apache-2.0
 *
 * A decoded, validated header. Immutable; any number of threads may read it at once.
 */
#ifndef WEIGHTFS_HEADER_H
#define WEIGHTFS_HEADER_H

#include <stdbool.h>

#include <weightfs/dtype.h>

#ifdef __cplusplus
extern "C" {
#endif

struct wfs_header;

/* One tensor; what it points to belongs to the header (or to whoever filled it in). */
struct wfs_tensor {
    const char *name;   /* UTF-8, NUL-terminated, and may hold NUL as well: name_length counts */
    size_t name_length; /* bytes */
    enum wfs_dtype dtype;
    size_t rank;                /* number of dimensions; 0 is a scalar */
    const unsigned char *shape; /* packed, see wfs_tensor_shape() */
    size_t shape_size;          /* bytes of the packed shape */
    uint64_t begin;             /* bytes from the data section's start */
    uint64_t end;
};

/* Number of tensors. */
WFS_API size_t wfs_header_count(const struct wfs_header *header);

/* Tensor `index` (0 to count - 1) in the order of their bytes in the file. */
WFS_API struct wfs_tensor wfs_header_tensor(const struct wfs_header *header, size_t index);

/* Whether there is a tensor of that name; *ret_index (may be NULL) is its index. */
WFS_API bool wfs_header_find(const struct wfs_header *header, const char *name, size_t name_length,
                             size_t *ret_index);

/* Where the data section starts: 8 + the header's length. */
WFS_API uint64_t wfs_header_data_offset(const struct wfs_header *header);

/* Whether `__metadata__` is there and not null. */
WFS_API bool wfs_header_has_metadata(const struct wfs_header *header);

/* Number of its keys, and key and value `index`; both NUL-terminated UTF-8. */
WFS_API size_t wfs_header_metadata_count(const struct wfs_header *header);
WFS_API void wfs_header_metadata(const struct wfs_header *header, size_t index, const char **ret_key,
                                 size_t *ret_key_length, const char **ret_value, size_t *ret_value_length);

/* Writes the first `capacity` dimensions to `dims` and returns the rank. */
WFS_API size_t wfs_tensor_shape(const struct wfs_tensor *tensor, uint64_t *dims, size_t capacity);

/* Decodes and validates `size` bytes that begin like a file of `file_size` bytes (all of the header must be
 * there). The bytes are copied. Errors: -EINVAL with the rule in err->code, -ENOMEM. Free with
 * wfs_header_free(). */
WFS_API int wfs_header_parse(const void *bytes, size_t size, uint64_t file_size,
                             struct wfs_header **ret_header, struct wfs_error *err);

WFS_API void wfs_header_free(struct wfs_header *header);

#ifdef __cplusplus
}
#endif
#endif
