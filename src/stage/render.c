/* SPDX-License-Identifier: Apache-2.0
 *
 * staging/metadata.json as it is read: rendered from the pending model, once a change.
 */
#include "stage/plan.h"

static bool nothing_staged(const struct stage *stage)
{
    size_t bucket = 0;

    if (stage->metadata_staged)
        return false;
    for (const struct slot *slot = slot_next(&stage->table, &bucket, NULL); slot;
         slot = slot_next(&stage->table, &bucket, slot)) {
        if (slot->removed || (slot->entry && slot->entry->staged))
            return false;
    }
    return true;
}

static struct image *render_pending(struct stage *stage)
{
    auto_plan plan = PLAN_EMPTY;
    struct metadata_map metadata;
    auto_bytes out = BYTES_EMPTY;

    if (plan_collect(stage, &plan, NULL) < 0)
        return NULL;
    int placed = plan_place(stage, &plan, NULL);
    if (placed == -ENOMEM)
        return NULL;
    auto_free struct wfs_tensor *tensors = calloc(plan.count + 1, sizeof(*tensors));
    if (!tensors || pending_metadata(stage, &metadata) < 0)
        return NULL;
    for (size_t i = 0; i < plan.count; i++) {
        tensors[i] = plan.items[i].tensor;
        if (placed < 0) /* together they are larger than any file: there is no place to tell */
            tensors[i].begin = tensors[i].end = 0;
    }
    document_encode(tensors, plan.count, &metadata, &out);
    free(metadata.pairs);

    struct image *image = image_new();
    size_t length = out.length;
    char *memory = bytes_take(&out);
    if (!image || !memory || image_add_memory(image, memory, length) < 0) {
        if (!image)
            free(memory);
        image_unref(image);
        return NULL;
    }
    return image;
}

static struct image *render(struct stage *stage)
{
    return nothing_staged(stage) ? generation_document_image(stage->generation) : render_pending(stage);
}

struct image *document_image(struct stage *stage)
{
    struct rendering *last = &stage->rendering;
    uint64_t change = atomic_load(&stage->changes);

    if (last->image && last->change == change)
        return image_ref(last->image);
    struct image *image = render(stage);
    if (!image)
        return NULL;
    image_unref(last->image);
    *last = (struct rendering){.is_known = true, .change = change, .size = image_length(image)};
    if (stage->document->handles > 0)
        last->image = image_ref(image);
    return image;
}

void document_image_drop(struct stage *stage)
{
    image_unref(stage->rendering.image);
    stage->rendering.image = NULL;
}

uint64_t document_image_size(struct stage *stage)
{
    const struct rendering *last = &stage->rendering;

    if (!last->is_known || last->change != atomic_load(&stage->changes)) {
        struct image *image = document_image(stage);
        if (!image)
            return 0;
        image_unref(image);
    }
    return last->size;
}
