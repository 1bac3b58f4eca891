/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading journal items. They come from a disk: every length is checked, and a cursor remembers that
 * something was missing.
 */
#include "base/error.h"
#include "format/shape.h"
#include "stage/record.h"
#include "stage/record_items.h"

#include <string.h>

struct cursor {
    const unsigned char *at;
    size_t left;
    bool bad;
};

static uint64_t take_number(struct cursor *cursor)
{
    uint64_t value = 0;

    if (cursor->left < 8) {
        cursor->bad = true;
        return 0;
    }
    for (int i = 7; i >= 0; i--)
        value = value << 8 | cursor->at[i];
    cursor->at += 8;
    cursor->left -= 8;
    return value;
}

static uint64_t take_number_below(struct cursor *cursor, uint64_t limit)
{
    uint64_t value = take_number(cursor);
    if (value >= limit)
        cursor->bad = true;
    return cursor->bad ? 0 : value;
}

static const char *take_blob(struct cursor *cursor, size_t *ret_length)
{
    uint64_t length = take_number(cursor);
    const char *blob = (const char *)cursor->at;

    *ret_length = 0;
    if (cursor->bad || length > cursor->left) {
        cursor->bad = true;
        return "";
    }
    *ret_length = (size_t)length;
    cursor->at += length;
    cursor->left -= (size_t)length;
    return blob;
}

static char take_char(struct cursor *cursor)
{
    if (cursor->left == 0) {
        cursor->bad = true;
        return 0;
    }
    cursor->left--;
    return (char)*cursor->at++;
}

static struct key take_key(struct cursor *cursor)
{
    struct key key = {.space = (enum space)take_char(cursor)};

    if (!key.space || !strchr("thrnsm", (int)key.space))
        cursor->bad = true;
    key.name = take_blob(cursor, &key.length);
    return key;
}

static struct timespec take_time(struct cursor *cursor)
{
    struct timespec time;
    time.tv_sec = (time_t)take_number(cursor);
    time.tv_nsec = (long)take_number_below(cursor, 1000000000);
    return time;
}

/* A packed shape from the disk is not our own yet: exactly `rank` numbers must fill it. */
static bool packed_shape_is_whole(const unsigned char *shape, size_t size, size_t rank)
{
    size_t numbers = 0;
    size_t run = 0;

    for (size_t i = 0; i < size; i++) {
        bool is_last = !(shape[i] & 0x80);
        run = is_last ? 0 : run + 1;
        if (run >= SHAPE_DIMENSION_MAX)
            return false;
        numbers += is_last;
    }
    return run == 0 && numbers == rank;
}

static int take_declaration(struct cursor *cursor, struct declaration *ret_declaration)
{
    struct declaration borrowed = {
        .dtype = (enum wfs_dtype)take_number_below(cursor, WFS_DTYPE_COUNT + 1),
        .has_shape = take_number_below(cursor, 2) == 1,
    };
    borrowed.rank = (size_t)take_number(cursor);
    const char *shape = take_blob(cursor, &borrowed.shape_size);
    borrowed.by = (enum declared_by)take_number_below(cursor, DECLARED_BY_COPY + 1);
    if (!packed_shape_is_whole((const unsigned char *)shape, borrowed.shape_size, borrowed.rank))
        cursor->bad = true;
    if (cursor->bad)
        return 0;
    borrowed.shape = (unsigned char *)shape;
    return declaration_copy(ret_declaration, &borrowed);
}

static struct base_identity take_identity(struct cursor *cursor)
{
    struct base_identity identity = {.none = take_number_below(cursor, 2) == 1};
    identity.file.size = take_number(cursor);
    identity.file.mtime = take_time(cursor);
    identity.file.inode = take_number(cursor);
    identity.header_hash = (uint32_t)take_number_below(cursor, (uint64_t)UINT32_MAX + 1);
    return identity;
}

static void take_string(struct cursor *cursor, char *buffer, size_t size)
{
    size_t length;
    const char *blob = take_blob(cursor, &length);

    if (length >= size) {
        cursor->bad = true;
        length = 0;
    }
    memcpy(buffer, blob, length);
    buffer[length] = '\0';
}

static void take_content(struct cursor *cursor, struct record_state *record)
{
    struct content *content = &record->state.content;

    content->kind = (enum content_kind)take_number_below(cursor, CONTENT_SPOOL + 1);
    content->size = take_number(cursor);
    if (content->kind == CONTENT_SOURCE) {
        record->source = take_blob(cursor, &record->source_length);
    } else if (content->kind == CONTENT_SPOOL) {
        content->spool_number = (uint32_t)take_number_below(cursor, UINT32_MAX);
        content->lead_in = take_number_below(cursor, (uint64_t)1 << 62);
    } else if (content->size > 0) {
        cursor->bad = true;
    }
}

