/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "format/encode.h"
#include "format/npy.h"
#include "model/generation_internal.h"

DEFINE_CLEANUP(struct image, image, image_unref)
#define auto_image __attribute__((cleanup(cleanup_image)))

/* Appends the bytes of a tensor. */
static int add_tensor(const struct generation *generation, size_t index, struct image *image)
{
    struct wfs_tensor tensor = generation_tensor(generation, index);
    return image_add_file(image, generation->file, generation_offset(generation, index),
                          tensor.end - tensor.begin);
}

/* Appends what was gathered in `bytes`. */
static int add_bytes(struct bytes *bytes, struct image *image)
{
    size_t length = bytes->length;
    char *memory = bytes_take(bytes);
    return memory ? image_add_memory(image, memory, length) : -ENOMEM;
}

struct image *generation_tensor_image(struct generation *generation, size_t index)
{
    auto_image struct image *image = image_new();
    if (!image || add_tensor(generation, index, image) < 0)
        return NULL;
    return take_ptr(image);
}

struct image *generation_npy_image(struct generation *generation, size_t index)
{
    auto_image struct image *image = image_new();
    auto_bytes header = BYTES_EMPTY;
    struct wfs_tensor tensor = generation_tensor(generation, index);
    npy_encode(tensor.dtype, tensor.rank, tensor.shape, &header);
    if (!image || add_bytes(&header, image) < 0 || add_tensor(generation, index, image) < 0)
        return NULL;
    return take_ptr(image);
}

static struct wfs_tensor *list_tensors(const struct generation *generation)
{
    size_t count = generation_count(generation);
    struct wfs_tensor *tensors = calloc(count + 1, sizeof *tensors);
    for (size_t i = 0; tensors && i < count; i++)
        tensors[i] = generation_tensor(generation, i);
    return tensors;
}

struct image *generation_document_image(struct generation *generation)
{
    auto_image struct image *image = image_new();
    auto_free struct wfs_tensor *tensors = list_tensors(generation);
    struct metadata_map metadata = {false, 0, NULL};
    if (!image || !tensors || metadata_of_header(generation->header, &metadata) < 0)
        return NULL;
    auto_bytes document = BYTES_EMPTY;
    document_encode(tensors, generation_count(generation), &metadata, &document);
    free(metadata.pairs);
    if (add_bytes(&document, image) < 0)
        return NULL;
    atomic_store(&generation->document_size, image_length(image));
    return take_ptr(image);
}

struct image *generation_whole_image(struct generation *generation)
{
    auto_image struct image *image = image_new();
    uint64_t size = (uint64_t)generation->st.st_size;
    if (!image || (generation->file && image_add_file(image, generation->file, 0, size) < 0))
        return NULL;
    return take_ptr(image);
}

uint64_t generation_document_size(struct generation *generation)
{
    uint64_t known = atomic_load(&generation->document_size);
    if (known)
        return known;
    struct image *image = generation_document_image(generation);
    image_unref(image);
    return atomic_load(&generation->document_size);
}
