/* SPDX-License-Identifier: Apache-2.0
 *
 * A tensor's entry: {"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}, its members in any order, others
 * ignored; or the same three values as an array, which the official library takes as well.
 */
#include "format/decode.h"
#include "format/shape.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

enum field {
    FIELD_DTYPE,
    FIELD_SHAPE,
    FIELD_OFFSETS,
    FIELD_COUNT,
    FIELD_CRC,
    FIELD_UNKNOWN,
};

static const char *const field_names[] = {"dtype", "shape", "data_offsets", [FIELD_CRC] = "crc32"};

/* Depth of the containers around a member's value: the header's object and the entry. */
#define ENTRY_DEPTH 2u

struct entry {
    const struct member *name;
    unsigned seen; /* bits by enum field */
    bool is_broken;
    bool is_odd; /* of a form that only the official library's code knows */
    enum wfs_dtype dtype;
    char *shape; /* packed, where the array stood */
    size_t shape_size;
    size_t rank;
    uint64_t begin;
    uint64_t end;
    bool has_crc;
    uint32_t crc;
};

/* --- the values ----------------------------------------------------------------------------------------- */

static int wrong_value(struct decoder *decoder, struct entry *entry, unsigned depth, const char *subject,
                       const char *expected)
{
    entry->is_broken = true;
    return skip_wrong(decoder, entry->name, depth, subject, expected);
}

static int name_dtype(struct decoder *decoder, struct entry *entry, const char *text, size_t length)
{
    if (wfs_dtype_by_name(text, length, &entry->dtype) == 0)
        return 0;
    entry->is_broken = true;
    struct printable found = printable(text, length);
    struct compared compared = {"a dtype of the format", found.text};
    char what[300];
    snprintf(what, sizeof what, "there is no dtype '%s'", found.text);
    bool is_document = decoder->mode & HEADER_DOCUMENT;
    return is_document
               ? decode_problem(decoder, WFS_CODE_DTYPE_UNKNOWN, entry->name, text - 1, compared, what)
               : form_problem(decoder, entry->name, text - 1, compared, "%s", what);
}

/* {"F32":null}, to serde the same as "F32". */
static int decode_dtype_object(struct decoder *decoder, struct entry *entry)
{
    struct scan *scan = &decoder->scan;
    char *text = scan->at;
    size_t length = 0;
    scan->at++;
    entry->is_odd = true;
    if (scan_take(scan, '}')) {
        entry->is_broken = true;
        return form_problem(decoder, entry->name, text, (struct compared){"a string", "an empty object"},
                            "the dtype must be a string, found an empty object");
    }
    for (bool more = true, first = true; more; first = false) {
        if (!scan_key(scan, &text, &length))
            return syntax_problem(decoder, entry->name);
        int r;
        if (scan_peek(scan) == 'n' && first)
            r = scan_literal(scan, "null") ? name_dtype(decoder, entry, text, length)
                                           : syntax_problem(decoder, entry->name);
        else
            r = wrong_value(decoder, entry, ENTRY_DEPTH + 1, "the dtype", "a string");
        if (r)
            return r;
        if (!scan_next(scan, '}', &more))
            return syntax_problem(decoder, entry->name);
    }
    return 0;
}

static int decode_dtype(struct decoder *decoder, struct entry *entry)
{
    char *text;
    size_t length;
    switch (scan_peek(&decoder->scan)) {
    case '"':
        if (!scan_string(&decoder->scan, &text, &length))
            return syntax_problem(decoder, entry->name);
        return name_dtype(decoder, entry, text, length);
    case '{':
        return decode_dtype_object(decoder, entry);
    default:
        return wrong_value(decoder, entry, ENTRY_DEPTH, "the dtype", "a string");
    }
}

/* A whole number without sign, point and exponent; anything else is told and skipped. */
static int decode_integer(struct decoder *decoder, struct entry *entry, const char *subject,
                          uint64_t *ret_value)
{
    static const char expected[] = "a whole number from 0 to 2^64 - 1";
    struct scan *scan = &decoder->scan;
    bool is_integer = false;
    char first = scan_peek(scan);
    char *at = scan->at;
    if (first != '-' && (first < '0' || first > '9'))
        return wrong_value(decoder, entry, ENTRY_DEPTH + 1, subject, expected);
    if (!scan_number(scan, &is_integer, ret_value))
        return syntax_problem(decoder, entry->name);
    if (is_integer)
        return 0;
    entry->is_broken = true;
    char found[41];
    snprintf(found, sizeof found, "%.*s", (int)(scan->at - at < 40 ? scan->at - at : 40), at);
    return form_problem(decoder, entry->name, at, (struct compared){expected, found},
                        "%s must be %s, found %s", subject, expected, found);
}

