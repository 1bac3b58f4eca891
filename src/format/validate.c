/* SPDX-License-Identifier: Apache-2.0 */
#include "format/validate.h"

#include "format/shape.h"

#include <inttypes.h>
#include <stdio.h>

struct validation {
    const struct wfs_header *header;
    struct problems *problems;
    unsigned mode;
    uint64_t file_size;
};

/* A number or two for `expected` and `found`. */
struct figure {
    char text[128];
};

static struct figure figure_u64(uint64_t value)
{
    struct figure figure;
    snprintf(figure.text, sizeof figure.text, "%" PRIu64, value);
    return figure;
}

/* "1 byte", "16 bytes" */
static struct figure figure_bytes(uint64_t count)
{
    struct figure figure;
    snprintf(figure.text, sizeof figure.text, "%" PRIu64 " byte%s", count, count == 1 ? "" : "s");
    return figure;
}

/* "F32 [2,3]", a long shape cut. */
static struct figure figure_type(const struct wfs_header *header, const struct tensor_record *record)
{
    struct figure figure;
    const unsigned char *shape = record_shape(header, record);
    int length = snprintf(figure.text, sizeof figure.text, "%s [", wfs_dtype_name(record->dtype));
    for (size_t i = 0; i < record->rank; i++) {
        uint64_t dimension;
        size_t left = sizeof figure.text - (size_t)length;
        if (left < 32) {
            length += snprintf(figure.text + length, left, ",...");
            break;
        }
        shape += shape_unpack(shape, &dimension);
        length += snprintf(figure.text + length, left, "%s%" PRIu64, i ? "," : "", dimension);
    }
    snprintf(figure.text + length, sizeof figure.text - (size_t)length, "]");
    return figure;
}

static struct site site_of(const struct validation *validation, const struct tensor_record *record)
{
    return (struct site){
        .tensor = record_name(validation->header, record),
        .tensor_length = record->name_length,
        .place = record->name - 1,
    };
}

/* --- one function a rule -------------------------------------------------------------------------------- */

static int check_duplicate(const struct validation *validation, const struct tensor_record *record)
{
    const struct wfs_header *header = validation->header;
    if (!record->is_overwritten)
        return 0;
    size_t last = name_table_find(&header->names, record_name(header, record), record->name_length);
    int64_t again = record_offset(&header->tensors[last]);
    struct site site = site_of(validation, record);
    if (validation->mode & HEADER_DOCUMENT) {
        size_t line;
        size_t column;
        const struct problems *problems = validation->problems;
        header_position(problems->document, problems->document_length, (size_t)again - HEADER_PREFIX, &line,
                        &column);
        return problem(validation->problems, WFS_CODE_DOCUMENT_INVALID, &site,
                       "the name occurs again in line %zu", line);
    }
    struct figure found;
    snprintf(found.text, sizeof found.text, "entries at bytes %" PRId64 " and %" PRId64,
             record_offset(record), again);
    site.expected = "one entry";
    site.found = found.text;
    return problem(validation->problems, WFS_CODE_DUPLICATE_TENSOR, &site,
                   "the name stands at byte %" PRId64 " of the file and again at byte %" PRId64,
                   record_offset(record), again);
}

/* A tensor begins where the one before it ends, the first at 0. */
static int check_begin(const struct validation *validation, const struct tensor_record *record,
                       uint64_t expected)
{
    bool is_hole = record->begin > expected;
    if (record->begin == expected || (is_hole && validation->mode & HEADER_STSW))
        return 0;
    struct site site = site_of(validation, record);
    struct figure begin = figure_u64(record->begin);
    struct figure wanted = figure_u64(expected);
    site.expected = wanted.text;
    site.found = begin.text;
    struct figure distance = figure_bytes(is_hole ? record->begin - expected : expected - record->begin);
    return problem(validation->problems, WFS_CODE_INVALID_OFFSET, &site,
                   "begins at %s, expected %s (%s of %s)", begin.text, wanted.text,
                   is_hole ? "a hole" : "an overlap", distance.text);
}

static int check_end(const struct validation *validation, const struct tensor_record *record)
{
    if (record->end >= record->begin)
        return 0;
    struct site site = site_of(validation, record);
    struct figure begin = figure_u64(record->begin);
    struct figure end = figure_u64(record->end);
    site.expected = begin.text;
    site.found = end.text;
    return problem(validation->problems, WFS_CODE_INVALID_OFFSET, &site, "ends at %s, before it begins at %s",
                   end.text, begin.text);
}

