/* SPDX-License-Identifier: Apache-2.0 */
#include "format/problems.h"

#include "format/header.h"

#include <stdarg.h>
#include <stdio.h>

static bool is_strict(enum wfs_code code)
{
    static const bool strict[WFS_CODE_COUNT] = {
#define RULE(symbol, name, kind, errnum, sentence, section) [WFS_CODE_##symbol] = RULE_IS_##kind,
#define RULE_IS_FORMAT                                      false
#define RULE_IS_OURS                                        false
#define RULE_IS_STRICT                                      true
#define RULE_IS_STAGE                                       false
#define RULE_IS_REFUSAL                                     false
#define RULE_IS_DATA                                        false
#include <weightfs/rules.def>
#undef RULE
    };
    return strict[code];
}

/* "line 3, column 7: " */
static void print_position(const struct problems *problems, const struct site *site, char *out, size_t size)
{
    out[0] = '\0';
    if (!problems->document || site->place == SITE_NOWHERE)
        return;
    size_t line;
    size_t column;
    header_position(problems->document, problems->document_length, site->place, &line, &column);
    snprintf(out, size, "line %zu, column %zu: ", line, column);
}

/* The byte in the file: a header's text begins behind the prefix, a document's where the file begins. */
static int64_t offset_of(const struct problems *problems, const struct site *site)
{
    if (site->place == SITE_NOWHERE)
        return -1;
    return (int64_t)(problems->document ? site->place : site->place + HEADER_PREFIX);
}

static int finish(struct problems *problems, enum wfs_code code, const struct site *site,
                  struct wfs_error *err)
{
    problems->count++;
    if (problems->report) {
        struct wfs_problem told = {
            .code = code,
            .tensor = site->tensor,
            .tensor_length = site->tensor ? site->tensor_length : 0,
            .offset = offset_of(problems, site),
            .expected = site->expected,
            .found = site->found,
            .message = err->text,
        };
        return problems->report(problems->context, &told);
    }
    if (is_strict(code)) {
        if (problems->strict.code == WFS_CODE_NONE)
            problems->strict = *err;
        return 0;
    }
    if (problems->err)
        *problems->err = *err;
    return -EINVAL;
}

int problem(struct problems *problems, enum wfs_code code, const struct site *site, const char *format, ...)
{
    char position[64];
    char what[512];
    struct wfs_error err;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    print_position(problems, site, position, sizeof position);
    if (site->tensor)
        error_rule(&err, code, "%stensor '%s': %s: %s", position,
                   printable(site->tensor, site->tensor_length).text, wfs_code_name(code), what);
    else
        error_rule(&err, code, "%s%s: %s", position, wfs_code_name(code), what);
    return finish(problems, code, site, &err);
}

int problems_verdict(struct problems *problems)
{
    if (problems->count == 0)
        return 0;
    if (!problems->report && problems->err)
        *problems->err = problems->strict;
    return -EINVAL;
}