static int decode_shape(struct decoder *decoder, struct entry *entry)
{
    struct scan *scan = &decoder->scan;
    if (scan_peek(scan) != '[')
        return wrong_value(decoder, entry, ENTRY_DEPTH, "the shape", "an array");
    entry->shape = scan->at;
    scan->at++;
    if (scan_take(scan, ']'))
        return 0;
    for (bool more = true; more;) {
        uint64_t dimension = 0;
        int r = decode_integer(decoder, entry, "a dimension", &dimension);
        if (r)
            return r;
        if (!scan_next(scan, ']', &more))
            return syntax_problem(decoder, entry->name);
        entry->shape_size += shape_pack((unsigned char *)entry->shape + entry->shape_size, dimension);
        entry->rank++;
    }
    return 0;
}

static int decode_offsets(struct decoder *decoder, struct entry *entry)
{
    static const char two_numbers[] = "an array of two numbers";
    struct scan *scan = &decoder->scan;
    uint64_t offsets[2] = {0, 0};
    size_t count = 0;
    if (scan_peek(scan) != '[')
        return wrong_value(decoder, entry, ENTRY_DEPTH, "data_offsets", two_numbers);
    const char *at = scan->at++;
    bool more = !scan_take(scan, ']');
    while (more) {
        uint64_t ignored;
        int r = decode_integer(decoder, entry, "an offset", count < 2 ? &offsets[count] : &ignored);
        if (r)
            return r;
        if (!scan_next(scan, ']', &more))
            return syntax_problem(decoder, entry->name);
        count++;
    }
    entry->begin = offsets[0];
    entry->end = offsets[1];
    if (count == 2)
        return 0;
    entry->is_broken = true;
    char found[24];
    snprintf(found, sizeof found, "%zu", count);
    return form_problem(decoder, entry->name, at, (struct compared){two_numbers, found},
                        "data_offsets must be %s, found %s", two_numbers, found);
}

/* Whatever it is, the official library ignores it; a whole number of 32 bits is a checksum to us. */
static int decode_crc(struct decoder *decoder, struct entry *entry)
{
    struct scan *scan = &decoder->scan;
    char first = scan_peek(scan);
    bool is_integer = false;
    uint64_t value = 0;
    bool is_number = first >= '0' && first <= '9';
    if (is_number ? !scan_number(scan, &is_integer, &value) : !scan_skip(scan, ENTRY_DEPTH))
        return syntax_problem(decoder, entry->name);
    entry->has_crc = is_integer && value <= UINT32_MAX;
    entry->crc = (uint32_t)value;
    return 0;
}

static int decode_unknown(struct decoder *decoder, struct entry *entry)
{
    return scan_skip(&decoder->scan, ENTRY_DEPTH) ? 0 : syntax_problem(decoder, entry->name);
}

static int decode_field(struct decoder *decoder, struct entry *entry, enum field field)
{
    const char *at = decoder->scan.at;
    if (field < FIELD_COUNT && entry->seen >> field & 1) {
        entry->is_broken = true;
        int r = decode_unknown(decoder, entry);
        return r ? r
                 : form_problem(decoder, entry->name, at, (struct compared){"one", "a second"},
                                "'%s' occurs twice", field_names[field]);
    }
    entry->seen |= 1U << field;
    switch (field) {
    case FIELD_DTYPE:
        return decode_dtype(decoder, entry);
    case FIELD_SHAPE:
        return decode_shape(decoder, entry);
    case FIELD_OFFSETS:
        return decoder->mode & HEADER_DOCUMENT ? decode_unknown(decoder, entry)
                                               : decode_offsets(decoder, entry);
    case FIELD_CRC:
        return decode_crc(decoder, entry);
    default:
        return decode_unknown(decoder, entry);
    }
}

/* --- the entry ------------------------------------------------------------------------------------------ */

static enum field field_of(const struct member *member)
{
    enum field field;
    switch (member->length) {
    case 5:
        field = member->name[0] == 'd' ? FIELD_DTYPE : member->name[0] == 's' ? FIELD_SHAPE : FIELD_CRC;
        break;
    case 12:
        field = FIELD_OFFSETS;
        break;
    default:
        return FIELD_UNKNOWN;
    }
    return memcmp(member->name, field_names[field], member->length) == 0 ? field : FIELD_UNKNOWN;
}

static int unknown_member(struct decoder *decoder, const struct entry *entry, const struct member *member)
{
    if (!(decoder->mode & HEADER_STRICT))
        return 0;
    char what[300];
    struct printable found = printable(member->name, member->length);
    snprintf(what, sizeof what, "the format knows no member '%s'", found.text);
    return decode_problem(decoder, WFS_CODE_STRICT_UNKNOWN_FIELD, entry->name, member->name - 1,
                          (struct compared){"dtype, shape and data_offsets", found.text}, what);
}

