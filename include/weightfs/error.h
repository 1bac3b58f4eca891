/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors of libweightfs.
 *
 * Every function that can fail returns a negative errno and fills the caller's struct wfs_error once, where
 * the names are known; on success it returns 0 or more and leaves the struct untouched. The struct may be
 * NULL. The library never prints.
 */
#ifndef WEIGHTFS_ERROR_H
#define WEIGHTFS_ERROR_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define WFS_API __attribute__((visibility("default")))
#else
#define WFS_API
#endif

/* Which rule was broken (rules.def); WFS_CODE_NONE when only errno tells. */
enum wfs_code {
    WFS_CODE_NONE = 0,
#define RULE(symbol, name, kind, errnum, sentence, section) WFS_CODE_##symbol,
#include <weightfs/rules.def>
#undef RULE
    WFS_CODE_COUNT
};

/* A value for the caller's stack: nothing to free. */
struct wfs_error {
    int errnum;         /* positive errno */
    enum wfs_code code; /* the rule, or WFS_CODE_NONE */
    char text[640];     /* one sentence without newline or control bytes: subject, what, expected and found */
};

/* One thing wrong with a file or a staged model, as verify and check list them. Strings are borrowed for the
 * call. */
struct wfs_problem {
    enum wfs_code code;
    int is_warning;     /* warnings never block */
    const char *tensor; /* NULL: no tensor; UTF-8, tensor_length bytes, may hold NUL */
    size_t tensor_length;
    int64_t offset;       /* byte in the file, -1: none */
    const char *expected; /* NULL: nothing to compare */
    const char *found;
    const char *message; /* one finished sentence, fit for a terminal */
};

/* Receives problems one by one; a non-zero return stops the search and is handed back. */
typedef int wfs_report(void *context, const struct wfs_problem *problem);

/* "InvalidOffset"; "" for WFS_CODE_NONE. Never NULL. */
WFS_API const char *wfs_code_name(enum wfs_code code);

/* The sentence of rules.def. */
WFS_API const char *wfs_code_sentence(enum wfs_code code);

/* Where the rule is explained: "F 2.6" is docs/format.md section 2.6, "S 4" docs/staging.md section 4. */
WFS_API const char *wfs_code_section(enum wfs_code code);

/* The code of that name (exact), or WFS_CODE_NONE. */
WFS_API enum wfs_code wfs_code_by_name(const char *name);

#ifdef __cplusplus
}
#endif
#endif