static int check_size(const struct validation *validation, const struct tensor_record *record)
{
    const struct wfs_header *header = validation->header;
    uint64_t size = 0;
    enum wfs_code code = shape_byte_size(record->dtype, record->rank, record_shape(header, record), &size);
    if (code == WFS_CODE_NONE && (size == record->end - record->begin || record->end < record->begin))
        return 0;
    struct site site = site_of(validation, record);
    struct figure type = figure_type(header, record);
    struct figure found = figure_u64(record->end - record->begin);
    struct figure wanted = figure_u64(size);
    switch (code) {
    case WFS_CODE_VALIDATION_OVERFLOW:
        site.expected = "less than 2^64 bits";
        site.found = type.text;
        return problem(validation->problems, code, &site, "%s is more than 2^64 bits", type.text);
    case WFS_CODE_MISALIGNED_SLICE:
        site.expected = "whole bytes";
        site.found = type.text;
        return problem(validation->problems, code, &site, "%s does not fill whole bytes", type.text);
    default:
        site.expected = wanted.text;
        site.found = found.text;
        return problem(validation->problems, WFS_CODE_TENSOR_INVALID_INFO, &site,
                       "has %s, expected %s for %s", figure_bytes(record->end - record->begin).text,
                       wanted.text, type.text);
    }
}

/* The file ends where its last tensor ends. */
static int check_file_size(const struct validation *validation, uint64_t data_end)
{
    uint64_t start = validation->header->data_offset;
    uint64_t expected = start + data_end;
    bool is_short = expected < start || validation->file_size < expected;
    if (validation->file_size == expected || (!is_short && validation->mode & HEADER_STSW))
        return 0;
    struct figure wanted = figure_u64(expected);
    struct figure found = figure_u64(validation->file_size);
    /* where the file ends too early, or the first byte that is too many */
    uint64_t place = (is_short ? validation->file_size : expected) - HEADER_PREFIX;
    struct site site = {.place = (size_t)place, .expected = wanted.text, .found = found.text};
    if (expected < start)
        return problem(validation->problems, WFS_CODE_METADATA_INCOMPLETE_BUFFER, &site,
                       "the file has %s bytes, expected more than 2^64", found.text);
    struct figure distance =
        figure_bytes(is_short ? expected - validation->file_size : validation->file_size - expected);
    return problem(validation->problems, WFS_CODE_METADATA_INCOMPLETE_BUFFER, &site,
                   "the file has %s bytes, expected %s (%s %s)", found.text, wanted.text, distance.text,
                   is_short ? "missing" : "too many");
}

/* --- all of them ---------------------------------------------------------------------------------------- */

/* What can be said of a tensor by itself. */
static int check_alone(const struct validation *validation, const struct tensor_record *record)
{
    int r = check_end(validation, record);
    return r ? r : check_size(validation, record);
}

static int check_tensor(const struct validation *validation, const struct tensor_record *record,
                        uint64_t *expected)
{
    int r = check_begin(validation, record, *expected);
    if (!r)
        r = check_alone(validation, record);
    if (record->end >= record->begin)
        *expected = record->end;
    return r;
}

/* Where bytes should lie cannot be said as long as an entry is missing, or there are two of a name. */
static int check_each_alone(const struct validation *validation)
{
    const struct wfs_header *header = validation->header;
    for (size_t i = 0; i < header->tensor_count; i++) {
        const struct tensor_record *record = &header->tensors[i];
        int r = record->is_overwritten ? 0 : check_alone(validation, record);
        if (r)
            return r;
    }
    return 0;
}

static int check_names(const struct validation *validation)
{
    const struct wfs_header *header = validation->header;
    for (size_t i = 0; i < header->tensor_count; i++) {
        int r = check_duplicate(validation, &header->tensors[i]);
        if (r)
            return r;
    }
    return 0;
}

/* Shapes lie anywhere in the text where tensors are not in the order of their bytes. */
#define PREFETCH_AHEAD 16u

static int check_layout(const struct validation *validation)
{
    const struct wfs_header *header = validation->header;
    uint64_t end = 0;
    for (size_t i = 0; i < header->tensor_count; i++) {
        const struct tensor_record *record = &header->tensors[i];
        if (i + PREFETCH_AHEAD < header->tensor_count)
            __builtin_prefetch(record_shape(header, record + PREFETCH_AHEAD));
        int r = record->is_overwritten ? 0 : check_tensor(validation, record, &end);
        if (r)
            return r;
    }
    return check_file_size(validation, end);
}

int validate(struct wfs_header *header, uint64_t file_size, unsigned mode, struct problems *problems)
{
    const struct validation validation = {header, problems, mode, file_size};
    bool is_document = mode & HEADER_DOCUMENT;
    if (!is_document)
        storage_sort(header);
    int repeated = storage_index(header);
    if (repeated < 0)
        return repeated;
    repeated = repeated && !(mode & HEADER_LAST_WINS);
    int r = repeated ? check_names(&validation) : 0;
    if (r || is_document)
        return r;
    return repeated || problems->json_count ? check_each_alone(&validation) : check_layout(&validation);
}
