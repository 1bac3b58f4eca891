/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/rebase.h"

#include "base/error.h"
#include "stage/witness.h"

#include <inttypes.h>
#include <string.h>

#define NAMES_TOLD 6u
#define BLOCK_SIZE (64u << 10)

/* What became of a tensor between the two versions. */
enum fate {
    FATE_ABSENT, /* neither has it */
    FATE_SAME,
    FATE_CHANGED,
    FATE_GONE,
    FATE_APPEARED,
    FATE_UNKNOWN, /* the digest of its bytes was not made in time */
};

struct rebase {
    struct stage *stage; /* upon the new version */
    const struct replay *replay;
    struct bytes names; /* of those that both changed */
    size_t conflicts;
    int error;
};

static void add_conflict(struct rebase *rebase, struct key key, const char *why)
{
    if (rebase->conflicts < NAMES_TOLD)
        bytes_printf(&rebase->names, "%s'%s' (%s)", rebase->conflicts ? ", " : "",
                     printable(key.name, key.length).text, why);
    rebase->conflicts++;
}

/* --- what the new version did --- */

static int digest_now(struct rebase *rebase, size_t index, uint64_t *ret_digest)
{
    struct stage *stage = rebase->stage;
    int r = witness_digest(stage->generation, index, NULL, ret_digest);

    return r < 0 ? r : witness_known(stage, index, true, *ret_digest);
}

static bool same_declaration(const struct rebase *rebase, size_t index, const struct declaration *declared)
{
    auto_declaration now = DECLARATION_NONE;
    struct wfs_tensor tensor = generation_tensor(rebase->stage->generation, index);

    return declaration_of_tensor(&now, &tensor, DECLARED_BY_MODEL) == 0 && declaration_same(&now, declared);
}

static bool same_bytes(struct rebase *rebase, size_t index, uint64_t digest)
{
    uint64_t now;
    int r = digest_now(rebase, index, &now);

    if (r < 0)
        rebase->error = r;
    return r == 0 && now == digest;
}

static enum fate fate_of(struct rebase *rebase, struct key key)
{
    size_t index;
    bool is_there = base_find(rebase->stage, key, &index);
    const struct replay_witness *witness =
        key.space == SPACE_TENSOR ? replay_find_witness(rebase->replay, key.name, key.length) : NULL;

    if (!witness)
        return is_there ? FATE_APPEARED : FATE_ABSENT;
    if (!is_there)
        return FATE_GONE;
    if (!same_declaration(rebase, index, &witness->declared))
        return FATE_CHANGED;
    if (!witness->has_digest)
        return FATE_UNKNOWN;
    return same_bytes(rebase, index, witness->digest) ? FATE_SAME : FATE_CHANGED;
}

static const char *fate_text(enum fate fate)
{
    switch (fate) {
    case FATE_GONE:
        return "removed there";
    case FATE_APPEARED:
        return "added there, too";
    case FATE_UNKNOWN:
        return "whether it changed is not known";
    case FATE_ABSENT:
    case FATE_SAME:
    case FATE_CHANGED:
    default:
        return "changed there, too";
    }
}

/* --- did both do the same? --- */

static bool images_equal(const struct image *a, const struct image *b)
{
    uint64_t length = image_length(a);
    auto_free char *blocks = malloc((size_t)BLOCK_SIZE * 2);
    bool equal = blocks && image_length(b) == length;

    for (uint64_t at = 0; equal && at < length; at += BLOCK_SIZE) {
        ssize_t count = image_read(a, blocks, BLOCK_SIZE, at);
        equal = count > 0 && image_read(b, blocks + BLOCK_SIZE, BLOCK_SIZE, at) == count &&
                memcmp(blocks, blocks + BLOCK_SIZE, (size_t)count) == 0;
    }
    return equal;
}

