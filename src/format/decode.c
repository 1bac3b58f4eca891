/* SPDX-License-Identifier: Apache-2.0 */
#include "format/decode.h"

#include "base/cleanup.h"
#include "format/utf8.h"
#include "format/validate.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* --- problems of the text ------------------------------------------------------------------------------- */

bool member_is(const struct member *member, const char *name)
{
    return member->length == strlen(name) && memcmp(name, member->name, member->length) == 0;
}

static enum wfs_code json_code(const struct decoder *decoder)
{
    return decoder->mode & HEADER_DOCUMENT ? WFS_CODE_DOCUMENT_INVALID
                                           : WFS_CODE_INVALID_HEADER_DESERIALIZATION;
}

int decode_problem(struct decoder *decoder, enum wfs_code code, const struct member *tensor, const char *at,
                   struct compared compared, const char *what)
{
    struct site site = {
        .place = place_of(decoder, at), .expected = compared.expected, .found = compared.found};
    if (tensor) {
        site.tensor = tensor->name;
        site.tensor_length = tensor->length;
    }
    decoder->problems->json_count += code == json_code(decoder) || code == WFS_CODE_DTYPE_UNKNOWN;
    if (decoder->mode & HEADER_DOCUMENT)
        return problem(decoder->problems, code, &site, "%s", what);
    return problem(decoder->problems, code, &site, "%s (byte %zu of the file)", what,
                   site.place + HEADER_PREFIX);
}

int form_problem(struct decoder *decoder, const struct member *tensor, const char *at,
                 struct compared compared, const char *format, ...)
{
    char what[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    return decode_problem(decoder, json_code(decoder), tensor, at, compared, what);
}

/* "'x'", "byte 0x0a", "the end" */
struct found_byte {
    char text[16];
};

static struct found_byte found_byte(const struct decoder *decoder, const char *at)
{
    struct found_byte found = {"the end"};
    if (at < decoder->scan.end)
        snprintf(found.text, sizeof found.text, *at > ' ' && *at < 0x7f ? "'%c'" : "byte 0x%02x",
                 (unsigned char)*at);
    return found;
}

int syntax_problem(struct decoder *decoder, const struct member *tensor)
{
    const struct scan *scan = &decoder->scan;
    struct found_byte found = found_byte(decoder, scan->at);
    struct compared compared = {scan->expected, found.text};
    int r = form_problem(decoder, tensor, scan->at, compared, "%s", scan->reason);
    return r ? r : -EINVAL;
}

const char *kind_of_value(char first)
{
    switch (first) {
    case '{':
        return "an object";
    case '[':
        return "an array";
    case '"':
        return "a string";
    case 't':
    case 'f':
        return "a boolean";
    case 'n':
        return "null";
    default:
        return "a number";
    }
}

int skip_wrong(struct decoder *decoder, const struct member *tensor, unsigned depth, const char *subject,
               const char *expected)
{
    struct compared compared = {expected, kind_of_value(scan_peek(&decoder->scan))};
    const char *at = decoder->scan.at;
    if (!scan_skip(&decoder->scan, depth))
        return syntax_problem(decoder, tensor);
    return form_problem(decoder, tensor, at, compared, "%s must be %s, found %s", subject, expected,
                        compared.found);
}

/* --- the outermost object ------------------------------------------------------------------------------- */

/* Keys that stsw puts beside the tensors: "__version__":"1.0", and "__incomplete__":true until the file is
 * whole. */
static int decode_stsw_member(struct decoder *decoder, const struct member *member)
{
    const char *at = decoder->scan.at;
    bool is_true = scan_peek(&decoder->scan) == 't';
    if (!scan_skip(&decoder->scan, 1))
        return syntax_problem(decoder, member);
    if (is_true && member_is(member, "__incomplete__"))
        return form_problem(decoder, NULL, at, (struct compared){"a finished file", "true"},
                            "stsw did not finish this file: \"__incomplete__\" is true");
    return 0;
}

static int decode_member(struct decoder *decoder)
{
    struct scan *scan = &decoder->scan;
    char *key;
    struct member member;
    if (!scan_key(scan, &key, &member.length))
        return syntax_problem(decoder, NULL);
    member.name = key;
    if (member_is(&member, "__metadata__"))
        return decode_metadata(decoder, key);
    bool is_special = member.length > 2 && key[0] == '_' && key[1] == '_' && scan_peek(scan) != '{';
    if (is_special && decoder->mode & HEADER_STSW)
        return decode_stsw_member(decoder, &member);
    return decode_tensor(decoder, &member);
}

static int decode_members(struct decoder *decoder)
{
    struct scan *scan = &decoder->scan;
    if (!scan_take(scan, '{')) {
        scan_fail(scan, "a '{' should stand here", "'{'");
        return syntax_problem(decoder, NULL);
    }
    if (scan_take(scan, '}'))
        return 0;
    bool more = true;
    while (more) {
        int r = decode_member(decoder);
        if (r)
            return r;
        if (!scan_next(scan, '}', &more))
            return syntax_problem(decoder, NULL);
    }
    return 0;
}

/* Blanks are all that may follow, and to the specification only spaces. */
static int decode_padding(struct decoder *decoder)
{
    struct scan *scan = &decoder->scan;
    const char *padding = scan->at;
    scan_peek(scan);
    if (scan->at < scan->end) {
        scan_fail(scan, "nothing but blanks may follow the last '}'", "blanks");
        return syntax_problem(decoder, NULL);
    }
    const char *other = padding + strspn(padding, " ");
    if (!(decoder->mode & HEADER_STRICT) || other == scan->end)
        return 0;
    struct found_byte found = found_byte(decoder, other);
    return decode_problem(decoder, WFS_CODE_STRICT_PADDING, NULL, other,
                          (struct compared){"spaces", found.text},
                          "the padding has other blanks than spaces");
}

static int check_utf8(struct decoder *decoder)
{
    const struct wfs_header *header = decoder->header;
    size_t valid = utf8_valid_prefix(header->text, header->length);
    if (valid == header->length)
        return 0;
    bool is_document = decoder->mode & HEADER_DOCUMENT;
    struct found_byte found = found_byte(decoder, header->text + valid);
    int r = decode_problem(decoder, is_document ? WFS_CODE_DOCUMENT_INVALID : WFS_CODE_INVALID_HEADER, NULL,
                           header->text + valid, (struct compared){"UTF-8", found.text}, "this is not UTF-8");
    return r ? r : -EINVAL;
}

static int check_length(struct decoder *decoder)
{
    if (decoder->header->length <= HEADER_LENGTH_MAX)
        return 0;
    bool is_document = decoder->mode & HEADER_DOCUMENT;
    struct site site = {.place = SITE_NOWHERE};
    int r = problem(decoder->problems, is_document ? WFS_CODE_DOCUMENT_INVALID : WFS_CODE_HEADER_TOO_LARGE,
                    &site, "it has %zu bytes, the limit is %u", decoder->header->length, HEADER_LENGTH_MAX);
    return r ? r : -EINVAL;
}

static int check_start(struct decoder *decoder)
{
    if (!(decoder->mode & HEADER_STRICT) || !scan_is_space(*decoder->scan.at))
        return 0;
    struct found_byte found = found_byte(decoder, decoder->scan.at);
    return decode_problem(decoder, WFS_CODE_STRICT_START, NULL, decoder->scan.at,
                          (struct compared){"'{'", found.text},
                          "the header begins with blanks, expected '{'");
}

static int decode_text(struct decoder *decoder)
{
    static int (*const steps[])(struct decoder *) = {check_length, check_utf8, check_start, decode_members,
                                                     decode_padding};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        int r = steps[i](decoder);
        if (r)
            return r;
    }
    return 0;
}

