/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/model.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "cli/cmd.h"
#include "cli/mounted.h"
#include "cli/outcome.h"
#include "cli/paint.h"
#include "cli/progress.h"
#include "cli/text.h"
#include "stage/spool.h"
#include "stage/words.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_POLL_MICROSECONDS 2000u
#define LAST_POLL_MICROSECONDS  100000u

static struct stage_face face_of(const struct model *model)
{
    static const char *const no_notes[] = {NULL};
    return (struct stage_face){.source = model->target.source, .notes = no_notes};
}

/* --- opening ---------------------------------------------------------------------------------- */

/* Edits of a model that was begun with `mount --create` and never committed. */
static bool is_begun(const char *path)
{
    struct stat st;
    const char *slash = strrchr(path, '/');
    auto_free char *name = spool_directory_name(slash ? slash + 1 : path);
    auto_free char *directory = NULL;

    if (!name || access(path, F_OK) == 0)
        return false;
    if (asprintf(&directory, "%.*s%s", (int)(slash ? slash - path + 1 : 0), path, name) < 0) {
        directory = NULL;
        return false;
    }
    return lstat(directory, &st) == 0 && S_ISDIR(st.st_mode);
}

static int open_file(const char *path, const struct model_edits *edits, struct model *model,
                     struct wfs_error *err)
{
    const struct stage_target_request request = {.source = path, .create = is_begun(path)};
    struct stage_options options = {
        .discard = edits->discard, .rebase = edits->rebase, .create = request.create};

    int r = stage_target_resolve(&request, &model->target, err);
    if (r == 0)
        r = request.create ? generation_empty(&model->generation, err)
                           : generation_open(AT_FDCWD, path, HEADER_OFFICIAL, 1, &model->generation, err);
    if (r < 0)
        return r;
    stage_target_describe(&model->target, &options);
    return stage_open(model->target.dirfd, model->target.name, model->generation, &options, &model->stage,
                      err);
}

int model_open(const char *path, const struct model_edits *edits, struct model *ret_model)
{
    static const struct model_edits as_they_are = {0};
    struct model model = MODEL_NONE;
    struct wfs_error err = {0};
    struct stat st;

    if (mounted_find(path, &model.mount) == 0) {
        if (edits && edits->rebase) {
            mountinfo_clear(&model.mount);
            cmd_say("%s: is mounted; --rebase is for edits of a model that is not",
                    printable_string(path).text);
            return EXIT_USAGE;
        }
        model.is_mounted = true;
        *ret_model = model;
        return EXIT_DONE;
    }
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        cmd_say("%s: a directory, but no model is mounted there", printable_string(path).text);
        return EXIT_USAGE;
    }
    int r = open_file(path, edits ? edits : &as_they_are, &model, &err);
    if (r < 0) {
        model_close(&model);
        return cmd_fail(&err);
    }
    *ret_model = model;
    return EXIT_DONE;
}

void model_close(struct model *model)
{
    stage_close(model->stage);
    generation_unref(model->generation);
    stage_target_clear(&model->target);
    mountinfo_clear(&model->mount);
    *model = MODEL_NONE;
}

/* --- status ----------------------------------------------------------------------------------- */

static int read_status(struct model *model, bool json, struct bytes *out, struct wfs_error *err)
{
    if (model->is_mounted)
        return mounted_read(&model->mount, json ? "status.json" : "status", out, err);
    const struct stage_face face = face_of(model);
    int r = json ? stage_report_json(model->stage, &face, out) : stage_report_text(model->stage, &face, out);
    return r < 0 ? error_errno(err, -r, "%s", printable_string(model->target.source).text) : 0;
}

int model_print_status(struct model *model, bool json, struct wfs_error *err)
{
    auto_bytes text = BYTES_EMPTY;

    int r = read_status(model, json, &text, err);
    if (r < 0)
        return r;
    if (!json)
        paint_status(&text, text_color(stdout));
    if (text.failed)
        return error_no_memory(err);
    text_flush(&text); /* cmd_finish() tells */
    return 0;
}

