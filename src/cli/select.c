/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/error.h"
#include "cli/cmd.h"
#include "cli/source.h"
#include "cli/text.h"
#include "format/name.h"

#include <string.h>

static int compare_names(const void *left, const void *right, void *context)
{
    const struct wfs_header *header = context;
    size_t a_index = *(const size_t *)left;
    size_t b_index = *(const size_t *)right;
    struct wfs_tensor a = wfs_header_tensor(header, a_index);
    struct wfs_tensor b = wfs_header_tensor(header, b_index);
    int order = name_compare_natural(a.name, a.name_length, b.name, b.name_length);

    return order ? order : (a_index > b_index) - (a_index < b_index);
}

/* --- the one that was meant --------------------------------------------------------------------------- */

/* How many bytes two names share at their beginning and their end. */
static size_t shared_bytes(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t least = a_length < b_length ? a_length : b_length;
    size_t head = 0;
    size_t tail = 0;

    while (head < least && a[head] == b[head])
        head++;
    while (tail < least - head && a[a_length - 1 - tail] == b[b_length - 1 - tail])
        tail++;
    return head + tail;
}

int say_no_tensor(const struct wfs_header *header, const char *path, const char *name)
{
    size_t length = strlen(name);
    size_t best = 0;
    struct wfs_tensor meant = {0};

    for (size_t i = 0; i < wfs_header_count(header); i++) {
        struct wfs_tensor tensor = wfs_header_tensor(header, i);
        size_t longest = tensor.name_length > length ? tensor.name_length : length;
        size_t shared = shared_bytes(tensor.name, tensor.name_length, name, length);
        if (shared > best && shared * 3 >= longest * 2) {
            best = shared;
            meant = tensor;
        }
    }
    if (best > 0)
        cmd_say("%s: there is no tensor '%s'. Did you mean '%s'?", printable_string(path).text,
                printable_string(name).text, printable(meant.name, meant.name_length).text);
    else
        cmd_say("%s: there is no tensor '%s'", printable_string(path).text, printable_string(name).text);
    return EXIT_NO;
}

/* --- selection ---------------------------------------------------------------------------------------- */

/* Marks what one name or glob selects; false: nothing. A name that is there is never read as a glob. */
static bool mark_matches(const struct wfs_header *header, const char *pattern, bool *marked)
{
    bool found = false;
    size_t index = 0;

    if (wfs_header_find(header, pattern, strlen(pattern), &index)) {
        marked[index] = true;
        return true;
    }
    for (size_t i = 0; i < wfs_header_count(header); i++) {
        struct wfs_tensor tensor = wfs_header_tensor(header, i);
        if (text_glob(pattern, tensor.name, tensor.name_length)) {
            marked[i] = true;
            found = true;
        }
    }
    return found;
}

static int say_no_match(const struct wfs_header *header, const char *path, const char *pattern)
{
    if (!strpbrk(pattern, "*?["))
        return say_no_tensor(header, path, pattern);
    cmd_say("%s: no tensor matches '%s'", printable_string(path).text, printable_string(pattern).text);
    return EXIT_NO;
}

int select_tensors(const struct wfs_header *header, const char *path, char *const *patterns, size_t count,
                   struct selection *ret_selection)
{
    size_t total = wfs_header_count(header);
    auto_free bool *marked = calloc(total + 1, sizeof *marked);
    auto_free size_t *indices = calloc(total + 1, sizeof *indices);
    int code = EXIT_DONE;
    size_t selected = 0;

    if (!marked || !indices) {
        cmd_say("out of memory");
        return EXIT_SYSTEM;
    }
    for (size_t i = 0; i < count; i++)
        if (!mark_matches(header, patterns[i], marked))
            code = say_no_match(header, path, patterns[i]);
    for (size_t i = 0; i < total; i++)
        if (count == 0 || marked[i])
            indices[selected++] = i;
    qsort_r(indices, selected, sizeof *indices, compare_names, (void *)header);
    *ret_selection = (struct selection){selected, take_ptr(indices)};
    return code;
}
