/* SPDX-License-Identifier: Apache-2.0
 *
 * What is staged, what runs, what ran last: status.json (docs/staging.md 10).
 */
#include "stage/report.h"

#include "format/name.h"
#include "format/shape.h"
#include "stage/plan.h"

#include <string.h>

/* --- changes --- */

static struct key origin_key(const struct entry *entry)
{
    return (struct key){SPACE_TENSOR, entry->state.origin, entry->state.origin_length};
}

/* Whether a staged entry is a tensor of the model under another name. */
static bool is_renamed(const struct stage *stage, const struct slot *slot)
{
    size_t index;
    const struct entry *entry = slot->entry;

    if (slot->space != SPACE_TENSOR || !entry || !entry->staged || !entry->state.origin ||
        base_find(stage, slot_key(slot), &index))
        return false;
    const struct slot *origin = slot_find(&stage->table, origin_key(entry));
    return origin && origin->removed;
}

static void mark_renamed(struct stage *stage)
{
    size_t bucket = 0;
    struct slot *slot;

    for (slot = slot_next(&stage->table, &bucket, NULL); slot; slot = slot_next(&stage->table, &bucket, slot))
        slot->renamed_away = false;
    bucket = 0;
    for (slot = slot_next(&stage->table, &bucket, NULL); slot;
         slot = slot_next(&stage->table, &bucket, slot)) {
        if (is_renamed(stage, slot))
            slot_find(&stage->table, origin_key(slot->entry))->renamed_away = true;
    }
}

static const char *kind_of(const struct stage *stage, const struct slot *slot)
{
    size_t index;
    const struct entry *entry = slot->entry;

    if (!entry)
        return "removed";
    if (is_renamed(stage, slot))
        return "renamed";
    if (!base_find(stage, slot_key(slot), &index))
        return "added";
    const struct content *content = &entry->state.content;
    struct wfs_tensor model = generation_tensor(stage->generation, index);
    if (content->kind == CONTENT_SOURCE && content->index == index &&
        content->size == model.end - model.begin)
        return "declared";
    return entry->state.patched ? "patched" : "replaced";
}

static void fill_change(const struct stage *stage, const struct slot *slot, struct change *change)
{
    size_t index;

    *change = (struct change){.name = slot->name, .name_length = slot->length, .kind = kind_of(stage, slot)};
    if (slot->entry) {
        const struct declaration *declared = &slot->entry->state.declared;
        change->has_dtype = declared->dtype != WFS_DTYPE_COUNT;
        change->has_shape = declared->has_shape;
        change->tensor = declaration_tensor(declared, slot->name, slot->length);
        change->size = entry_size(slot->entry, PLACE_TENSORS);
        if (is_renamed(stage, slot)) {
            change->from = slot->entry->state.origin;
            change->from_length = slot->entry->state.origin_length;
        }
    } else if (base_find(stage, slot_key(slot), &index)) {
        change->tensor = generation_tensor(stage->generation, index);
        change->has_dtype = change->has_shape = true;
        change->size = change->tensor.end - change->tensor.begin;
    }
}

static int compare_changes(const void *left, const void *right)
{
    const struct change *a = left;
    const struct change *b = right;
    return name_compare_natural(a->name, a->name_length, b->name, b->name_length);
}

int report_changes(struct stage *stage, struct change **ret_changes, size_t *ret_count)
{
    size_t bucket = 0;
    size_t count = 0;
    struct change *changes = calloc(stage->table.count + 1, sizeof(*changes));
    if (!changes)
        return -ENOMEM;

    mark_renamed(stage);
    for (struct slot *slot = slot_next(&stage->table, &bucket, NULL); slot;
         slot = slot_next(&stage->table, &bucket, slot)) {
        bool is_tensor = slot->space == SPACE_TENSOR || slot->space == SPACE_HASHED;
        if (is_tensor && ((slot->entry && slot->entry->staged) || (slot->removed && !slot->renamed_away)))
            fill_change(stage, slot, &changes[count++]);
    }
    qsort(changes, count, sizeof(*changes), compare_changes);
    *ret_changes = changes;
    *ret_count = count;
    return 0;
}

