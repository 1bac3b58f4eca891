/* SPDX-License-Identifier: Apache-2.0
 *
 * The status for people.
 */
#include "base/error.h"
#include "format/shape.h"
#include "stage/plan.h"
#include "stage/report.h"

#include <inttypes.h>
#include <string.h>

#define RED    "\033[31m"
#define GREEN  "\033[32m"
#define YELLOW "\033[33m"
#define PLAIN  "\033[0m"

struct page {
    struct bytes *out;
    bool color;
};

static void paint(struct page *page, const char *color)
{
    if (page->color)
        bytes_string(page->out, color);
}

static void say_change(struct page *page, const struct change *change)
{
    paint(page, strcmp(change->kind, "removed") == 0 ? RED : GREEN);
    bytes_printf(page->out, "  %-9s %s", change->kind, printable(change->name, change->name_length).text);
    paint(page, PLAIN);
    if (change->from)
        bytes_printf(page->out, " (from %s)", printable(change->from, change->from_length).text);
    if (change->has_dtype && change->has_shape) {
        bytes_printf(page->out, "  %s ", wfs_dtype_name(change->tensor.dtype));
        shape_print(page->out, change->tensor.rank, change->tensor.shape);
    }
    bytes_printf(page->out, "  %" PRIu64 " bytes\n", change->size);
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
    bytes_printf(page->out, "%zu staged change%s, kept in %s\n", total, total == 1 ? "" : "s",
                 printable_string(stage->spool ? stage->spool_path : "memory").text);
    for (size_t i = 0; i < count; i++)
        say_change(page, &changes[i]);
    if (stage->metadata_staged) {
        paint(page, GREEN);
        bytes_string(page->out, "  metadata  __metadata__");
        paint(page, PLAIN);
        bytes_printf(page->out, "  %s, %zu key%s\n", stage->metadata.present ? "replaced" : "removed",
                     stage->metadata.count, stage->metadata.count == 1 ? "" : "s");
    }
    return 0;
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
        paint(page, problem->is_warning ? YELLOW : RED);
        bytes_printf(page->out, "%s: %s", problem->is_warning ? "warning" : "problem",
                     problem->message ? problem->message : wfs_code_name(problem->code));
        paint(page, PLAIN);
        bytes_char(page->out, '\n');
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
        paint(page, RED);
        bytes_printf(page->out, "last commit %s: %s",
                     stage->commit_state == COMMIT_FAILED ? "failed" : "was cancelled",
                     stage->commit_error ? stage->commit_error : "");
        paint(page, PLAIN);
        bytes_char(page->out, '\n');
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

int stage_report_text(struct stage *stage, const struct stage_face *face, bool color, struct bytes *out)
{
    struct page page = {out, color};
    auto_lock(&stage->lock);

    bytes_printf(out, "model: %s\n", printable_string(face->source ? face->source : stage->path).text);
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
    r = r < 0 ? r : say_pending_problems(stage, &page);
    if (r < 0)
        return r;
    report_scratch(stage, say_scratch, &page);
    say_commit(stage, &page);
    say_last(stage, &page);
    if (stage->last_note)
        bytes_printf(out, "last refusal: %s\n", stage->last_note);
    return out->failed ? -ENOMEM : 0;
}
