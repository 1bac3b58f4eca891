/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/outcome.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "cli/cmd.h"
#include "cli/object.h"
#include "cli/text.h"

#include <string.h>

/* "\\udcff", of a byte of a path that is no UTF-8; json-c would make a replacement character of it. */
static bool is_lone_byte(const char *text)
{
    static const char digits[] = "0123456789abcdef";
    return strncmp(text, "\\udc", 4) == 0 && text[4] >= '8' && strchr(digits, text[4]) && text[5] &&
           strchr(digits, text[5]);
}

static void restore_bytes(char *json)
{
    char *to = json;

    for (const char *from = json; *from;) {
        if (is_lone_byte(from)) {
            *to++ = (char)strtoul((char[]){from[4], from[5], '\0'}, NULL, 16);
            from += 6;
            continue;
        }
        if (from[0] == '\\' && from[1])
            *to++ = *from++;
        *to++ = *from++;
    }
    *to = '\0';
}

struct json_object *outcome_parse(struct bytes *json)
{
    if (json->failed || !json->data)
        return NULL;
    restore_bytes(json->data);
    return json_tokener_parse(json->data);
}

void outcome_free(struct json_object *status)
{
    json_object_put(status);
}

static struct json_object *commit(struct json_object *status)
{
    return object_member(status, "commit");
}

const char *outcome_source(struct json_object *status)
{
    return object_text(status, "source");
}

const char *outcome_state(struct json_object *status)
{
    const char *state = object_text(commit(status), "state");
    return state ? state : "idle";
}

const char *outcome_phase(struct json_object *status)
{
    const char *phase = object_text(commit(status), "phase");
    return phase ? phase : "committing";
}

uint64_t outcome_bytes_done(struct json_object *status)
{
    return object_number(commit(status), "bytes_done");
}

uint64_t outcome_bytes_total(struct json_object *status)
{
    return object_number(commit(status), "bytes_total");
}

static struct json_object *last_of(struct json_object *status)
{
    return object_member(status, "last");
}

bool outcome_has_last(struct json_object *status)
{
    return last_of(status) != NULL;
}

const char *outcome_staging_directory(struct json_object *status)
{
    return object_text(object_member(status, "staging"), "directory");
}

size_t outcome_change_count(struct json_object *status)
{
    struct json_object *staging = object_member(status, "staging");
    struct json_object *changes = object_member(staging, "changes");
    size_t count = changes ? json_object_array_length(changes) : 0;
    return count + (json_object_get_boolean(object_member(staging, "metadata_changed")) ? 1 : 0);
}

int outcome_pid(struct json_object *status)
{
    return (int)object_number(status, "pid");
}

static bool is_error(struct json_object *problem)
{
    const char *severity = object_text(problem, "severity");
    return !severity || strcmp(severity, "warning") != 0;
}

size_t outcome_print_problems(struct json_object *status)
{
    struct json_object *problems = object_member(last_of(status), "problems");
    size_t count = problems ? json_object_array_length(problems) : 0;
    size_t errors = 0;

    const char *source = object_text(status, "source");
    const char *slash = source ? strrchr(source, '/') : NULL;
    const char *model = slash ? slash + 1 : source;
    for (size_t i = 0; i < count; i++) {
        struct json_object *problem = json_object_array_get_idx(problems, i);
        const char *message = object_text(problem, "message");
        bool names_model = !model || !message || strstr(message, model);
        cmd_say("%s%s%s%s",
                is_error(problem) ? "" : "warning: ", names_model ? "" : printable_string(model).text,
                names_model ? "" : ": ", message ? message : "?");
        errors += is_error(problem);
    }
    return errors;
}

/* --- the object ------------------------------------------------------------------------------- */

static void copy_member(struct json_object *to, struct json_object *from, const char *name)
{
    json_object_object_add(to, name, json_object_get(object_member(from, name)));
}

void outcome_print_json(struct json_object *status)
{
    struct json_object *last = last_of(status);
    struct json_object *object = json_object_new_object();
    struct json_object *cost = json_object_new_object();
    auto_bytes line = BYTES_EMPTY;

    copy_member(object, last, "ok");
    copy_member(object, last, "problems");
    copy_member(cost, last, "cloned");
    copy_member(cost, last, "copied");
    copy_member(cost, last, "written");
    copy_member(cost, last, "clonable");
    json_object_object_add(object, "cost", cost);
    const char *verb = object_text(last, "verb");
    if (verb && strcmp(verb, "commit") == 0) {
        copy_member(object, last, "generation");
        copy_member(object, last, "size");
        copy_member(object, last, "seconds");
    }
    object_line(&line, object);
    json_object_put(object);
    text_flush(&line);
}

uint64_t outcome_clonable(struct json_object *status)
{
    return object_number(last_of(status), "clonable");
}

void outcome_cost(struct json_object *status, uint64_t *ret_cloned, uint64_t *ret_written)
{
    struct json_object *last = last_of(status);
    *ret_cloned = object_number(last, "cloned");
    *ret_written = object_number(last, "copied") + object_number(last, "written");
}

/* --- the exit code ---------------------------------------------------------------------------- */

static int errno_of_code(const char *name)
{
    static const struct {
        const char *name;
        int errnum;
    } rules[] = {

#define RULE(symbol, rule_name, kind, errnum, sentence, section) {rule_name, errnum},
#include <weightfs/rules.def>
#undef RULE
    };
    for (size_t i = 0; name && i < sizeof(rules) / sizeof(rules[0]); i++)
        if (strcmp(rules[i].name, name) == 0)
            return rules[i].errnum;
    return EIO;
}

int outcome_of_problems(struct json_object *status)
{
    struct json_object *problems = object_member(last_of(status), "problems");
    size_t count = problems ? json_object_array_length(problems) : 0;

    for (size_t i = 0; i < count; i++) {
        struct json_object *problem = json_object_array_get_idx(problems, i);
        if (is_error(problem))
            return cmd_exit_code_of_errno(errno_of_code(object_text(problem, "code")));
    }
    return EXIT_NO;
}

int outcome_of_commit(struct json_object *status)
{
    const char *state = outcome_state(status);

    if (strcmp(state, "cancelled") == 0)
        return EXIT_CANCELLED;
    if (strcmp(state, "failed") == 0)
        return outcome_of_problems(status);
    const char *error = object_text(commit(status), "error");
    if (strcmp(state, "done") != 0 || !error)
        return EXIT_DONE;
    cmd_say("%s", error); /* replaced, but not known to be on disk */
    return EXIT_DURABILITY;
}
