/* SPDX-License-Identifier: Apache-2.0 */
#include "base/checked.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "format/name.h"
#include "format/shape.h"
#include "model/writer.h"

#include <string.h>
#include <sys/random.h>

#define RESERVED_NAME "__metadata__"

/* --- the index ---------------------------------------------------------------------------------------- */

/* The slot that holds the name, or the free one where it belongs. */
static size_t *index_slot(const struct wfs_writer *writer, const char *name, size_t length)
{
    const struct writer_index *index = &writer->index;
    size_t at = (size_t)hash_bytes(index->key, name, length);

    for (;; at++) {
        size_t *slot = &index->slots[at & (index->size - 1)];
        if (*slot == 0)
            return slot;
        const struct writer_tensor *tensor = &writer->tensors[*slot - 1];
        if (tensor->name_length == length && memcmp(tensor->name, name, length) == 0)
            return slot;
    }
}

/* Makes room for one more name, at most half of the slots being used. */
static int index_reserve(struct wfs_writer *writer)
{
    struct writer_index *index = &writer->index;
    struct writer_index old = *index;

    if (index->size > 0 && (writer->count + 1) * 2 <= index->size)
        return 0;
    size_t size = index->size ? index->size * 2 : 64;
    size_t *slots = calloc(size, sizeof *slots);
    if (!slots)
        return -ENOMEM;
    if (old.size == 0 && getrandom(index->key, sizeof index->key, 0) < 0)
        memset(index->key, 0, sizeof index->key);
    index->slots = slots;
    index->size = size;
    for (size_t i = 0; i < writer->count; i++)
        *index_slot(writer, writer->tensors[i].name, writer->tensors[i].name_length) = i + 1;
    free(old.slots);
    return 0;
}

bool writer_find(const struct wfs_writer *writer, const char *name, size_t length, size_t *ret_index)
{
    if (writer->index.size == 0)
        return false;
    size_t slot = *index_slot(writer, name, length);
    if (slot == 0)
        return false;
    *ret_index = slot - 1;
    return true;
}

/* --- tensors ------------------------------------------------------------------------------------------ */

static int check_declarable(const struct wfs_writer *writer, const struct wfs_tensor *tensor,
                            struct wfs_error *err)
{
    struct printable path = writer_path(writer);
    struct printable name = printable(tensor->name, tensor->name_length);
    size_t index = 0;
    uint64_t size = 0;

    if (writer->is_finished || writer->is_fixed)
        return error_rule(err, WFS_CODE_WRITER_MISUSE,
                          "%s: tensor '%s': declared after the first bytes were written", path.text,
                          name.text);
    if (tensor->dtype >= WFS_DTYPE_COUNT)
        return error_rule(err, WFS_CODE_WRITER_MISUSE, "%s: tensor '%s': there is no dtype %u", path.text,
                          name.text, (unsigned)tensor->dtype);
    if (!utf8_is_valid(tensor->name, tensor->name_length))
        return error_rule(err, WFS_CODE_WRITER_MISUSE, "%s: tensor '%s': its name is not UTF-8", path.text,
                          name.text);
    if (tensor->name_length == strlen(RESERVED_NAME) &&
        memcmp(tensor->name, RESERVED_NAME, tensor->name_length) == 0)
        return error_rule(err, WFS_CODE_NAME_RESERVED, "%s: no tensor can be called " RESERVED_NAME,
                          path.text);
    if (writer_find(writer, tensor->name, tensor->name_length, &index))
        return error_rule(err, WFS_CODE_WRITER_MISUSE, "%s: tensor '%s': declared twice", path.text,
                          name.text);

    enum wfs_code code = shape_byte_size(tensor->dtype, tensor->rank, tensor->shape, &size);
    if (code != WFS_CODE_NONE)
        return error_rule(err, code, "%s: tensor '%s': %s: %s", path.text, name.text, wfs_code_name(code),
                          wfs_code_sentence(code));
    return 0;
}

static int reserve_tensor(struct wfs_writer *writer)
{
    if (writer->count < writer->capacity)
        return 0;
    size_t capacity = writer->capacity ? writer->capacity * 2 : 32;
    struct writer_tensor *tensors = reallocarray(writer->tensors, capacity, sizeof *tensors);
    if (!tensors)
        return -ENOMEM;
    writer->tensors = tensors;
    writer->capacity = capacity;
    return 0;
}

int writer_declare(struct wfs_writer *writer, const struct wfs_tensor *tensor, size_t slot,
                   struct wfs_error *err)
{
    int r = check_declarable(writer, tensor, err);
    if (r < 0)
        return r;

    auto_free char *name = writer_copy_bytes(tensor->name, tensor->name_length);
    auto_free char *shape = writer_copy_bytes(tensor->shape, tensor->shape_size);
    uint64_t size = 0;
    shape_byte_size(tensor->dtype, tensor->rank, tensor->shape, &size);
    if (!name || !shape || reserve_tensor(writer) < 0 || index_reserve(writer) < 0)
        return error_no_memory(err);
    if (add_overflows(writer->total, size, &size))
        return error_rule(err, WFS_CODE_VALIDATION_OVERFLOW, "%s: tensor '%s': the file would exceed 64 bits",
                          writer_path(writer).text, printable(tensor->name, tensor->name_length).text);

    *index_slot(writer, name, tensor->name_length) = writer->count + 1;
    writer->tensors[writer->count++] = (struct writer_tensor){
        .name = take_ptr(name),
        .name_length = tensor->name_length,
        .dtype = tensor->dtype,
        .rank = tensor->rank,
        .shape = (unsigned char *)take_ptr(shape),
        .shape_size = tensor->shape_size,
        .slot = slot,
    };
    writer->total = size;
    return 0;
}

int wfs_writer_declare(struct wfs_writer *writer, const char *name, enum wfs_dtype dtype, size_t rank,
                       const uint64_t *shape, struct wfs_error *err)
{
    struct wfs_tensor tensor = {.name = name, .name_length = strlen(name), .dtype = dtype, .rank = rank};
    size_t room = 0;

    if (__builtin_mul_overflow(rank, SHAPE_DIMENSION_MAX, &room) || __builtin_add_overflow(room, 1, &room))
        return error_no_memory(err);
    auto_free unsigned char *packed = malloc(room);
    if (!packed)
        return error_no_memory(err);
    for (size_t i = 0; i < rank; i++)
        tensor.shape_size += shape_pack(packed + tensor.shape_size, shape[i]);
    tensor.shape = packed;
    return writer_declare(writer, &tensor, LAYOUT_NEW, err);
}

void writer_free_declared(struct wfs_writer *writer)
{
    for (size_t i = 0; i < writer->count; i++) {
        free(writer->tensors[i].name);
        free(writer->tensors[i].shape);
        pieces_clear(&writer->tensors[i].pieces);
    }
    writer_free_metadata(writer);
    free(writer->tensors);
    free(writer->order);
    free(writer->index.slots);
}
