/* SPDX-License-Identifier: Apache-2.0
 *
 * staging/metadata.json, taken as it comes when somebody writes it. Nothing is parsed before the last writer
 * closed; then a valid document is applied as a whole, and an invalid one stays as written.
 *
 * An entry says nothing when its dtype and shape are what staging or the model has under that name. So a
 * stale copy of the document, written over it, changes nothing and brings nothing back.
 */
#include "base/error.h"
#include "format/shape.h"
#include "stage/inspect.h"
#include "stage/plan.h"

#include <string.h>

/* --- applying --- */

/* One thing that a document changes: a file's declaration, or that of a name without a file. */
struct declared_change {
    struct entry *entry; /* counted; NULL: no file */
    struct slot *slot;
    struct declaration declared;
};

struct change_list {
    struct declared_change *items;
    size_t count;
};

static void change_list_clear(struct stage *stage, struct change_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct declared_change *change = &list->items[i];
        declaration_clear(&change->declared);
        if (change->entry)
            entry_unref_locked(change->entry);
        else
            slot_drop_if_empty(&stage->table, change->slot);
    }
    free(list->items);
}

static struct declared_change *change_list_add(struct change_list *list)
{
    if ((list->count & (list->count - 1)) == 0) {
        size_t capacity = list->count ? list->count * 2 : 1;
        struct declared_change *items = realloc(list->items, capacity * sizeof(*items));
        if (!items)
            return NULL;
        list->items = items;
    }
    return &list->items[list->count++];
}

/* What the document wants of a name, members that it leaves out taken from `present`. */
static int wanted_declaration(const struct wfs_tensor *said, const struct declaration *present,
                              struct declaration *ret_wanted)
{
    int r = declaration_copy(ret_wanted, present);
    if (r < 0)
        return r;
    if (said->dtype != WFS_DTYPE_COUNT)
        ret_wanted->dtype = said->dtype;
    if (said->shape) {
        unsigned char *shape = malloc(said->shape_size + 1);
        if (!shape)
            return -ENOMEM;
        memcpy(shape, said->shape, said->shape_size);
        free(ret_wanted->shape);
        ret_wanted->shape = shape;
        ret_wanted->shape_size = said->shape_size;
        ret_wanted->rank = said->rank;
        ret_wanted->has_shape = true;
    }
    ret_wanted->by = DECLARED_BY_DOCUMENT;
    return 0;
}

/* The file of that name, counted; none when there is none, or it was removed. */
static int find_file(struct stage *stage, struct key key, struct entry **ret_entry)
{
    size_t index;
    const struct slot *slot = slot_find(&stage->table, key);

    if (slot && slot->removed)
        return 0;
    *ret_entry = entry_of_key(stage, key);
    return !*ret_entry && base_find(stage, key, &index) ? -ENOMEM : 0;
}

static int collect_one(struct stage *stage, const struct wfs_tensor *said, struct change_list *list)
{
    struct key key = {SPACE_TENSOR, said->name, said->name_length};
    auto_declaration present = DECLARATION_NONE;
    auto_declaration wanted = DECLARATION_NONE;
    int r = last_declaration(stage, key, &present);

    r = r < 0 ? r : wanted_declaration(said, &present, &wanted);
    if (r < 0)
        return r;
    if (declaration_same(&wanted, &present) || declaration_is_models(stage, key, &wanted))
        return 0;

    struct entry *entry = NULL;
    r = find_file(stage, key, &entry);
    if (r < 0)
        return r;
    struct slot *slot = slot_get(&stage->table, key);
    struct declared_change *change = slot ? change_list_add(list) : NULL;
    if (!change) {
        if (entry)
            entry_unref_locked(entry);
        else if (slot)
            slot_drop_if_empty(&stage->table, slot);
        return -ENOMEM;
    }
    *change = (struct declared_change){.entry = entry, .slot = slot, .declared = wanted};
    wanted = DECLARATION_NONE;
    return 0;
}

static int collect_changes(struct stage *stage, const struct wfs_header *header, struct change_list *list)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < wfs_header_count(header); i++) {
        struct wfs_tensor said = wfs_header_tensor(header, i);
        r = collect_one(stage, &said, list);
    }
    return r;
}

/* The state of a file with its new declaration; attributes that said otherwise are overruled. */
static int redeclared_state(const struct declared_change *change, struct entry_state *next)
{
    struct stage *stage = change->entry->stage;
    int r = state_copy(next, &change->entry->state);

    if (r == 0 && next->content.kind == CONTENT_SOURCE && !next->content.generation)
        next->content.generation = generation_ref(stage->generation);
    if (r == 0)
        r = declaration_copy(&next->declared, &change->declared);
    if (r == 0)
        declaration_clear(&next->by_xattr);
    return r;
}

static int journal_changes(struct stage *stage, const struct change_list *list, bool metadata_changes,
                           bool staged, const struct metadata_map *metadata)
{
    auto_edit edit;
    edit_begin(&edit, stage);

    for (size_t i = 0; i < list->count; i++) {
        const struct declared_change *change = &list->items[i];
        auto_state next = {.declared = DECLARATION_NONE, .by_xattr = DECLARATION_NONE};
        if (!change->entry) {
            edit_removed(&edit, slot_key(change->slot), &change->declared);
            continue;
        }
        int r = redeclared_state(change, &next);
        if (r < 0)
            return r;
        if (state_is_clean(stage, slot_key(change->slot), &next))
            edit_forget(&edit, slot_key(change->slot));
        else
            edit_live(&edit, slot_key(change->slot), &next);
    }
    if (metadata_changes)
        edit_metadata(&edit, staged, metadata);
    edit_forget(&edit, (struct key){SPACE_DOCUMENT, "", 0});
    return edit_commit(&edit);
}