static const char *scratch_directory(enum space space)
{
    switch (space) {
    case SPACE_RAW:
        return "tensors/";
    case SPACE_NPY:
        return "npy/";
    case SPACE_ROOT:
        return "";
    case SPACE_TENSOR:
    case SPACE_HASHED:
    case SPACE_DOCUMENT:
    default:
        return NULL;
    }
}

void report_scratch(const struct stage *stage,
                    void (*tell)(void *context, const char *directory, const char *file_name), void *context)
{
    size_t bucket = 0;

    for (const struct slot *slot = slot_next(&stage->table, &bucket, NULL); slot;
         slot = slot_next(&stage->table, &bucket, slot)) {
        const char *directory = scratch_directory(slot->space);
        if (directory && slot->entry)
            tell(context, directory, slot->name);
    }
}

/* --- JSON --- */

static void json_key(struct bytes *out, const char *key)
{
    if (out->length && out->data[out->length - 1] != '{' && out->data[out->length - 1] != '[')
        bytes_char(out, ',');
    bytes_json(out, key, strlen(key));
    bytes_char(out, ':');
}

static void json_text(struct bytes *out, const char *text)
{
    if (text)
        bytes_json(out, text, strlen(text));
    else
        bytes_string(out, "null");
}

static void json_bool(struct bytes *out, const char *key, bool value)
{
    json_key(out, key);
    bytes_string(out, value ? "true" : "false");
}

static void json_u64(struct bytes *out, const char *key, uint64_t value)
{
    json_key(out, key);
    bytes_u64(out, value);
}

static void json_separate(struct bytes *out)
{
    if (out->data[out->length - 1] != '[')
        bytes_char(out, ',');
}

static void json_change(struct bytes *out, const struct change *change)
{
    json_separate(out);
    bytes_char(out, '{');
    json_key(out, "tensor");
    bytes_json(out, change->name, change->name_length);
    json_key(out, "kind");
    json_text(out, change->kind);
    json_key(out, "from");
    if (change->from)
        bytes_json(out, change->from, change->from_length);
    else
        json_text(out, NULL);
    json_key(out, "dtype");
    json_text(out, change->has_dtype ? wfs_dtype_name(change->tensor.dtype) : NULL);
    json_key(out, "shape");
    if (change->has_shape)
        shape_print(out, change->tensor.rank, change->tensor.shape);
    else
        json_text(out, NULL);
    json_u64(out, "size", change->size);
    bytes_char(out, '}');
}

static void json_problem(struct bytes *out, const struct problem *problem)
{
    json_separate(out);
    bytes_char(out, '{');
    json_key(out, "severity");
    json_text(out, problem->is_warning ? "warning" : "error");
    json_key(out, "code");
    json_text(out, wfs_code_name(problem->code));
    json_key(out, "tensor");
    if (problem->tensor)
        bytes_json(out, problem->tensor, problem->tensor_length);
    else
        json_text(out, NULL);
    json_key(out, "offset");
    if (problem->offset >= 0)
        bytes_u64(out, (uint64_t)problem->offset);
    else
        json_text(out, NULL);
    json_key(out, "expected");
    json_text(out, problem->expected);
    json_key(out, "found");
    json_text(out, problem->found);
    json_key(out, "message");
    json_text(out, problem->message);
    bytes_char(out, '}');
}

static void json_problems(struct bytes *out, const struct problem_list *problems)
{
    json_key(out, "problems");
    bytes_char(out, '[');
    for (size_t i = 0; i < problems->count; i++)
        json_problem(out, &problems->items[i]);
    bytes_char(out, ']');
}

static void json_scratch(void *context, const char *directory, const char *file_name)
{
    struct bytes *out = context;
    auto_bytes path = BYTES_EMPTY;

    bytes_string(&path, directory);
    bytes_string(&path, file_name);
    json_separate(out);
    bytes_json_path(out, path.data ? path.data : "");
}

