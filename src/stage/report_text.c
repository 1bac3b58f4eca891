/* SPDX-License-Identifier: Apache-2.0
 *
 * The status for people. Its lines begin with a word that tells what they are, by which cli/paint.c colours
 * them.
 */
#include "base/error.h"
#include "format/shape.h"
#include "stage/plan.h"
#include "stage/report.h"

#include <inttypes.h>
#include <string.h>

/* Padding of names and declarations, as long as most are short. */
#define COLUMN_MAX 48u
#define PAIRS_TOLD 100u /* keys of __metadata__; the rest is counted */

struct page {
    struct bytes *out;
    const struct stage_face *face;
    const char *source;
    size_t width; /* of the widest name */
    size_t pairs; /* of __metadata__ */
};

static void put_declaration(struct bytes *out, const struct wfs_tensor *tensor, bool has_dtype,
                            bool has_shape)
{
    if (!has_dtype && !has_shape) {
        bytes_string(out, "undeclared");
        return;
    }
    bytes_string(out, has_dtype ? wfs_dtype_name(tensor->dtype) : "?");
    bytes_char(out, ' ');
    if (has_shape)
        shape_print(out, tensor->rank, tensor->shape);
    else
        bytes_string(out, "[?]");
}

/* "a", or "b -> z" for what was renamed. */
static void put_name(struct bytes *out, const struct change *change)
{
    if (change->from)
        bytes_printf(out, "%s -> ", printable(change->from, change->from_length).text);
    bytes_string(out, printable(change->name, change->name_length).text);
}

static void pad(struct bytes *out, size_t begin, size_t width)
{
    for (size_t end = begin + width; out->length < end && !out->failed;)
        bytes_char(out, ' ');
}

static bool changes_declaration(const struct change *change)
{
    return change->has_before && change->has_dtype && change->has_shape &&
           !shape_equal(&change->before, &change->tensor);
}

static void say_change(struct page *page, const struct change *change)
{
    struct bytes *out = page->out;

    bytes_printf(out, "  %-9s ", change->kind);
    size_t begin = out->length;
    put_name(out, change);
    pad(out, begin, page->width);
    bytes_string(out, "  ");
    if (changes_declaration(change)) {
        put_declaration(out, &change->before, true, true);
        bytes_string(out, " -> ");
    }
    put_declaration(out, &change->tensor, change->has_dtype, change->has_shape);
    uint64_t before = change->has_before ? change->before.end - change->before.begin : change->size;
    if (before != change->size)
        bytes_printf(out, "  %" PRIu64 " -> %" PRIu64 " bytes\n", before, change->size);
    else
        bytes_printf(out, "  %" PRIu64 " byte%s\n", change->size, change->size == 1 ? "" : "s");
}

static size_t widest(const struct change *changes, size_t count)
{
    size_t width = 0;

    for (size_t i = 0; i < count; i++) {
        auto_bytes name = BYTES_EMPTY;
        put_name(&name, &changes[i]);
        if (name.length > width && name.length <= COLUMN_MAX)
            width = name.length;
    }
    return width;
}

static void say_pair(void *context, const struct metadata_pair *from, const struct metadata_pair *to)
{
    struct page *page = context;
    const struct metadata_pair *pair = from ? from : to;

    if (page->pairs++ >= PAIRS_TOLD)
        return;
    bytes_printf(page->out, "  metadata  %s: ", printable(pair->key, pair->key_length).text);
    if (from)
        bytes_printf(page->out, "\"%s\"", printable(from->value, from->value_length).text);
    bytes_string(page->out, from && to ? " -> " : from ? " removed" : "added ");
    if (to)
        bytes_printf(page->out, "\"%s\"", printable(to->value, to->value_length).text);
    bytes_char(page->out, '\n');
}

static int say_map(struct stage *stage, struct page *page)
{
    size_t begin = page->out->length;
    int r = report_map(stage, say_pair, page);

    if (page->pairs > PAIRS_TOLD)
        bytes_printf(page->out, "  metadata  and %zu more keys\n", page->pairs - PAIRS_TOLD);
    if (r == 0 && stage->metadata_staged && page->out->length == begin)
        bytes_printf(page->out, "  metadata  the empty map: %s\n",
                     stage->metadata.present ? "added" : "removed");
    return r;
}

/* The way on, as git tells it. */
static void say_what_next(struct stage *stage, struct page *page, size_t total)
{
    const char *model = page->face->mountpoint;
    struct printable shown = printable_string(model ? model : page->source);

    bytes_printf(page->out, "%zu staged change%s, kept in %s\n", total, total == 1 ? "" : "s",
                 printable_string(stage->spool ? stage->spool_path : "memory").text);
    bytes_printf(page->out, "  (weightfs commit %s: writes them; weightfs discard %s NAME: drops one)\n",
                 shown.text, shown.text);
}