/* The bytes are those that a tensor of the old version had: known by their digest only. */
static bool source_equals(struct rebase *rebase, const struct entry *entry, size_t index)
{
    const struct entry_state *state = &entry->state;
    const struct replay_witness *witness = NULL;

    if (state->content.index != INDEX_LOST) {
        struct wfs_tensor tensor = generation_tensor(rebase->stage->generation, state->content.index);
        witness = replay_find_witness(rebase->replay, tensor.name, tensor.name_length);
    } else if (state->origin) {
        witness = replay_find_witness(rebase->replay, state->origin, state->origin_length);
    }
    uint64_t bytes;
    return witness && witness->has_digest && declaration_bytes(&witness->declared, &bytes) &&
           bytes == state->content.size && same_bytes(rebase, index, witness->digest);
}

static bool spool_equals(struct rebase *rebase, const struct entry *entry, size_t index)
{
    struct image *mine = content_image(entry, 0, entry->state.content.size);
    struct image *theirs = generation_tensor_image(rebase->stage->generation, index);
    bool equal = mine && theirs && images_equal(mine, theirs);

    image_unref(mine);
    image_unref(theirs);
    return equal;
}

static bool equals_model(struct rebase *rebase, const struct entry *entry, struct key key)
{
    const struct entry_state *state = &entry->state;
    size_t index;

    if (state->draft || !base_find(rebase->stage, key, &index) ||
        !same_declaration(rebase, index, &state->declared))
        return false;
    struct wfs_tensor tensor = generation_tensor(rebase->stage->generation, index);
    if (state->content.size != tensor.end - tensor.begin)
        return false;
    if (state->content.kind == CONTENT_SOURCE)
        return source_equals(rebase, entry, index);
    return state->content.kind == CONTENT_EMPTY || spool_equals(rebase, entry, index);
}

/* --- one name --- */

static bool is_removed(const struct rebase *rebase, struct key key)
{
    const struct slot *slot = slot_find(&rebase->stage->table, key);
    return slot && !slot->entry;
}

/* Where its bytes are the model's, they must still be there. */
static void check_source(struct rebase *rebase, struct slot *slot)
{
    const struct content *content = &slot->entry->state.content;

    if (content->kind != CONTENT_SOURCE)
        return;
    if (content->index == INDEX_LOST) {
        add_conflict(rebase, slot_key(slot), "the tensor that has its bytes is not there any more");
        return;
    }
    struct wfs_tensor tensor = generation_tensor(rebase->stage->generation, content->index);
    struct key source = {SPACE_TENSOR, tensor.name, tensor.name_length};
    if (slot->space == SPACE_TENSOR && slot->length == source.length &&
        memcmp(slot->name, source.name, source.length) == 0)
        return; /* looked at already */
    enum fate fate = fate_of(rebase, source);
    if (fate != FATE_SAME && !is_removed(rebase, source)) /* removed: told of that name */
        add_conflict(rebase, source, fate_text(fate));
}

static void drop(struct slot *slot)
{
    struct entry *entry = slot->entry;

    entry_unlink(entry);
    entry_set_staged(entry, false);
}

static void check_live(struct rebase *rebase, struct slot *slot)
{
    enum fate fate = fate_of(rebase, slot_key(slot));

    if (fate == FATE_ABSENT || fate == FATE_SAME)
        check_source(rebase, slot);
    else if (equals_model(rebase, slot->entry, slot_key(slot)))
        drop(slot);
    else
        add_conflict(rebase, slot_key(slot), fate_text(fate));
}

static void check_gone(struct rebase *rebase, struct slot *slot)
{
    enum fate fate = fate_of(rebase, slot_key(slot));

    if (fate == FATE_APPEARED || fate == FATE_GONE) {
        slot->removed = false; /* was never theirs to remove, or is removed already */
        declaration_clear(&slot->last);
    } else if (fate == FATE_CHANGED || fate == FATE_UNKNOWN) {
        add_conflict(rebase, slot_key(slot),
                     fate == FATE_CHANGED ? "removed here, changed there" : fate_text(fate));
    }
}

static void check_names(struct rebase *rebase)
{
    struct table *table = &rebase->stage->table;

    for (size_t bucket = 0; bucket < table->bucket_count; bucket++) {
        struct slot *next;
        for (struct slot *slot = table->buckets[bucket]; slot; slot = next) {
            next = slot->next;
            if (slot->entry)
                check_live(rebase, slot);
            else
                check_gone(rebase, slot);
            slot_drop_if_empty(table, slot);
        }
    }
}