int model_status(struct model *model, struct json_object **ret_status, struct wfs_error *err)
{
    auto_bytes text = BYTES_EMPTY;

    int r = read_status(model, true, &text, err);
    if (r < 0)
        return r;
    struct json_object *status = outcome_parse(&text);
    if (!status)
        return error_errno(err, EIO, "the status cannot be read");
    *ret_status = status;
    return 0;
}

/* --- commands that answer at once ------------------------------------------------------------- */

/* What an errno of the control file means where the status has no more to say. */
static int explain(const struct model *model, int r, const char *verb, struct wfs_error *err)
{
    struct printable point = printable_string(model->mount.point);

    switch (r) {
    case -ETIMEDOUT:
    case -ENOTCONN:
    case -ECONNABORTED:
        return mounted_explain(&model->mount, r, err);
    case -EROFS:
        return error_rule(err, WFS_CODE_READ_ONLY,
                          "%s: this mount cannot be edited; 'weightfs status' tells why", point.text);
    case -EBUSY:
        return error_rule(err, WFS_CODE_BUSY,
                          "%s: %s: a commit is running, or somebody writes to a staged file", point.text,
                          verb);
    case -ENOENT:
        return error_rule(err, WFS_CODE_NOT_FOUND, "%s: %s: nothing staged has that name", point.text, verb);
    case -E2BIG:
        return error_rule(err, WFS_CODE_USAGE,
                          "%s: %s: too many names for one command; a glob stands for many", point.text, verb);
    case -EOPNOTSUPP:
        return error_rule(err, WFS_CODE_USAGE, "%s: %s: the daemon does not understand", point.text, verb);
    default:
        return error_errno(err, -r, "%s: %s", point.text, verb);
    }
}

int model_check(struct model *model, struct wfs_error *err)
{
    if (!model->is_mounted)
        return stage_check(model->stage, err);
    int r = mounted_command(&model->mount, "check");
    return r < 0 && r != -EINVAL ? explain(model, r, "check", err) : r;
}

int model_discard(struct model *model, char **names, size_t count, struct wfs_error *err)
{
    auto_bytes command = BYTES_EMPTY;

    if (!model->is_mounted)
        return stage_discard(model->stage, names, count, err);
    bytes_string(&command, "discard");
    for (size_t i = 0; i < count; i++)
        mounted_add_word(&command, names[i]);
    if (command.failed)
        return error_no_memory(err);
    int r = mounted_command(&model->mount, command.data);
    return r < 0 ? explain(model, r, "discard", err) : 0;
}

/* --- commit ----------------------------------------------------------------------------------- */

/* A commit of a file runs on a thread of its own, as in a daemon, so that it can be followed the same way. */
struct local_commit {
    struct stage *stage;
    struct commit_options options;
    struct wfs_error err;
    pthread_t thread;
    atomic_bool ended;
    int result;
};

static void *run_local(void *context)
{
    struct local_commit *commit = context;
    const struct commit_observer observer = {NULL, NULL, NULL};

    commit->result = stage_commit(commit->stage, &commit->options, &observer, &commit->err);
    commit->ended = true;
    return NULL;
}

static void cancel(struct model *model)
{
    if (model->is_mounted)
        mounted_command(&model->mount, "cancel");
    else
        stage_cancel(model->stage);
}

static void show(struct progress *progress, struct json_object *status)
{
    progress->what = outcome_phase(status);
    progress->total = outcome_bytes_total(status);
    progress_set(progress, outcome_bytes_done(status));
}

/* Reads the status until the commit has ended. Ctrl-C cancels it, and is then waited for like any other end.
 * The last status is the caller's. */
static int follow(struct model *model, const struct local_commit *local, struct json_object **ret_status,
                  struct wfs_error *err)
{
    struct progress progress;
    useconds_t pause = FIRST_POLL_MICROSECONDS;
    bool cancelled = false;

