/* SPDX-License-Identifier: Apache-2.0
 *
 * The extended attributes of staged files: dtype, shape and true name.
 */
#include "format/name.h"
#include "format/shape.h"
#include "stage/pending.h"

#include <string.h>

#define XATTR_DTYPE "user.safetensors.dtype"
#define XATTR_SHAPE "user.safetensors.shape"
#define XATTR_NAME  "user.safetensors.name"

static bool has_true_name(const struct entry *entry)
{
    return entry->slot && entry->slot->space == SPACE_TENSOR;
}

/* A draft shows what its attributes say, until its own header is understood. */
static const struct declaration *shown(const struct entry *entry)
{
    const struct entry_state *state = &entry->state;
    bool by_xattr = state->by_xattr.dtype != WFS_DTYPE_COUNT || state->by_xattr.has_shape;
    return state->draft && by_xattr ? &state->by_xattr : &state->declared;
}

int stage_xattr_get(struct stage *stage, struct entry *entry, const char *name, struct bytes *out)
{
    auto_lock(&stage->lock);
    const struct declaration *declared = shown(entry);

    if (strcmp(name, XATTR_DTYPE) == 0 && declared->dtype != WFS_DTYPE_COUNT)
        bytes_string(out, wfs_dtype_name(declared->dtype));
    else if (strcmp(name, XATTR_SHAPE) == 0 && declared->has_shape)
        shape_print(out, declared->rank, declared->shape);
    else if (strcmp(name, XATTR_NAME) == 0 && has_true_name(entry))
        bytes_append(out, entry->slot->name, entry->slot->length);
    else
        return -ENODATA;
    return out->failed ? -ENOMEM : 0;
}

int stage_xattr_list(struct stage *stage, struct entry *entry, struct bytes *out)
{
    auto_lock(&stage->lock);
    const struct declaration *declared = shown(entry);

    if (declared->dtype != WFS_DTYPE_COUNT)
        bytes_append(out, XATTR_DTYPE, sizeof(XATTR_DTYPE));
    if (declared->has_shape)
        bytes_append(out, XATTR_SHAPE, sizeof(XATTR_SHAPE));
    if (has_true_name(entry))
        bytes_append(out, XATTR_NAME, sizeof(XATTR_NAME));
    return out->failed ? -ENOMEM : 0;
}

static int set_dtype(struct declaration *declaration, const char *value, size_t size)
{
    return wfs_dtype_by_name(value, size, &declaration->dtype);
}

static int set_shape(struct declaration *declaration, const char *value, size_t size)
{
    unsigned char *shape = NULL;
    size_t rank;
    size_t shape_size;
    int r = shape_parse(value, size, &rank, &shape, &shape_size);

    if (r < 0)
        return r;
    free(declaration->shape);
    declaration->shape = shape;
    declaration->shape_size = shape_size;
    declaration->rank = rank;
    declaration->has_shape = true;
    return 0;
}

/* An .npy file declares itself: attributes can only agree with it, or be a problem. */
static bool declares_itself(const struct entry *entry)
{
    return entry->state.from_npy || entry->state.draft;
}

/* Attributes are no change of the file's bytes: `cp -a` sets its times before them. */
static void touch_attributes(struct entry *entry)
{
    const struct timespec mtime = entry->state.mtime;

    stage_touch(entry->stage, entry);
    if (!declares_itself(entry))
        entry->redeclared = entry->state.mtime;
    entry->state.mtime = mtime;
}

typedef int set_member(struct declaration *declaration, const char *value, size_t size);

static int declare(struct entry *entry, set_member *set, const char *value, size_t size)
{
    auto_state next = {.declared = DECLARATION_NONE, .by_xattr = DECLARATION_NONE};
    int r = state_copy(&next, &entry->state);
    if (r < 0)
        return r;
    struct declaration *target = declares_itself(entry) ? &next.by_xattr : &next.declared;
    const struct declaration *present =
        declares_itself(entry) ? &entry->state.by_xattr : &entry->state.declared;
    r = set(target, value, size);
    if (r < 0 || declaration_same(target, present))
        return r;
    target->by = DECLARED_BY_XATTR;
    r = entry_update(entry, &next);
    if (r == 0)
        touch_attributes(entry);
    return r;
}

