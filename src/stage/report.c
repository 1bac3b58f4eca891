/* SPDX-License-Identifier: Apache-2.0
 *
 * What is staged, what runs, what ran last: status.json (docs/staging.md 10).
 */
#include "stage/report.h"

#include "format/shape.h"
#include "stage/plan.h"

#include <string.h>

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
    if (out->length && out->data[out->length - 1] != '[')
        bytes_char(out, ',');
}

static void json_before(struct bytes *out, const struct change *change)
{
    if (!change->has_before) {
        json_text(out, NULL);
        return;
    }
    bytes_char(out, '{');
    json_key(out, "dtype");
    json_text(out, wfs_dtype_name(change->before.dtype));
    json_key(out, "shape");
    shape_print(out, change->before.rank, change->before.shape);
    json_u64(out, "size", change->before.end - change->before.begin);
    bytes_char(out, '}');
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
    json_key(out, "old");
    json_before(out, change);
    bytes_char(out, '}');
}

static void json_value(struct bytes *out, const char *key, const struct metadata_pair *pair)
{
    json_key(out, key);
    if (pair)
        bytes_json(out, pair->value, pair->value_length);
    else
        json_text(out, NULL);
}

static void json_pair(void *context, const struct metadata_pair *from, const struct metadata_pair *to)
{
    struct bytes *out = context;
    const struct metadata_pair *pair = from ? from : to;

    json_separate(out);
    bytes_char(out, '{');
    json_key(out, "key");
    bytes_json(out, pair->key, pair->key_length);
    json_value(out, "from", from);
    json_value(out, "to", to);
    bytes_char(out, '}');
}

static void json_layout(const struct stage *stage, const struct plan *plan, struct bytes *out)
{
    struct layout_change change;

    json_key(out, "layout");
    if (!report_layout(stage, plan, &change)) {
        json_text(out, NULL);
        return;
    }
    bytes_char(out, '{');
    json_u64(out, "data_offset", change.to);
    json_u64(out, "old_data_offset", change.from);
    json_u64(out, "moved", change.moved);
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
    json_key(out, "metadata");
    bytes_char(out, '[');
    if (stage->commit_state != COMMIT_RUNNING && report_map(stage, json_pair, out) < 0)
        return -ENOMEM;
    bytes_char(out, ']');
    json_key(out, "scratch");
    bytes_char(out, '[');
    if (report_scratch(stage, json_scratch, out) < 0)
        return -ENOMEM;
    bytes_char(out, ']');
    if ((stage_has_changes(stage) || stage_has_declared(stage)) &&
        stage->commit_state != COMMIT_RUNNING) /* a running one is followed by polling */
        r = plan_build(stage, false, &plan, &problems);
    json_problems(out, &problems);
    json_layout(stage, &plan, out);
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
    bytes_json_path(out, report_source(stage, face));
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