static int say_changes(struct stage *stage, struct page *page)
{
    auto_free struct change *changes = NULL;
    size_t count;
    int r = report_changes(stage, &changes, &count);

    if (r < 0)
        return r;
    size_t total = count + (stage->metadata_staged ? 1 : 0);
    if (total == 0) {
        bytes_string(page->out, "nothing staged\n");
        return 0;
    }
    say_what_next(stage, page, total);
    page->width = widest(changes, count);
    for (size_t i = 0; i < count; i++)
        say_change(page, &changes[i]);
    return say_map(stage, page);
}

static void say_scratch(void *context, const char *directory, const char *file_name)
{
    struct page *page = context;
    bytes_printf(page->out, "  scratch   %s%s\n", directory, printable_string(file_name).text);
}

static void say_problems(struct page *page, const struct problem_list *problems)
{
    for (size_t i = 0; i < problems->count; i++) {
        const struct problem *problem = &problems->items[i];
        auto_bytes remedy = BYTES_EMPTY;
        bytes_printf(page->out, "%s: %s\n", problem->is_warning ? "warning" : "problem",
                     problem->message ? problem->message : wfs_code_name(problem->code));
        remedy_print(&remedy, problem, page->face->mountpoint, page->source);
        if (remedy.length > 0 && !remedy.failed) {
            bytes_string(page->out, "    ");
            bytes_append(page->out, remedy.data, remedy.length);
            bytes_char(page->out, '\n');
        }
    }
}

static int say_pending_problems(struct stage *stage, struct page *page)
{
    auto_plan plan = PLAN_EMPTY;
    struct problem_list problems = {0};
    int r = stage_has_changes(stage) || stage_has_declared(stage) ? plan_build(stage, false, &plan, &problems)
                                                                  : 0;

    say_problems(page, &problems);
    problem_list_clear(&problems);
    return r == -ENOMEM ? r : 0;
}

static void say_commit(const struct stage *stage, struct page *page)
{
    static const char *const phases[] = {"planning", "copying", "validating", "syncing", "publishing"};

    switch (stage->commit_state) {
    case COMMIT_RUNNING:
        bytes_printf(page->out, "commit running: %s, %" PRIu64 " of %" PRIu64 " bytes\n",
                     phases[stage->commit_phase], stage->commit_done, stage->commit_total);
        break;
    case COMMIT_FAILED:
    case COMMIT_CANCELLED:
        bytes_printf(page->out, "last commit %s: %s\n",
                     stage->commit_state == COMMIT_FAILED ? "failed" : "was cancelled",
                     stage->commit_error ? stage->commit_error : "");
        break;
    case COMMIT_DONE:
        bytes_printf(page->out, "last commit: done%s%s\n", stage->commit_error ? ", but " : "",
                     stage->commit_error ? stage->commit_error : "");
        break;
    case COMMIT_IDLE:
    default:
        break;
    }
}

/* What check or discard found, when it was the last thing that ran; a commit's failure is told above. */
static void say_last(const struct stage *stage, struct page *page)
{
    bool is_told_above = stage->last.verb && strcmp(stage->last.verb, "discard") != 0;

    if (!stage->last.verb || stage->last.ok || is_told_above)
        return;
    bytes_printf(page->out, "last %s found:\n", stage->last.verb);
    say_problems(page, &stage->last.problems);
}

int stage_report_text(struct stage *stage, const struct stage_face *face, struct bytes *out)
{
    struct page page = {.out = out, .face = face};
    auto_lock(&stage->lock);

    page.source = report_source(stage, face);
    bytes_printf(out, "model: %s\n", printable_string(page.source).text);
    if (face->mountpoint)
        bytes_printf(out, "mounted at: %s (pid %d)\n", printable_string(face->mountpoint).text, face->pid);
    bytes_printf(out, "generation: %" PRIu64 ", %zu tensors\n", stage->generation_number,
                 generation_count(stage->generation));
    if (stage->read_only_why.errnum)
        bytes_printf(out, "read-only: %s\n", stage->read_only_why.text);
    for (size_t i = 0; face->notes && face->notes[i]; i++)
        bytes_printf(out, "%s\n", face->notes[i]);
    if (stage->resumed)
        bytes_printf(out, "%s\n", stage->resumed);

    if (stage->is_volatile)
        bytes_string(out, "staging lies on tmpfs: nothing that is staged survives a reboot\n");

    int r = say_changes(stage, &page);
    r = r < 0 ? r : report_scratch(stage, say_scratch, &page);
    r = r < 0 ? r : say_pending_problems(stage, &page);
    if (r < 0)
        return r;
    say_commit(stage, &page);
    say_last(stage, &page);
    if (stage->last_note)
        bytes_printf(out, "last refusal: %s\n", stage->last_note);
    return out->failed ? -ENOMEM : 0;
}
