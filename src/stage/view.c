/* SPDX-License-Identifier: Apache-2.0
 *
 * How an entry looks as a file: its bytes, size and attributes in tensors/, in npy/ and directly in staging/.
 */
#include "base/clock.h"
#include "format/npy.h"
#include "stage/pending.h"

#define BLOCK 512u

bool entry_shows(const struct entry *entry, enum stage_place place)
{
    const struct entry_state *state = &entry->state;

    if (entry == entry->stage->document)
        return place == PLACE_ROOT;
    if (!entry->slot)
        return false;
    switch (entry->slot->space) {
    case SPACE_TENSOR:
    case SPACE_HASHED:
        return place == PLACE_TENSORS ||
               (place == PLACE_NPY &&
                (state->draft || (declaration_complete(&state->declared) &&
                                  npy_can_show(state->declared.dtype, state->declared.rank))));
    case SPACE_RAW:
        return place == PLACE_TENSORS;
    case SPACE_NPY:
        return place == PLACE_NPY;
    case SPACE_ROOT:
    case SPACE_DOCUMENT:
    default:
        return place == PLACE_ROOT;
    }
}

static bool is_npy_form(const struct entry *entry, enum stage_place place)
{
    return place == PLACE_NPY || (place == PLACE_ROOT && entry->state.npy_view);
}

bool view_has_header(const struct entry *entry, enum stage_place place)
{
    const struct declaration *declared = &entry->state.declared;

    return is_npy_form(entry, place) && !entry->state.draft && declaration_complete(declared) &&
           npy_can_show(declared->dtype, declared->rank);
}

static void make_header(const struct entry *entry, struct bytes *out)
{
    const struct declaration *declared = &entry->state.declared;
    npy_encode(declared->dtype, declared->rank, declared->shape, out);
}

uint64_t view_header_size(const struct entry *entry)
{
    auto_bytes header = BYTES_EMPTY;
    make_header(entry, &header);
    return header.length;
}

/* The bytes [from, from + length) of the content, which must be there. */
struct image *content_image(const struct entry *entry, uint64_t from, uint64_t length)
{
    const struct content *content = &entry->state.content;
    struct image *image = image_new();
    int r = 0;

    if (!image || length == 0)
        return image;
    if (content->kind == CONTENT_SOURCE) {
        struct generation *generation = content->generation ? content->generation : entry->stage->generation;
        r = image_add_file(image, generation_file(generation),
                           generation_offset(generation, content->index) + from, length);
    } else if (content->kind == CONTENT_SPOOL) {
        r = image_add_file(image, content->spool, content->lead_in + from, length);
    }
    if (r < 0) {
        image_unref(image);
        return NULL;
    }
    return image;
}

/* Where a view's bytes begin in the content; false: the view has none. Only a draft seen through tensors/ is
 * shifted. */
static bool view_shift(const struct entry *entry, enum stage_place place, uint64_t *ret_shift)
{
    *ret_shift = 0;
    if (!entry->state.draft || place == PLACE_NPY)
        return true;
    *ret_shift = entry->draft_data;
    return entry->draft_data != 0 && entry->draft_data <= entry->state.content.size;
}

static bool is_rendered_document(const struct entry *entry)
{
    return entry == entry->stage->document && !entry->staged;
}

struct image *entry_image(const struct entry *entry, enum stage_place place)
{
    uint64_t shift;
    uint64_t size = entry->state.content.size;

    if (is_rendered_document(entry))
        return document_image(entry->stage);
    if (!view_shift(entry, place, &shift))
        return image_new();
    if (!view_has_header(entry, place))
        return content_image(entry, shift, size - shift);

    auto_bytes header = BYTES_EMPTY;
    make_header(entry, &header);
    size_t header_size = header.length;
    struct image *image = image_new();
    struct image *content = content_image(entry, 0, size);
    char *memory = bytes_take(&header);
    int r = image && content && memory ? image_add_memory(image, memory, header_size) : -ENOMEM;
    if (!image || !content)
        free(memory);
    for (size_t i = 0; r == 0 && i < image_part_count(content); i++) {
        const struct image_part *part = image_part(content, i);
        r = image_add_file(image, part->file, part->offset, part->length);
    }
    image_unref(content);
    if (r < 0) {
        image_unref(image);
        return NULL;
    }
    return image;
}

uint64_t entry_size(const struct entry *entry, enum stage_place place)
{
    uint64_t shift;

    if (is_rendered_document(entry))
        return document_image_size(entry->stage);
    if (!view_shift(entry, place, &shift))
        return 0;
    return entry->state.content.size - shift + (view_has_header(entry, place) ? view_header_size(entry) : 0);
}

/* Bytes that are the source's take no room of their own, so `du` finds 0 blocks. But cp holds a file with
 * fewer blocks than bytes for sparse, and then does not use copy_file_range(2): while somebody has the file
 * open it has the blocks of its bytes. */
static uint64_t shown_blocks(const struct entry *entry, enum stage_place place, uint64_t size)
{
    bool owns_bytes = entry->state.content.kind == CONTENT_SPOOL && !is_npy_form(entry, place);
    return owns_bytes || entry->handles > 0 ? (size + BLOCK - 1) / BLOCK : 0;
}

int entry_attr(struct stage *stage, struct entry *entry, enum stage_place place, struct stage_attr *ret_attr)
{
    auto_lock(&stage->lock);
    const struct entry_state *state = &entry->state;

    if (entry->retired && entry->handles == 0)
        return -ESTALE;
    *ret_attr = (struct stage_attr){
        .size = entry_size(entry, place),
        .mode = state->mode,
        .atime = state->atime,
        .mtime = state->mtime,
        .ctime = state->ctime,
        .is_linked = entry->slot != NULL || entry == stage->document,
    };
    ret_attr->blocks = shown_blocks(entry, place, ret_attr->size);
    if (view_has_header(entry, place) && clock_is_later(&entry->redeclared, &state->mtime))
        ret_attr->mtime = entry->redeclared;
    if (is_rendered_document(entry))
        ret_attr->mtime = ret_attr->ctime = stage->model_time;
    return 0;
}
