/* SPDX-License-Identifier: Apache-2.0 */
#include "model/mend.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "format/hash.h"
#include "format/header.h"
#include "format/name.h"
#include "format/scan.h"
#include "model/lookup.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/* A member of the outermost object: places in the text. */
struct member {
    size_t key, key_end; /* with its quotes */
    size_t value, value_end;
    const char *name; /* the key unescaped, in the scanned copy */
    size_t name_length;
    bool is_dropped;
};

struct mending {
    const char *json; /* as it is in the file */
    struct scan scan; /* over a copy, which scanning changes */
    char *copy;
    mend_report *report;
    mend_same_bytes *same_bytes;
    void *context;
    struct member *members;
    size_t count, capacity;
    struct wfs_error *err;
};

void mend_tell(mend_report *report, void *context, const char *format, ...)
{
    char sentence[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    report(context, sentence);
}

static size_t place(const struct mending *mending)
{
    return (size_t)(mending->scan.at - mending->copy);
}

static int beyond_mending(const struct mending *mending)
{
    return error_rule(mending->err, WFS_CODE_INVALID_HEADER_DESERIALIZATION,
                      "InvalidHeaderDeserialization: %s (byte %zu of the file)", mending->scan.reason,
                      place(mending) + HEADER_PREFIX);
}

static bool is_named(const struct member *member, const char *name)
{
    return member->name_length == strlen(name) && memcmp(member->name, name, member->name_length) == 0;
}

static struct printable name_of(const struct member *member)
{
    return printable(member->name, member->name_length);
}

/* --- reading the members ------------------------------------------------------------------------------ */

/* Scans one member whose value is anything; `depth` containers are open around the value. */
static int scan_member(struct mending *mending, unsigned depth, struct member *member)
{
    struct scan *scan = &mending->scan;
    char *name = NULL;

    *member = (struct member){0};
    scan_peek(scan);
    member->key = place(mending);
    if (!scan_key(scan, &name, &member->name_length))
        return beyond_mending(mending);
    const char *quote = memrchr(mending->json + member->key, ':', place(mending) - member->key);
    member->key_end = (size_t)(quote - mending->json);
    scan_peek(scan);
    member->value = place(mending);
    if (!scan_skip(scan, depth))
        return beyond_mending(mending);
    member->value_end = place(mending);
    member->name = name;
    return 0;
}

static int keep_member(struct mending *mending, const struct member *member)
{
    if (mending->count == mending->capacity) {
        size_t capacity = mending->capacity ? mending->capacity * 2 : 64;
        struct member *members = reallocarray(mending->members, capacity, sizeof *members);
        if (!members)
            return error_no_memory(mending->err);
        mending->members = members;
        mending->capacity = capacity;
    }
    mending->members[mending->count++] = *member;
    return 0;
}

static int scan_members(struct mending *mending)
{
    struct scan *scan = &mending->scan;
    struct member member;
    bool more = true;

    if (scan_peek(scan) != '{') {
        scan_fail(scan, "a '{' should stand here", "'{'");
        return beyond_mending(mending);
    }
    if (place(mending) > 0)
        mend_tell(mending->report, mending->context, "the header began with %zu blanks", place(mending));
    scan->at++;
    if (scan_take(scan, '}'))
        return 0;
    while (more) {
        int r = scan_member(mending, 1, &member);
        if (r == 0)
            r = keep_member(mending, &member);
        if (r < 0)
            return r;
        if (!scan_next(scan, '}', &more))
            return beyond_mending(mending);
    }
    return 0;
}

/* What follows the last '}' is dropped, whatever it is. */
static void drop_padding(const struct mending *mending, size_t length)
{
    size_t begin = place(mending);
    size_t other = 0;

    for (size_t i = begin; i < length; i++)
        other += mending->json[i] != ' ';
    if (other > 0)
        mend_tell(mending->report, mending->context,
                  "the padding of the header had %zu bytes that are no spaces", other);
}

/* --- members that do not belong there ----------------------------------------------------------------- */

static int drop_special(struct mending *mending, struct member *member)
{
    const char *value = mending->json + member->value;

    if (*value == '{' || member->name_length < 2 || memcmp(member->name, "__", 2) != 0)
        return 0;
    if (is_named(member, "__incomplete__") && *value == 't')
        return error_rule(
            mending->err, WFS_CODE_INVALID_HEADER_DESERIALIZATION,
            "InvalidHeaderDeserialization: stsw did not finish this file, its data is not whole");
    if (is_named(member, "__metadata__") && *value == 'n')
        return 0;
    member->is_dropped = true;
    mend_tell(mending->report, mending->context, "the header had a member '%s', which is no tensor",
              name_of(member).text);
    return 0;
}

static bool same_text(const struct mending *mending, const struct member *a, const struct member *b)
{
    size_t length = a->value_end - a->value;

    return length == b->value_end - b->value &&
           memcmp(mending->json + a->value, mending->json + b->value, length) == 0;
}

static bool same_name(const struct member *a, const struct member *b)
{
    return a->name_length == b->name_length && memcmp(a->name, b->name, a->name_length) == 0;
}

/* The entry of a tensor as a header of its own, which lets its bytes lie anywhere; NULL: it is none. */
static int decode_alone(const struct mending *mending, const struct member *member,
                        struct wfs_header **ret_header)
{
    auto_bytes json = BYTES_EMPTY;

    bytes_string(&json, "{\"\":");
    bytes_append(&json, mending->json + member->value, member->value_end - member->value);
    bytes_char(&json, '}');
    size_t length = json.length;
    char *text = bytes_take(&json);
    if (!text)
        return -ENOMEM;
    return header_decode(text, length, UINT64_MAX, HEADER_STSW, ret_header, NULL) == -ENOMEM ? -ENOMEM : 0;
}

static bool has_same_checksum(const struct wfs_header *a, const struct wfs_header *b)
{
    uint32_t first = 0;
    uint32_t second = 0;

    return header_crc(a, 0, &first) == header_crc(b, 0, &second) && first == second;
}

/* The same tensor, however it is written down and wherever its bytes lie: 1, else 0; -ENOMEM. */
static int same_tensor(const struct mending *mending, const struct member *first, const struct member *second)
{
    auto_header struct wfs_header *a = NULL;
    auto_header struct wfs_header *b = NULL;

    if (decode_alone(mending, first, &a) < 0 || decode_alone(mending, second, &b) < 0)
        return -ENOMEM;
    if (!a || !b || wfs_header_count(a) != 1 || wfs_header_count(b) != 1 || !has_same_checksum(a, b))
        return 0;
    struct wfs_tensor x = wfs_header_tensor(a, 0);
    struct wfs_tensor y = wfs_header_tensor(b, 0);
    if (x.dtype != y.dtype || x.rank != y.rank || x.shape_size != y.shape_size ||
        memcmp(x.shape, y.shape, x.shape_size) != 0)
        return 0;
    if (x.begin == y.begin)
        return 1;
    return mending->same_bytes ? mending->same_bytes(mending->context, x.begin, y.begin, x.end - x.begin) : 0;
}

static int drop_duplicate(struct mending *mending, const struct member *first, struct member *second)
{
    bool is_same_text = same_text(mending, first, second);

    int r = is_same_text ? 1 : same_tensor(mending, first, second);
    if (r < 0)
        return r == -ENOMEM ? error_no_memory(mending->err)
                            : error_errno(mending->err, -r, "the data cannot be read");
    if (r == 0)
        return error_rule(
            mending->err, WFS_CODE_DUPLICATE_TENSOR,
            "tensor '%s': DuplicateTensor: the entries at bytes %zu and %zu of the file differ, "
            "nobody can tell which is meant",
            name_of(first).text, first->key + HEADER_PREFIX, second->key + HEADER_PREFIX);
    second->is_dropped = true;
    mend_tell(mending->report, mending->context, "tensor '%s': the same %s stood twice in the header",
              name_of(first).text, is_same_text ? "entry" : "tensor");
    return 0;
}

static int drop_duplicates(struct mending *mending)
{
    uint64_t key[2] = {0, 0};
    struct lookup names = LOOKUP_EMPTY;
    if (!mending->members)
        return 0;
    int r = getrandom(key, sizeof key, 0) < 0 ? -errno : 0;

    for (size_t i = 0; r == 0 && i < mending->count; i++) {
        const struct member *member = &mending->members[i];
        if (!member->is_dropped)
            r = lookup_add(&names, hash_bytes(key, member->name, member->name_length), i);
    }
    if (r < 0)
        error_errno(mending->err, -r, "the names cannot be compared");
    lookup_sort(&names);
    for (size_t i = 1, kept = 0; r == 0 && i < names.count; i++) {
        const struct member *first = &mending->members[names.pairs[kept].index];
        struct member *second = &mending->members[names.pairs[i].index];
        if (names.pairs[kept].key == names.pairs[i].key && same_name(first, second))
            r = drop_duplicate(mending, first, second);
        else
            kept = i;
    }
    lookup_clear(&names);
    return r;
}

/* --- writing ------------------------------------------------------------------------------------------ */

static void copy_text(const struct mending *mending, size_t begin, size_t end, struct bytes *out)
{
    bytes_append(out, mending->json + begin, end - begin);
}

static void write_pair(const struct mending *mending, const struct member *pair, struct bytes *out)
{
    const char *value = mending->json + pair->value;
    size_t length = pair->value_end - pair->value;

    copy_text(mending, pair->key, pair->key_end, out);
    bytes_char(out, ':');
    if (*value == '"') {
        bytes_append(out, value, length);
        return;
    }
    bytes_json(out, value, length);
    mend_tell(mending->report, mending->context, "metadata '%s': the value %s is now a string",
              name_of(pair).text, printable(value, length).text);
}

/* The map of __metadata__, scanned a second time over a fresh copy of its text. */
static int write_metadata(struct mending *mending, const struct member *member, struct bytes *out)
{
    struct mending inner = *mending;
    size_t size = member->value_end - member->value;
    auto_free char *copy = malloc(member->value_end + 1);
    struct member pair;
    bool more = true;
    bool is_first = true;

    if (!copy)
        return error_no_memory(mending->err);
    memcpy(copy + member->value, mending->json + member->value, size);
    copy[member->value_end] = '\0';
    inner.copy = copy;
    inner.scan = (struct scan){.at = copy + member->value, .end = copy + member->value_end};
    bytes_char(out, '{');
    if (!scan_take(&inner.scan, '{') || scan_take(&inner.scan, '}')) {
        bytes_char(out, '}');
        return 0;
    }
    for (; more; is_first = false) {
        int r = scan_member(&inner, 2, &pair);
        if (r < 0)
            return r;
        if (!is_first)
            bytes_char(out, ',');
        write_pair(&inner, &pair, out);
        if (!scan_next(&inner.scan, '}', &more))
            return beyond_mending(&inner);
    }
    bytes_char(out, '}');
    return 0;
}

static int write_members(struct mending *mending, struct bytes *out)
{
    bytes_char(out, '{');
    for (size_t i = 0; i < mending->count; i++) {
        const struct member *member = &mending->members[i];
        if (member->is_dropped)
            continue;
        if (out->length > 0 && out->data[out->length - 1] != '{')
            bytes_char(out, ',');
        copy_text(mending, member->key, member->key_end, out);
        bytes_char(out, ':');
        if (is_named(member, "__metadata__") && mending->json[member->value] == '{') {
            int r = write_metadata(mending, member, out);
            if (r < 0)
                return r;
        } else {
            copy_text(mending, member->value, member->value_end, out);
        }
    }
    bytes_char(out, '}');
    return out->failed ? error_no_memory(mending->err) : 0;
}

static int mend(struct mending *mending, size_t length, struct bytes *out)
{
    int r = scan_members(mending);
    if (r < 0)
        return r;
    drop_padding(mending, length);
    for (size_t i = 0; r == 0 && i < mending->count; i++)
        r = drop_special(mending, &mending->members[i]);
    if (r == 0)
        r = drop_duplicates(mending);
    return r < 0 ? r : write_members(mending, out);
}

int mend_header(const char *json, size_t length, mend_report *report, mend_same_bytes *same_bytes,
                void *context, struct bytes *out, struct wfs_error *err)
{
    auto_free char *copy = malloc(length + 1);
    struct mending mending = {.json = json,
                              .copy = copy,
                              .report = report,
                              .same_bytes = same_bytes,
                              .context = context,
                              .err = err};

    if (!copy)
        return error_no_memory(err);
    memcpy(copy, json, length);
    copy[length] = '\0';
    mending.scan = (struct scan){.at = copy, .end = copy + length};
    if (!utf8_is_valid(json, length))
        return error_rule(err, WFS_CODE_INVALID_HEADER, "InvalidHeader: the header is not UTF-8");
    int r = mend(&mending, length, out);
    free(mending.members);
    return r;
}