static int check_map(struct rebase *rebase)
{
    struct stage *stage = rebase->stage;
    struct metadata_map now;

    if (!stage->metadata_staged)
        return 0;
    int r = metadata_of_header(generation_header(stage->generation), &now);
    if (r < 0)
        return r;
    bool is_same = rebase->replay->has_map && metadata_same(&rebase->replay->map, &now);
    if (!is_same && metadata_same(&stage->metadata, &now)) {
        metadata_clear(&stage->metadata);
        stage->metadata_staged = false;
    } else if (!is_same) {
        add_conflict(rebase, (struct key){SPACE_TENSOR, "__metadata__", strlen("__metadata__")},
                     fate_text(FATE_CHANGED));
    }
    free(now.pairs);
    return 0;
}

/* --- all --- */

static int open_files(struct stage *stage, bool other_boot, bool accept, struct wfs_error *err)
{
    size_t bucket = 0;
    struct entry *document = stage->document->staged ? stage->document : NULL;
    int r = document ? recover_open_file(stage, document, err) : 0;

    if (document)
        document->state.unsynced_lost = recover_is_lost(document, other_boot, accept);
    for (struct slot *slot = slot_next(&stage->table, &bucket, NULL); slot && r == 0;
         slot = slot_next(&stage->table, &bucket, slot)) {
        if (!slot->entry)
            continue;
        r = recover_open_file(stage, slot->entry, err);
        slot->entry->state.unsynced_lost = recover_is_lost(slot->entry, other_boot, accept);
    }
    return r;
}

/* The edits depend on the new version's tensors from now on. */
static int note_again(struct stage *stage)
{
    size_t bucket = 0;
    auto_edit edit;

    edit_begin(&edit, stage);
    for (const struct slot *slot = slot_next(&stage->table, &bucket, NULL); slot;
         slot = slot_next(&stage->table, &bucket, slot)) {
        witness_name(&edit, slot_key(slot));
        if (slot->entry)
            witness_state(&edit, &slot->entry->state);
    }
    if (stage->metadata_staged)
        witness_map(&edit);
    return edit.payload.failed ? -ENOMEM : 0;
}

static int refuse(const struct rebase *rebase, struct wfs_error *err)
{
    struct stage *stage = rebase->stage;
    auto_bytes more = BYTES_EMPTY;

    if (rebase->conflicts > NAMES_TOLD)
        bytes_printf(&more, " and %zu more", rebase->conflicts - NAMES_TOLD);
    return error_rule(
        err, WFS_CODE_SOURCE_CHANGED,
        "%s: the staged edits cannot be taken over to this version of the model, which changed the same: "
        "%.*s%.*s; nothing was touched; put the old version back, or drop them with "
        "--discard-staging",
        printable_string(stage->name).text, (int)rebase->names.length,
        rebase->names.data ? rebase->names.data : "", (int)more.length, more.data ? more.data : "");
}

int rebase(struct stage *stage, struct replay *replay, bool other_boot, bool accept, struct wfs_error *err)
{
    struct rebase rebase = {.stage = stage, .replay = replay, .names = BYTES_EMPTY};

    if (!replay->has_notes)
        return error_rule(
            err, WFS_CODE_SOURCE_CHANGED,
            "%s: the staged edits were made by a version of weightfs that did not note what they "
            "depend on, and cannot be taken over to another version of the model",
            printable_string(stage->name).text);
    replay_sort_witnesses(replay);
    int r = recover_sweep(stage, err);
    r = r < 0 ? r : open_files(stage, other_boot, accept, err);
    if (r < 0)
        return r;
    check_names(&rebase);
    r = check_map(&rebase);
    r = rebase.error ? rebase.error : r;
    if (r < 0)
        r = error_errno(err, -r, "cannot compare the staged edits with the new version of the model");
    else if (rebase.conflicts)
        r = refuse(&rebase, err);
    bytes_clear(&rebase.names);
    if (r < 0)
        return r;
    r = note_again(stage);
    r = r < 0 ? r : stage_rewrite_journal(stage);
    return r < 0 ? error_errno(err, -r, "cannot write the journal of staged edits") : 0;
}