static int json_staging(struct stage *stage, struct bytes *out)
{
    auto_free struct change *changes = NULL;
    auto_plan plan = PLAN_EMPTY;
    struct problem_list problems = {0};
    size_t count;
    int r = report_changes(stage, &changes, &count);

    if (r < 0)
        return r;
    json_key(out, "staging");
    bytes_char(out, '{');
    json_key(out, "directory");
    bytes_json_path(out, stage->spool ? stage->spool_path : NULL);
    json_key(out, "changes");
    bytes_char(out, '[');
    for (size_t i = 0; i < count; i++)
        json_change(out, &changes[i]);
    bytes_char(out, ']');
    json_bool(out, "metadata_changed", stage->metadata_staged);
    json_key(out, "scratch");
    bytes_char(out, '[');
    report_scratch(stage, json_scratch, out);
    bytes_char(out, ']');
    if ((stage_has_changes(stage) || stage_has_declared(stage)) &&
        stage->commit_state != COMMIT_RUNNING) /* a running one is followed by polling */
        r = plan_build(stage, false, &plan, &problems);
    json_problems(out, &problems);
    problem_list_clear(&problems);
    bytes_char(out, '}');
    return r == -ENOMEM ? r : 0;
}

static const char *const state_names[] = {"idle", "running", "failed", "cancelled", "done"};
static const char *const phase_names[] = {"planning", "copying", "validating", "syncing", "publishing"};

static void json_commit(const struct stage *stage, struct bytes *out)
{
    json_key(out, "commit");
    bytes_char(out, '{');
    json_key(out, "state");
    json_text(out, state_names[stage->commit_state]);
    json_key(out, "phase");
    json_text(out, stage->commit_state == COMMIT_RUNNING ? phase_names[stage->commit_phase] : NULL);
    json_u64(out, "bytes_done", stage->commit_done);
    json_u64(out, "bytes_total", stage->commit_total);
    json_key(out, "error");
    json_text(out, stage->commit_error);
    bytes_char(out, '}');
}

static void json_last(const struct stage *stage, struct bytes *out)
{
    const struct outcome *last = &stage->last;

    json_key(out, "last");
    if (!last->verb) {
        json_text(out, NULL);
        return;
    }
    bytes_char(out, '{');
    json_key(out, "verb");
    json_text(out, last->verb);
    json_bool(out, "ok", last->ok);
    json_problems(out, &last->problems);
    json_u64(out, "generation", last->generation);
    json_u64(out, "size", last->size);
    json_u64(out, "cloned", last->cost.cloned);
    json_u64(out, "copied", last->cost.copied);
    json_u64(out, "written", last->written);
    json_u64(out, "clonable", last->clonable);
    json_key(out, "seconds");
    bytes_printf(out, "%.3f", last->seconds);
    bytes_char(out, '}');
}

int stage_report_json(struct stage *stage, const struct stage_face *face, struct bytes *out)
{
    auto_lock(&stage->lock);

    bytes_char(out, '{');
    json_key(out, "mountpoint");
    bytes_json_path(out, face->mountpoint);
    json_key(out, "source");
    bytes_json_path(out, face->source);
    json_key(out, "pid");
    if (face->pid)
        bytes_u64(out, (uint64_t)face->pid);
    else
        json_text(out, NULL);
    json_u64(out, "generation", stage->generation_number);
    json_bool(out, "read_only", stage->read_only_why.errnum != 0);
    int r = json_staging(stage, out);
    if (r < 0)
        return r;
    json_commit(stage, out);
    json_last(stage, out);
    json_key(out, "note");
    json_text(out, stage->last_note);
    bytes_string(out, "}\n");
    return out->failed ? -ENOMEM : 0;
}

int stage_report_last_json(struct stage *stage, struct bytes *out)
{
    auto_lock(&stage->lock);
    const struct outcome *last = &stage->last;

    bytes_char(out, '{');
    json_bool(out, "ok", last->ok);
    json_problems(out, &last->problems);
    json_key(out, "cost");
    bytes_char(out, '{');
    json_u64(out, "cloned", last->cost.cloned);
    json_u64(out, "copied", last->cost.copied);
    json_u64(out, "written", last->written);
    json_u64(out, "clonable", last->clonable);
    bytes_char(out, '}');
    if (last->verb && strcmp(last->verb, "commit") == 0) {
        json_u64(out, "generation", last->generation);
        json_u64(out, "size", last->size);
        json_key(out, "seconds");
        bytes_printf(out, "%.3f", last->seconds);
    }
    bytes_string(out, "}\n");
    return out->failed ? -ENOMEM : 0;
}
