/* SPDX-License-Identifier: Apache-2.0
 *
 * Headers as text, decoded or judged in one line. The text is a string literal: it may hold NUL.
 */
#ifndef UNIT_HEADERS_H
#define UNIT_HEADERS_H

#include "base/bytes.h"
#include "format/encode.h"
#include "format/header.h"
#include "format/shape.h"
#include "unit/scratch.h"

static inline char *copy_text(const char *text, size_t length)
{
    char *copy = malloc(length + 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, text, length);
    return copy;
}

/* Decodes a header in front of `data` bytes; it must be right. */
static inline struct wfs_header *decode_right(const char *text, size_t length, uint64_t data, unsigned mode)
{
    struct wfs_error err = {0};
    struct wfs_header *header = NULL;
    int r =
        header_decode(copy_text(text, length), length, HEADER_PREFIX + length + data, mode, &header, &err);
    ck_assert_msg(r == 0, "%s", err.text);
    ck_assert_ptr_nonnull(header);
    return header;
}

/* The error of a header that must be wrong. */
static inline struct wfs_error decode_wrong(const char *text, size_t length, uint64_t data, unsigned mode)
{
    struct wfs_error err = {0};
    struct wfs_header *header = NULL;
    int r =
        header_decode(copy_text(text, length), length, HEADER_PREFIX + length + data, mode, &header, &err);
    ck_assert_msg(r == -EINVAL, "accepted: %s", text);
    ck_assert_ptr_null(header);
    ck_assert_int_eq(err.errnum, EINVAL);
    return err;
}

#define RIGHT(text, data, mode) decode_right(text, sizeof(text) - 1, data, mode)
#define WRONG(text, data, mode) decode_wrong(text, sizeof(text) - 1, data, mode)

#define ck_assert_accepted(text, data)          wfs_header_free(RIGHT(text, data, HEADER_OFFICIAL))
#define ck_assert_accepted_in(text, data, mode) wfs_header_free(RIGHT(text, data, mode))
#define ck_assert_code(text, data, mode, expected) \
    ck_assert_str_eq(wfs_code_name(WRONG(text, data, mode).code), expected)
#define ck_assert_refused(text, data, expected)          ck_assert_code(text, data, HEADER_OFFICIAL, expected)
#define ck_assert_sentence(header, data, mode, expected) compare_sentence(WRONG(header, data, mode), expected)

static inline void compare_sentence(struct wfs_error err, const char *expected)
{
    ck_assert_str_eq(err.text, expected);
}

/* An entry without bytes, for headers in which something else matters. */
#define EMPTY_ENTRY "{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}"

/* "[2,3]" of a tensor; the caller frees. */
static inline char *shape_text(const struct wfs_tensor *tensor)
{
    struct bytes bytes = BYTES_EMPTY;
    shape_print(&bytes, tensor->rank, tensor->shape);
    return bytes_take(&bytes);
}

static inline void ck_assert_tensor(const struct wfs_header *header, size_t index, const char *name,
                                    enum wfs_dtype dtype, const char *shape, uint64_t begin, uint64_t end)
{
    struct wfs_tensor tensor = wfs_header_tensor(header, index);
    char *found = shape_text(&tensor);
    ck_assert_uint_eq(tensor.name_length, strlen(name));
    ck_assert_str_eq(tensor.name, name);
    ck_assert_str_eq(wfs_dtype_name(tensor.dtype), wfs_dtype_name(dtype));
    ck_assert_str_eq(found, shape);
    ck_assert_uint_eq(tensor.begin, begin);
    ck_assert_uint_eq(tensor.end, end);
    free(found);
}

static inline void ck_assert_metadata(const struct wfs_header *header, size_t index, const char *key,
                                      const char *value)
{
    const char *found_key;
    const char *found_value;
    size_t key_length;
    size_t value_length;
    wfs_header_metadata(header, index, &found_key, &key_length, &found_value, &value_length);
    ck_assert_uint_eq(key_length, strlen(key));
    ck_assert_str_eq(found_key, key);
    ck_assert_uint_eq(value_length, strlen(value));
    ck_assert_str_eq(found_value, value);
}

#endif