/* A file under a shortened name learns its tensor's name, if it is the one that the shortened name was made
 * of. Any other name is ignored: `cp -a a b` carries a's along. */
static int learn_name(struct entry *entry, const char *value, size_t size)
{
    struct stage *stage = entry->stage;
    struct key key = {SPACE_TENSOR, value, size};

    if (!entry->slot || entry->slot->space != SPACE_HASHED || !utf8_is_valid(value, size) ||
        !name_matches(entry->slot->name, value, size))
        return 0;
    auto_state next = {.declared = DECLARATION_NONE, .by_xattr = DECLARATION_NONE};
    int r = state_copy(&next, &entry->state);
    if (r == 0 && next.declared.dtype == WFS_DTYPE_COUNT && !next.declared.has_shape)
        r = last_declaration(stage, key, &next.declared);
    struct slot *slot = r == 0 ? slot_get(&stage->table, key) : NULL;
    if (!slot)
        return r < 0 ? r : -ENOMEM;

    auto_edit edit;
    edit_begin(&edit, stage);
    edit_forget(&edit, slot_key(entry->slot));
    edit_live(&edit, key, &next);
    r = edit_commit(&edit);
    if (r < 0) {
        slot_drop_if_empty(&stage->table, slot);
        return r;
    }
    struct slot *hashed = entry->slot;
    entry_unlink(entry);
    slot_drop_if_empty(&stage->table, hashed);
    state_take(&entry->state, &next);
    entry_link(entry, slot);
    stage_touch(stage, entry);
    return 0;
}

static int set_attribute(struct entry *entry, const char *name, const char *value, size_t size)
{
    struct stage *stage = entry->stage;
    auto_lock(&stage->lock);

    if (entry->retired)
        return -ESTALE;
    if (entry == stage->document)
        return -EOPNOTSUPP;
    if (strcmp(name, XATTR_DTYPE) == 0)
        return declare(entry, set_dtype, value, size);
    if (strcmp(name, XATTR_SHAPE) == 0)
        return declare(entry, set_shape, value, size);
    return strcmp(name, XATTR_NAME) == 0 ? learn_name(entry, value, size) : -EOPNOTSUPP;
}

int stage_xattr_set(struct stage *stage, struct entry *entry, const char *name, const char *value,
                    size_t size)
{
    int r = change_begin(stage);
    if (r < 0)
        return r;
    auto_change struct stage *gate = stage;
    r = set_attribute(entry, name, value, size);
    if (r == 0)
        entry_settle(entry); /* an .npy may have waited for a dtype */
    return r;
}

static int forget_dtype(struct declaration *declaration, const char *value, size_t size)
{
    (void)value;
    (void)size;
    declaration->dtype = WFS_DTYPE_COUNT;
    return 0;
}

static int forget_shape(struct declaration *declaration, const char *value, size_t size)
{
    (void)value;
    (void)size;
    free(declaration->shape);
    declaration->shape = NULL;
    declaration->has_shape = false;
    declaration->rank = 0;
    declaration->shape_size = 0;
    return 0;
}

int stage_xattr_remove(struct stage *stage, struct entry *entry, const char *name)
{
    bool is_dtype = strcmp(name, XATTR_DTYPE) == 0;
    bool is_shape = strcmp(name, XATTR_SHAPE) == 0;
    int r = change_begin(stage);
    if (r < 0)
        return r;
    auto_change struct stage *gate = stage;
    auto_lock(&stage->lock);
    const struct declaration *declared = shown(entry);

    if (entry->retired)
        return -ESTALE;
    if (is_dtype && declared->dtype != WFS_DTYPE_COUNT)
        return declare(entry, forget_dtype, NULL, 0);
    if (is_shape && declared->has_shape)
        return declare(entry, forget_shape, NULL, 0);
    return -ENODATA;
}