static int decode_object(struct decoder *decoder, struct entry *entry)
{
    struct scan *scan = &decoder->scan;
    scan->at++;
    if (scan_take(scan, '}'))
        return 0;
    for (bool more = true; more;) {
        char *key;
        struct member member;
        if (!scan_key(scan, &key, &member.length))
            return syntax_problem(decoder, entry->name);
        member.name = key;
        enum field field = field_of(&member);
        int r = field > FIELD_COUNT ? unknown_member(decoder, entry, &member) : 0;
        if (r == 0)
            r = decode_field(decoder, entry, field);
        if (r)
            return r;
        if (!scan_next(scan, '}', &more))
            return syntax_problem(decoder, entry->name);
    }
    return 0;
}

static int decode_array(struct decoder *decoder, struct entry *entry)
{
    struct scan *scan = &decoder->scan;
    const char *at = scan->at++;
    unsigned count = 0;
    entry->is_odd = true;
    bool more = !scan_take(scan, ']');
    while (more) {
        int r = count < FIELD_COUNT ? decode_field(decoder, entry, (enum field)count)
                                    : decode_unknown(decoder, entry);
        if (r)
            return r;
        if (!scan_next(scan, ']', &more))
            return syntax_problem(decoder, entry->name);
        count++;
    }
    if (count == FIELD_COUNT)
        return 0;
    entry->is_broken = true;
    entry->seen = (1U << FIELD_COUNT) - 1;
    char found[16];
    snprintf(found, sizeof found, "%u", count);
    return form_problem(decoder, entry->name, at, (struct compared){"three values", found},
                        "an entry that is an array has three values, found %s", found);
}

static int check_missing(struct decoder *decoder, struct entry *entry, const char *at)
{
    for (unsigned field = 0; field < FIELD_COUNT && !(decoder->mode & HEADER_DOCUMENT); field++) {
        if (entry->seen >> field & 1)
            continue;
        entry->is_broken = true;
        int r = form_problem(decoder, entry->name, at, (struct compared){field_names[field], "none"},
                             "'%s' is missing", field_names[field]);
        if (r)
            return r;
    }
    return 0;
}

static int check_strict(struct decoder *decoder, const struct entry *entry, const char *at)
{
    if (!(decoder->mode & HEADER_STRICT))
        return 0;
    int r = 0;
    if (entry->is_odd)
        r = decode_problem(decoder, WFS_CODE_STRICT_ENTRY_FORM, entry->name, at,
                           (struct compared){"an object with a string",
                                             *at == '[' ? "an array" : "an object with an object"},
                           "an entry must be an object and its dtype a string");
    if (r == 0 && memchr(entry->name->name, '\0', entry->name->length))
        r = decode_problem(decoder, WFS_CODE_STRICT_NUL_NAME, entry->name, at,
                           (struct compared){"no NUL", "a NUL"}, "the name has a NUL in it");
    return r;
}

/* Keeps what was read, the CRC and the shape behind the name (storage.h). */
static int keep(struct decoder *decoder, const struct entry *entry)
{
    struct wfs_header *header = decoder->header;
    if (storage_grow_tensors(header, place_of(decoder, decoder->scan.at)) < 0)
        return -ENOMEM;
    struct tensor_record *record = &header->tensors[header->tensor_count++];
    *record = (struct tensor_record){
        .begin = entry->begin,
        .end = entry->end,
        .name = (uint32_t)place_of(decoder, entry->name->name),
        .name_length = entry->name->length & PLACE_MASK,
        .shape_size = (uint32_t)entry->shape_size,
        .rank = entry->seen >> FIELD_SHAPE & 1 ? entry->rank & RANK_MISSING : RANK_MISSING,
        .dtype = entry->dtype & 0x1f,
        .has_crc = entry->has_crc,
    };
    char *extra = record_extra(header, record);
    if (entry->shape_size)
        memmove(extra + (entry->has_crc ? CRC_SIZE : 0), entry->shape, entry->shape_size);
    uint32_t crc = htole32(entry->crc);
    if (entry->has_crc)
        memcpy(extra, &crc, CRC_SIZE);
    return 0;
}

static int not_an_entry(struct decoder *decoder, const struct member *tensor)
{
    bool is_special = tensor->length > 2 && memcmp(tensor->name, "__", 2) == 0;
    return skip_wrong(decoder, tensor, 1, "an entry",
                      is_special ? "an object (stsw writes such a key: --tolerate stsw reads it)"
                                 : "an object");
}

int decode_tensor(struct decoder *decoder, const struct member *tensor)
{
    struct entry entry = {.name = tensor, .dtype = WFS_DTYPE_COUNT};
    char first = scan_peek(&decoder->scan);
    const char *at = decoder->scan.at;
    if (first != '{' && first != '[')
        return not_an_entry(decoder, tensor);
    int r = first == '{' ? decode_object(decoder, &entry) : decode_array(decoder, &entry);
    if (r == 0)
        r = check_missing(decoder, &entry, at);
    if (r == 0)
        r = check_strict(decoder, &entry, at);
    return r || entry.is_broken ? r : keep(decoder, &entry);
}
