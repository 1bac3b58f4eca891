/* SPDX-License-Identifier: Apache-2.0
 *
 * Staging at rest: frozen for a commit or a discard, checked, previewed.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/io.h"
#include "stage/plan.h"
#include "stage/witness.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define WAIT_MS 1000
#define STEP_MS 5

/* --- freezing --- */

/* Somebody who writes a tensor or the document, with stage->lock held. */
static const struct stage_handle *model_writer(const struct stage *stage)
{
    const struct stage_handle *writer = stage->writers;

    while (writer && !entry_is_part_of_model(writer->entry))
        writer = writer->next;
    return fault(FAULT_WRITERS) ? NULL : writer;
}

static bool has_writers(struct stage *stage)
{
    auto_lock(&stage->lock);
    return model_writer(stage) != NULL;
}

static void command_of(pid_t pid, char *buffer, size_t size)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%ld/comm", (long)pid);
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t count = fd < 0 ? 0 : io_read_some(fd, buffer, size - 1, 0);
    buffer[count > 0 ? count : 0] = '\0';
    buffer[strcspn(buffer, "\n")] = '\0';
}

static int refuse_writer(struct stage *stage, struct wfs_error *err)
{
    char command[64];
    auto_lock(&stage->lock);
    const struct stage_handle *writer = model_writer(stage);

    if (!writer)
        return error_rule(err, WFS_CODE_BUSY, "a staged file is open for writing");
    command_of(writer->pid, command, sizeof(command));
    const struct slot *slot = writer->entry->slot;
    const char *who = command[0] ? command : "ended";
    if (!slot)
        return error_rule(err, WFS_CODE_BUSY, "metadata.json: is open for writing by pid %ld (%s)",
                          (long)writer->pid, printable_string(who).text);
    return error_rule(err, WFS_CODE_BUSY, "tensor '%s': is open for writing by pid %ld (%s)",
                      printable(slot->name, slot->length).text, (long)writer->pid,
                      printable_string(who).text);
}

int stage_freeze(struct stage *stage, struct wfs_error *err)
{
    const struct timespec step = {0, STEP_MS * 1000000L};

    atomic_store(&stage->frozen, true);
    for (int waited = 0; has_writers(stage) && waited < WAIT_MS; waited += STEP_MS)
        nanosleep(&step, NULL);
    if (!has_writers(stage)) {
        /* changes that passed the gate before it closed are finished now; one may have been an open */
        pthread_rwlock_wrlock(&stage->gate);
        pthread_rwlock_unlock(&stage->gate);
    }
    witness_stop(stage, 0); /* it holds the old file, and reads it */
    return has_writers(stage) ? refuse_writer(stage, err) : 0;
}

void stage_thaw(struct stage *stage)
{
    atomic_store(&stage->frozen, false);
}

/* --- checking --- */

static void keep_checked(struct stage *stage, struct outcome *outcome, const struct timespec *begun)
{
    const struct timespec now = clock_now();

    outcome->generation = stage->generation_number;
    outcome->seconds = clock_seconds(begun, &now);
    problem_list_clear(&stage->last.problems);
    stage->last = *outcome;
}

int stage_check(struct stage *stage, struct wfs_error *err)
{
    auto_plan plan = PLAN_EMPTY;
    struct outcome outcome = {.verb = "check"};
    const struct timespec begun = clock_now();
    bool can_clone = stage_can_clone(stage);

    auto_lock(&stage->lock);
    int r = 0;
    if (stage_has_changes(stage) || !stage->create)
        r = plan_build(stage, false, &plan, &outcome.problems);
    if (r == -ENOMEM) {
        problem_list_clear(&outcome.problems);
        return error_no_memory(err);
    }
    if (r == 0 && plan.image && stage_has_changes(stage)) {
        outcome.cost = plan_cost(&plan, can_clone);
        outcome.clonable = plan_cost(&plan, true).cloned;
        outcome.size = image_length(plan.image);
        outcome.written = plan.header_size;
    }
    outcome.ok = r == 0;
    r = r < 0 ? error_problems(err, &outcome.problems) : 0;
    keep_checked(stage, &outcome, &begun);
    return r;
}

/* --- the preview --- */

void preview_drop(struct stage *stage)
{
    image_unref(stage->preview);
    stage->preview = NULL;
    stage->preview_valid = false;
}

static int make_preview(struct stage *stage)
{
    auto_plan plan = PLAN_EMPTY;
    struct problem_list problems = {0};
    int r = 0;

    if (!stage_has_changes(stage) && !generation_is_empty(stage->generation))
        stage->preview = generation_whole_image(stage->generation);
    else
        r = plan_build(stage, true, &plan, &problems);
    if (plan.image)
        stage->preview = image_ref(plan.image);
    problem_list_clear(&problems);
    return r == -ENOMEM || (r == 0 && !stage->preview) ? -ENOMEM : 0;
}

/* With stage->lock held: makes the preview of the present change count; none while problems are pending. */
static int refresh_preview(struct stage *stage)
{
    uint64_t change = atomic_load(&stage->changes);

    if (stage->preview_valid && stage->preview_change == change)
        return 0;
    preview_drop(stage);
    int r = make_preview(stage);
    stage->preview_change = change;
    stage->preview_valid = r == 0;
    return r;
}

uint64_t stage_preview_size(struct stage *stage)
{
    auto_lock(&stage->lock);
    return refresh_preview(stage) == 0 && stage->preview ? image_length(stage->preview) : 0;
}

int stage_preview(struct stage *stage, struct image **ret_image, uint64_t *ret_change)
{
    auto_lock(&stage->lock);
    int r = refresh_preview(stage);

    if (r < 0 || !stage->preview)
        return r < 0 ? r : -EINVAL;
    *ret_image = image_ref(stage->preview);
    *ret_change = stage->preview_change;
    return 0;
}