static int apply_changes(struct stage *stage, struct change_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct declared_change *change = &list->items[i];
        auto_state next = {.declared = DECLARATION_NONE, .by_xattr = DECLARATION_NONE};
        if (!change->entry) {
            declaration_clear(&change->slot->last);
            change->slot->last = change->declared;
            change->declared = DECLARATION_NONE;
            continue;
        }
        int r = redeclared_state(change, &next);
        if (r < 0)
            return r;
        bool staged = !state_is_clean(stage, slot_key(change->slot), &next);
        state_take(&change->entry->state, &next);
        entry_set_staged(change->entry, staged);
        stage_touch(stage, change->entry);
    }
    return 0;
}

void document_drop(struct stage *stage)
{
    struct entry *document = stage->document;

    spool_file_doomed(stage, &document->state);
    content_clear(&document->state.content);
    entry_set_staged(document, false);
    free(stage->document_error);
    stage->document_error = NULL;
}

/* Whether the document's map differs from the pending one, and whether what it then is differs from the
 * model's. */
static int compare_metadata(const struct stage *stage, const struct metadata_map *wanted, bool *ret_changes,
                            bool *ret_staged)
{
    struct metadata_map pending;
    struct metadata_map model;
    int r = pending_metadata(stage, &pending);

    if (r < 0)
        return r;
    *ret_changes = !metadata_same(&pending, wanted);
    free(pending.pairs);
    r = metadata_of_header(generation_header(stage->generation), &model);
    if (r < 0)
        return r;
    *ret_staged = !metadata_same(&model, wanted);
    free(model.pairs);
    return 0;
}

/* With stage->lock held. */
static int apply(struct stage *stage, const struct wfs_header *header)
{
    struct change_list list = {0};
    struct metadata_map wanted = {0};
    auto_free struct metadata_pair *pairs = NULL;
    bool metadata_changes = false;
    bool staged = false;
    struct metadata_map copy = {0};
    int r = collect_changes(stage, header, &list);

    if (r == 0 && header_metadata_state(header) != HEADER_METADATA_ABSENT) {
        r = metadata_of_header(header, &wanted);
        pairs = wanted.pairs; // NOLINT(clang-analyzer-deadcode.DeadStores): auto_free
        r = r < 0 ? r : compare_metadata(stage, &wanted, &metadata_changes, &staged);
    }
    if (r == 0 && metadata_changes)
        r = metadata_copy(&copy, &wanted);
    if (r == 0)
        r = journal_changes(stage, &list, metadata_changes, staged, &copy);
    if (r == 0)
        r = apply_changes(stage, &list);
    if (r == 0 && metadata_changes) {
        metadata_clear(&stage->metadata);
        stage->metadata = copy;
        stage->metadata_staged = staged;
        copy = (struct metadata_map){0};
    }
    if (r == 0) {
        document_drop(stage);
        stage_touch(stage, stage->document);
    }
    metadata_clear(&copy);
    change_list_clear(stage, &list);
    return r;
}

/* --- settling --- */

static bool is_blank(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (!strchr(" \t\r\n", text[i]) || text[i] == '\0')
            return false;
    }
    return true;
}

static int read_written(struct stage *stage, char **ret_json, size_t *ret_length, struct wfs_error *err)
{
    struct image *image;
    {
        auto_lock(&stage->lock);
        image = entry_image(stage->document, PLACE_ROOT);
    }

    if (!image)
        return error_no_memory(err);
    uint64_t length = image_length(image);
    char *json = length <= HEADER_LENGTH_MAX ? malloc((size_t)length + 1) : NULL;
    ssize_t count = json ? image_read(image, json, (size_t)length, 0) : 0;
    image_unref(image);
    if (!json)
        return length > HEADER_LENGTH_MAX
                   ? error_rule(err, WFS_CODE_DOCUMENT_INVALID, "metadata.json is longer than %u bytes",
                                HEADER_LENGTH_MAX)
                   : error_no_memory(err);
    if (count != (ssize_t)length) {
        free(json);
        return error_errno(err, count < 0 ? (int)-count : EIO, "cannot read the staged metadata.json");
    }
    *ret_json = json;
    *ret_length = (size_t)length;
    return 0;
}

static void refuse_document(struct stage *stage, const struct wfs_error *err)
{
    auto_lock(&stage->lock);
    free(stage->document_error);
    stage->document_error = strdup(error_sentence(err));
    stage_touch(stage, stage->document);
}

int document_settle(struct stage *stage)
{
    struct wfs_error err = {0};
    struct wfs_header *header = NULL;
    char *json = NULL;
    size_t length = 0;
    auto_lock(&stage->document->content_lock);

    int r = document_trust(stage->document, &err);
    r = r < 0 ? r : read_written(stage, &json, &length, &err);
    if (r == 0 && is_blank(json, length)) {
        free(json);
        r = header_empty(&header);
    } else if (r == 0) {
        r = header_decode(json, length, 0, HEADER_DOCUMENT, &header, &err);
    }
    if (r < 0) {
        refuse_document(stage, &err);
        return 0;
    }
    {
        auto_lock(&stage->lock);
        r = apply(stage, header);
    }
    wfs_header_free(header);
    if (r < 0) { /* a commit must not pass over what it says */
        (void)error_errno(&err, -r, "it could not be noted; write it again");
        refuse_document(stage, &err);
        return r;
    }
    drafts_settle(stage); /* some may have waited for a dtype */
    return 0;
}
