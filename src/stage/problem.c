/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "format/name.h"
#include "stage/pending.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *error_sentence(const struct wfs_error *err)
{
    const char *code = wfs_code_name(err->code);
    size_t length = strlen(code);
    bool begins_with_code =
        length && strncmp(err->text, code, length) == 0 && strncmp(err->text + length, ": ", 2) == 0;

    return err->text + (begins_with_code ? length + 2 : 0);
}

static void problem_clear(struct problem *problem)
{
    free(problem->tensor);
    free(problem->expected);
    free(problem->found);
    free(problem->message);
}

void problem_list_clear(struct problem_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        problem_clear(&list->items[i]);
    free(list->items);
    *list = (struct problem_list){0};
}

static int compare_problems(const void *left, const void *right)
{
    const struct problem *a = left;
    const struct problem *b = right;
    return name_compare_natural(a->tensor ? a->tensor : "", a->tensor_length, b->tensor ? b->tensor : "",
                                b->tensor_length);
}

void problem_list_sort(struct problem_list *list, size_t begin)
{
    if (list->count > begin + 1)
        qsort(list->items + begin, list->count - begin, sizeof(*list->items), compare_problems);
}

/* Room for one more: capacities are powers of two. */
static struct problem *problem_new(struct problem_list *list)
{
    bool is_full = (list->count & (list->count - 1)) == 0;

    if (is_full) {
        size_t capacity = list->count ? list->count * 2 : 1;
        struct problem *items = realloc(list->items, capacity * sizeof(*items));
        if (!items) {
            list->failed = true;
            return NULL;
        }
        list->items = items;
    }
    struct problem *problem = &list->items[list->count++];
    *problem = (struct problem){.offset = -1};
    return problem;
}

static char *copy_or_null(const char *text)
{
    return text ? strdup(text) : NULL;
}

static char *copy_bytes(const char *bytes, size_t length)
{
    char *copy = malloc(length + 1);
    if (copy) {
        memcpy(copy, bytes, length);
        copy[length] = '\0';
    }
    return copy;
}

void problem_add(struct problem_list *list, enum wfs_code code, bool is_warning, struct key tensor,
                 const char *expected, const char *found, const char *format, ...)
{
    auto_free char *what = NULL;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&what, format, arguments) < 0)
        what = NULL;
    va_end(arguments);

    struct problem *problem = problem_new(list);
    if (!problem)
        return;
    problem->code = code;
    problem->is_warning = is_warning;
    list->errors += !is_warning;
    problem->expected = copy_or_null(expected);
    problem->found = copy_or_null(found);
    if (tensor.name) {
        problem->tensor = copy_bytes(tensor.name, tensor.length);
        problem->tensor_length = tensor.length;
    }
    int r = tensor.name
                ? asprintf(&problem->message, "tensor '%s': %s: %s",
                           printable(tensor.name, tensor.length).text, wfs_code_name(code), what ? what : "")
                : asprintf(&problem->message, "%s: %s", wfs_code_name(code), what ? what : "");
    if (r < 0) {
        problem->message = NULL;
        list->failed = true;
    }
}

void problem_add_error(struct problem_list *list, const struct wfs_error *err)
{
    struct problem *problem = problem_new(list);

    if (!problem)
        return;
    problem->code = err->code;
    problem->message = strdup(err->text);
    list->errors++;
}

int error_problems(struct wfs_error *err, const struct problem_list *problems)
{
    enum wfs_code code = WFS_CODE_USAGE;
    const char *message = "";

    for (size_t i = problems->count; i-- > 0;) {
        if (!problems->items[i].is_warning) {
            code = problems->items[i].code;
            message = problems->items[i].message ? problems->items[i].message : "";
        }
    }
    if (problems->errors == 1)
        return error_rule(err, code, "%s", message);
    return error_rule(err, code, "%zu problems in the staged model; the first: %s", problems->errors,
                      message);
}