/* --- the whole ------------------------------------------------------------------------------------------ */

static int decode_all(struct wfs_header *header, uint64_t file_size, unsigned mode, struct problems *problems)
{
    struct decoder decoder = {
        .scan = {.at = header->text, .end = header->text + header->length},
        .header = header,
        .problems = problems,
        .mode = mode,
    };
    header->text[header->length] = '\0';
    int r = decode_text(&decoder);
    if (r)
        return r;
    r = validate(header, file_size, mode, problems);
    return r ? r : problems_verdict(problems);
}

static int decode(char *json, size_t length, uint64_t file_size, unsigned mode, struct problems *problems,
                  struct wfs_header **ret_header)
{
    auto_header struct wfs_header *header = storage_new(json, length);
    if (!header)
        return error_no_memory(problems->err);
    auto_free char *document = NULL;
    if (mode & HEADER_DOCUMENT) { /* decoding spends the text, a place in it must still be found */
        document = malloc(length + 1);
        if (!document)
            return error_no_memory(problems->err);
        memcpy(document, json, length);
        problems->document = document;
        problems->document_length = length;
    }
    int r = decode_all(header, file_size, mode, problems);
    if (r == -ENOMEM)
        return error_no_memory(problems->err);
    if (r)
        return r;
    *ret_header = take_ptr(header);
    return 0;
}

int header_decode(char *json, size_t length, uint64_t file_size, unsigned mode,
                  struct wfs_header **ret_header, struct wfs_error *err)
{
    struct problems problems = {.err = err};
    return decode(json, length, file_size, mode, &problems, ret_header);
}

int header_check(char *json, size_t length, uint64_t file_size, unsigned mode, wfs_report *report,
                 void *context, struct wfs_header **ret_header)
{
    struct problems problems = {.report = report, .context = context};
    return decode(json, length, file_size, mode, &problems, ret_header);
}
