/* SPDX-License-Identifier: Apache-2.0 */
#include "format/shape.h"
#include "stage/pending.h"

#include <string.h>

void declaration_clear(struct declaration *declaration)
{
    free(declaration->shape);
    *declaration = DECLARATION_NONE;
}

int declaration_copy(struct declaration *to, const struct declaration *from)
{
    struct declaration copy = *from;

    copy.shape = NULL;
    if (from->has_shape) {
        copy.shape = malloc(from->shape_size + 1);
        if (!copy.shape)
            return -ENOMEM;
        if (from->shape && from->shape_size)
            memcpy(copy.shape, from->shape, from->shape_size);
    }
    declaration_clear(to);
    *to = copy;
    return 0;
}

int declaration_of_tensor(struct declaration *to, const struct wfs_tensor *tensor, enum declared_by by)
{
    struct declaration borrowed = {
        .dtype = tensor->dtype,
        .has_shape = tensor->shape != NULL || tensor->dtype != WFS_DTYPE_COUNT,
        .rank = tensor->rank,
        .shape = (unsigned char *)tensor->shape,
        .shape_size = tensor->shape_size,
        .by = by,
    };

    return declaration_copy(to, &borrowed);
}

struct wfs_tensor declaration_tensor(const struct declaration *declaration, const char *name, size_t length)
{
    return (struct wfs_tensor){
        .name = name,
        .name_length = length,
        .dtype = declaration->dtype,
        .rank = declaration->rank,
        .shape = declaration->shape,
        .shape_size = declaration->shape_size,
    };
}

bool declaration_complete(const struct declaration *declaration)
{
    return declaration->dtype != WFS_DTYPE_COUNT && declaration->has_shape;
}

bool declaration_same(const struct declaration *a, const struct declaration *b)
{
    return a->dtype == b->dtype && a->has_shape == b->has_shape &&
           (!a->has_shape || (a->rank == b->rank && a->shape_size == b->shape_size &&
                              (!a->shape_size || memcmp(a->shape, b->shape, a->shape_size) == 0)));
}

bool declaration_bytes(const struct declaration *declaration, uint64_t *ret_bytes)
{
    return declaration_complete(declaration) &&
           shape_byte_size(declaration->dtype, declaration->rank, declaration->shape, ret_bytes) ==
               WFS_CODE_NONE;
}

void declaration_print(struct bytes *out, const struct declaration *declaration)
{
    bytes_string(out, declaration->dtype == WFS_DTYPE_COUNT ? "?" : wfs_dtype_name(declaration->dtype));
    bytes_char(out, ' ');
    if (declaration->has_shape)
        shape_print(out, declaration->rank, declaration->shape);
    else
        bytes_string(out, "[?]");
}

void content_clear(struct content *content)
{
    generation_unref(content->generation);
    file_unref(content->spool);
    *content = (struct content){.kind = CONTENT_EMPTY};
}

void state_clear(struct entry_state *state)
{
    content_clear(&state->content);
    declaration_clear(&state->declared);
    declaration_clear(&state->by_xattr);
    free(state->origin);
    *state = (struct entry_state){.declared = DECLARATION_NONE, .by_xattr = DECLARATION_NONE};
}

static bool content_same(const struct content *a, const struct content *b)
{
    return a->kind == b->kind && a->size == b->size && a->index == b->index && a->spool == b->spool &&
           a->spool_number == b->spool_number && a->lead_in == b->lead_in;
}

static void content_take(struct content *to, struct content *next)
{
    struct generation *generation = to->generation;

    if (!content_same(to, next)) {
        content_clear(to);
        *to = *next;
    } else {
        to->generation = next->generation;
        to->damaged = next->damaged;
        next->generation = generation;
        content_clear(next);
    }
    *next = (struct content){.kind = CONTENT_EMPTY};
}

void state_take(struct entry_state *to, struct entry_state *next)
{
    content_take(&to->content, &next->content);
    declaration_clear(&to->declared);
    declaration_clear(&to->by_xattr);
    free(to->origin);
    to->declared = next->declared;
    to->by_xattr = next->by_xattr;
    to->origin = next->origin;
    to->origin_length = next->origin_length;
    to->draft = next->draft;
    to->npy_view = next->npy_view;
    to->from_npy = next->from_npy;
    to->patched = next->patched;
    to->synced = next->synced;
    to->unsynced_lost = next->unsynced_lost;
    to->mode = next->mode;
    to->atime = next->atime;
    to->mtime = next->mtime;
    to->ctime = next->ctime;
    *next = (struct entry_state){.declared = DECLARATION_NONE, .by_xattr = DECLARATION_NONE};
}

int state_copy(struct entry_state *to, const struct entry_state *from)
{
    auto_declaration declared = DECLARATION_NONE;
    auto_declaration by_xattr = DECLARATION_NONE;
    auto_free char *origin = NULL;

    if (declaration_copy(&declared, &from->declared) < 0 || declaration_copy(&by_xattr, &from->by_xattr) < 0)
        return -ENOMEM;
    if (from->origin) {
        origin = malloc(from->origin_length + 1);
        if (!origin)
            return -ENOMEM;
        memcpy(origin, from->origin, from->origin_length + 1);
    }

    *to = *from;
    to->declared = declared;
    to->by_xattr = by_xattr;
    to->origin = take_ptr(origin);
    if (to->content.generation)
        generation_ref(to->content.generation);
    if (to->content.spool)
        file_ref(to->content.spool);
    declared = DECLARATION_NONE;
    by_xattr = DECLARATION_NONE;
    return 0;
}