    progress_begin(&progress, "planning", 0);
    while (true) {
        bool ended = local && local->ended; /* before the status is read */
        struct json_object *status = NULL;
        int r = model_status(model, &status, err);
        if (r < 0) {
            progress_end(&progress);
            return r;
        }
        if (local ? ended : strcmp(outcome_state(status), "running") != 0) {
            progress_end(&progress);
            *ret_status = status;
            return 0;
        }
        show(&progress, status);
        outcome_free(status);
        if (cancel_requested() && !cancelled) {
            cancelled = true;
            cancel(model);
        }
        usleep(pause);
        pause = pause * 2 < LAST_POLL_MICROSECONDS ? pause * 2 : LAST_POLL_MICROSECONDS;
    }
}

static int tell(struct json_object *status, bool json)
{
    int code = outcome_of_commit(status);

    outcome_print_problems(status);
    if (json)
        outcome_print_json(status);
    outcome_free(status);
    return code;
}

/* The daemon ended while it committed: the file itself tells whether it was replaced. */
static int tell_of_lost_daemon(const char *source, const struct stat *before)
{
    struct stat now;

    if (!source || stat(source, &now) < 0) {
        cmd_say("the daemon ended during the commit; whether the model was replaced is not known");
        return EXIT_DURABILITY;
    }
    bool is_same = now.st_ino == before->st_ino && now.st_size == before->st_size &&
                   now.st_mtim.tv_sec == before->st_mtim.tv_sec &&
                   now.st_mtim.tv_nsec == before->st_mtim.tv_nsec;
    if (is_same) {
        cmd_say(
            "%s: the daemon ended during the commit; the model was not replaced, the edits are still staged",
            printable_string(source).text);
        return EXIT_SYSTEM;
    }
    cmd_say("%s: was replaced, but the daemon ended before it could say that all is on disk",
            printable_string(source).text);
    return EXIT_DURABILITY;
}

/* The source as it is before the commit; NULL when it cannot be told. The string is the caller's. */
static char *remember_source(struct model *model, struct stat *ret_before)
{
    struct json_object *status = NULL;

    if (model_status(model, &status, NULL) < 0)
        return NULL;
    const char *source = outcome_source(status);
    char *copy = source ? strdup(source) : NULL;
    outcome_free(status);
    if (copy && stat(copy, ret_before) < 0)
        *ret_before = (struct stat){0}; /* a new model: there is no file yet */
    return copy;
}

static int commit_mounted(struct model *model, const char *const *arguments, bool json)
{
    auto_bytes command = BYTES_EMPTY;
    struct stat before = {0};
    auto_free char *source = remember_source(model, &before);
    struct json_object *status = NULL;
    struct wfs_error err = {0};

    bytes_string(&command, "commit-start");
    for (; *arguments; arguments++)
        mounted_add_word(&command, *arguments);
    if (command.failed) {
        error_no_memory(&err);
        return cmd_fail(&err);
    }
    cancel_on_signal();
    int r = mounted_command(&model->mount, command.data);
    if (r < 0) {
        explain(model, r, "commit", &err);
        return cmd_fail(&err);
    }
    r = follow(model, NULL, &status, &err);
    return r < 0 ? tell_of_lost_daemon(source, &before) : tell(status, json);
}

static int commit_file(struct model *model, const struct commit_options *options, bool json)
{
    struct local_commit local = {.stage = model->stage, .options = *options};
    struct json_object *status = NULL;
    struct wfs_error err = {0};

    cancel_on_signal();
    if (pthread_create(&local.thread, NULL, run_local, &local) != 0) {
        error_errno(&err, EAGAIN, "cannot start a thread for the commit");
        return cmd_fail(&err);
    }
    int r = follow(model, &local, &status, &err);
    pthread_join(local.thread, NULL);
    if (r == 0 && outcome_has_last(status))
        return tell(status, json);
    outcome_free(status);
    return cmd_fail(r < 0 ? &err : &local.err); /* refused before it began */
}

int model_commit(struct model *model, const char *const *arguments, bool json)
{
    struct commit_options options;
    struct wfs_error err = {0};

    if (words_commit_options(arguments, &options, &err) < 0)
        return cmd_fail(&err);
    if (model->is_mounted)
        return commit_mounted(model, arguments, json);
    return commit_file(model, &options, json);
}
