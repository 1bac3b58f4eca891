/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/checked.h"
#include "base/error.h"
#include "format/encode.h"
#include "format/shape.h"

#include <stdlib.h>
#include <string.h>

#define ALIGN_MIN 8u
#define ALIGN_MAX (1u << 24)

int layout_parse(const char *text, struct layout *ret_layout)
{
    static const char align[] = "align=";
    if (strcmp(text, "keep") == 0) {
        *ret_layout = (struct layout){LAYOUT_KEEP, 0};
        return 0;
    }
    if (strcmp(text, "canonical") == 0) {
        *ret_layout = (struct layout){LAYOUT_CANONICAL, 0};
        return 0;
    }
    if (strncmp(text, align, sizeof align - 1) != 0)
        return -EINVAL;
    const char *digits = text + sizeof align - 1;
    size_t length = strspn(digits, "0123456789");
    if (length == 0 || length > 8 || digits[length] != '\0')
        return -EINVAL;
    unsigned long value = strtoul(digits, NULL, 10);
    if (value < ALIGN_MIN || value > ALIGN_MAX || (value & (value - 1)) != 0)
        return -EINVAL;
    *ret_layout = (struct layout){LAYOUT_ALIGN, value};
    return 0;
}

/* --- order ---------------------------------------------------------------------------------------------- */

/* The order of names that is the official library's: by bytes. */
static int compare_names(const struct wfs_tensor *a, const struct wfs_tensor *b)
{
    return bytes_compare(a->name, a->name_length, b->name, b->name_length);
}

static int compare_canonical(const void *left, const void *right)
{
    const struct layout_item *a = left;
    const struct layout_item *b = right;
    if (a->tensor.dtype != b->tensor.dtype)
        return a->tensor.dtype > b->tensor.dtype ? -1 : 1;
    return compare_names(&a->tensor, &b->tensor);
}

/* Survivors as the source has them; then the new ones, in canonical order. */
static int compare_kept(const void *left, const void *right)
{
    const struct layout_item *a = left;
    const struct layout_item *b = right;
    if (a->slot != b->slot)
        return a->slot < b->slot ? -1 : 1;
    return compare_canonical(a, b);
}

/* Whether the source has its tensors by dtype, as the official writer does. */
static bool is_grouped(const struct wfs_header *source)
{
    size_t count = wfs_header_count(source);
    for (size_t i = 1; i < count; i++)
        if (wfs_header_tensor(source, i).dtype > wfs_header_tensor(source, i - 1).dtype)
            return false;
    return true;
}

/* Moves the new items, which lie behind the survivors in canonical order, to the ends of their dtype's
 * groups. Groups are those of the source, whatever dtype a survivor has now. -ENOMEM. */
static int merge_into_groups(struct layout_item *items, size_t count, const struct wfs_header *source)
{
    size_t survivors = 0;
    while (survivors < count && items[survivors].slot != LAYOUT_NEW)
        survivors++;
    if (survivors == 0 || survivors == count)
        return 0;
    struct layout_item *merged = malloc(count * sizeof *merged);
    if (!merged)
        return -ENOMEM;
    size_t old = 0;
    size_t new = survivors;
    for (size_t i = 0; i < count; i++) {
        bool take_old =
            old < survivors &&
            (new == count || wfs_header_tensor(source, items[old].slot).dtype >= items[new].tensor.dtype);
        merged[i] = take_old ? items[old++] : items[new ++];
    }
    memcpy(items, merged, count * sizeof *merged);
    free(merged);
    return 0;
}

/* --- offsets -------------------------------------------------------------------------------------------- */

static int check_sizes(struct layout_item *items, size_t count, struct wfs_error *err)
{
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        const struct wfs_tensor *tensor = &items[i].tensor;
        uint64_t size = 0;
        enum wfs_code code = shape_byte_size(tensor->dtype, tensor->rank, tensor->shape, &size);
        if (code == WFS_CODE_NONE && (add_overflows(total, size, &total) || total > INT64_MAX))
            code = WFS_CODE_VALIDATION_OVERFLOW;
        if (code != WFS_CODE_NONE)
            return error_rule(err, code, "tensor '%s': %s: %s",
                              printable(tensor->name, tensor->name_length).text, wfs_code_name(code),
                              code == WFS_CODE_MISALIGNED_SLICE ? "dtype and shape do not fill whole bytes"
                                                                : "the model would be larger than any file");
        items[i].tensor.end = size; /* until place() knows where it begins */
    }
    return 0;
}

static void place(struct layout_item *items, size_t count)
{
    uint64_t at = 0;
    for (size_t i = 0; i < count; i++) {
        struct wfs_tensor *tensor = &items[i].tensor;
        uint64_t size = tensor->end - tensor->begin;
        tensor->begin = at;
        tensor->end = at += size;
    }
}

static bool is_aligned(const struct layout_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        unsigned bytes = wfs_dtype_bits(items[i].tensor.dtype) / 8;
        if (bytes > 1 && items[i].tensor.begin % bytes)
            return false;
    }
    return true;
}

static void place_canonically(struct layout_item *items, size_t count)
{
    qsort(items, count, sizeof *items, compare_canonical);
    place(items, count);
}

int layout_place(struct layout_item *items, size_t count, const struct layout_source *source,
                 struct layout wanted, struct layout *ret_used, struct wfs_error *err)
{
    const struct wfs_header *header = source ? source->header : NULL;
    bool has_source = header && wfs_header_count(header) > 0;
    for (size_t i = 0; i < count; i++)
        items[i].tensor.begin = 0;
    int r = check_sizes(items, count, err);
    if (r < 0)
        return r;
    *ret_used = wanted;
    if (wanted.kind == LAYOUT_KEEP && !has_source)
        *ret_used = (struct layout){LAYOUT_CANONICAL, 0};
    if (wanted.kind == LAYOUT_CANONICAL || !has_source) {
        place_canonically(items, count);
        return 0;
    }
    qsort(items, count, sizeof *items, compare_kept);
    if (is_grouped(header) && merge_into_groups(items, count, header) < 0)
        return error_no_memory(err);
    place(items, count);
    if (is_aligned(items, count))
        return 0;
    if (wanted.kind == LAYOUT_KEEP)
        *ret_used = (struct layout){LAYOUT_CANONICAL, 0};
    place_canonically(items, count);
    return 0;
}