static int take_state(struct cursor *cursor, struct record_state *record)
{
    struct entry_state *state = &record->state;

    take_content(cursor, record);
    if (take_declaration(cursor, &state->declared) < 0 || take_declaration(cursor, &state->by_xattr) < 0)
        return -ENOMEM;
    bool has_origin = take_number_below(cursor, 2) == 1;
    const char *origin = take_blob(cursor, &state->origin_length);
    unsigned flags = (unsigned)take_number_below(cursor, 128);
    state->draft = flags & FLAG_DRAFT;
    state->npy_view = flags & FLAG_NPY_VIEW;
    state->from_npy = flags & FLAG_FROM_NPY;
    state->patched = flags & FLAG_PATCHED;
    state->synced = flags & FLAG_SYNCED;
    state->unsynced_lost = flags & FLAG_LOST;
    state->content.damaged = flags & FLAG_DAMAGED;
    state->mode = (mode_t)take_number_below(cursor, 010000);
    state->atime = take_time(cursor);
    state->mtime = take_time(cursor);
    state->ctime = state->mtime;
    if (cursor->bad || !has_origin)
        return 0;
    state->origin = malloc(state->origin_length + 1);
    if (!state->origin)
        return -ENOMEM;
    memcpy(state->origin, origin, state->origin_length);
    state->origin[state->origin_length] = '\0';
    return 0;
}

static int read_base(struct cursor *cursor, const struct record_sink *sink)
{
    struct record_base base = {.identity = take_identity(cursor)};
    take_string(cursor, base.boot_id, sizeof(base.boot_id));
    take_string(cursor, base.target, sizeof(base.target));
    return cursor->bad || !sink->base ? 0 : sink->base(sink->context, &base);
}

static int read_live(struct cursor *cursor, const struct record_sink *sink)
{
    struct record_state record = {
        .state = {.declared = DECLARATION_NONE, .by_xattr = DECLARATION_NONE}
    };
    struct key key = take_key(cursor);
    int r = take_state(cursor, &record);

    if (r == 0 && !cursor->bad && sink->live)
        r = sink->live(sink->context, key, &record);
    state_clear(&record.state);
    return r;
}

static int read_removed(struct cursor *cursor, const struct record_sink *sink)
{
    auto_declaration last = DECLARATION_NONE;
    struct key key = take_key(cursor);
    int r = take_declaration(cursor, &last);

    return r < 0 || cursor->bad || !sink->removed ? r : sink->removed(sink->context, key, &last);
}

/* The pairs' strings are borrowed; the array is malloc'd. */
static int take_map(struct cursor *cursor, struct metadata_map *ret_map)
{
    *ret_map = (struct metadata_map){.present = take_number_below(cursor, 2) == 1};
    uint64_t count = take_number_below(cursor, cursor->left / 16 + 1); /* a pair takes two lengths at least */
    struct metadata_pair *pairs = calloc((size_t)count + 1, sizeof(*pairs));
    if (!pairs)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        pairs[i].key = take_blob(cursor, &pairs[i].key_length);
        pairs[i].value = take_blob(cursor, &pairs[i].value_length);
    }
    ret_map->pairs = pairs;
    ret_map->count = (size_t)count;
    return 0;
}

static int read_metadata(struct cursor *cursor, const struct record_sink *sink)
{
    struct metadata_map map;
    bool staged = take_number_below(cursor, 2) == 1;
    int r = take_map(cursor, &map);

    if (r == 0 && !cursor->bad && sink->metadata)
        r = sink->metadata(sink->context, staged, &map);
    free(map.pairs);
    return r;
}

static int read_map(struct cursor *cursor, const struct record_sink *sink)
{
    struct metadata_map map;
    int r = take_map(cursor, &map);

    if (r == 0 && !cursor->bad && sink->map)
        r = sink->map(sink->context, &map);
    free(map.pairs);
    return r;
}

static int read_tensor(struct cursor *cursor, const struct record_sink *sink)
{
    struct record_tensor tensor = {.declared = DECLARATION_NONE};

    tensor.name = take_blob(cursor, &tensor.name_length);
    int r = take_declaration(cursor, &tensor.declared);
    tensor.has_digest = take_number_below(cursor, 2) == 1;
    tensor.digest = take_number(cursor);
    if (r == 0 && !cursor->bad && sink->tensor)
        r = sink->tensor(sink->context, &tensor);
    declaration_clear(&tensor.declared);
    return r;
}

static int read_item(struct cursor *cursor, const struct record_sink *sink)
{
    struct base_identity identity;
    struct key key;

    switch (take_char(cursor)) {
    case ITEM_BASE:
        return read_base(cursor, sink);
    case ITEM_LIVE:
        return read_live(cursor, sink);
    case ITEM_REMOVED:
        return read_removed(cursor, sink);
    case ITEM_FORGET:
        key = take_key(cursor);
        return cursor->bad || !sink->forget ? 0 : sink->forget(sink->context, key);
    case ITEM_METADATA:
        return read_metadata(cursor, sink);
    case ITEM_INTENT:
        identity = take_identity(cursor);
        return cursor->bad || !sink->intent ? 0 : sink->intent(sink->context, &identity);
    case ITEM_DROP:
        return sink->drop ? sink->drop(sink->context) : 0;
    case ITEM_NOTES:
        return sink->notes ? sink->notes(sink->context) : 0;
    case ITEM_TENSOR:
        return read_tensor(cursor, sink);
    case ITEM_MAP:
        return read_map(cursor, sink);
    default:
        cursor->bad = true;
        return 0;
    }
}

int record_read(const unsigned char *payload, size_t length, const struct record_sink *sink,
                struct wfs_error *err)
{
    struct cursor cursor = {payload, length, false};

    while (cursor.left > 0) {
        int r = read_item(&cursor, sink);
        if (r == -ENOMEM)
            return error_no_memory(err);
        if (r != 0)
            return r;
        if (cursor.bad)
            return error_rule(err, WFS_CODE_JOURNAL_DAMAGED,
                              "a record of the journal of staged edits makes no sense");
    }
    return 0;
}
