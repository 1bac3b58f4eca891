/* SPDX-License-Identifier: Apache-2.0
 *
 * Filling a caller's struct wfs_error. Every function here accepts err == NULL and returns the negative
 * errno, so that reporting and returning are one statement: `return error_rule(err, WFS_CODE_X, "...")`.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <weightfs/error.h>

/* A name from a file made fit for a message: control bytes, quotes and bad UTF-8 escaped, long ones cut with
 * "...". */
struct printable {
    char text[224];
};

struct printable printable(const void *bytes, size_t length);

/* The same for a NUL-terminated string such as a path. */
struct printable printable_string(const char *string);

/* A rule was broken: errno is the rule's, code the rule. */
int error_rule(struct wfs_error *err, enum wfs_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A call failed with `errnum` (positive): the text is the format's, then ": ", then the errno's words. The
 * code is the refusal that belongs to the errno (ENOSPC and EDQUOT NoSpace, EROFS ReadOnly, EBUSY Busy, else
 * IoFailed). */
int error_errno(struct wfs_error *err, int errnum, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

int error_no_memory(struct wfs_error *err);

/* Puts a context in front of the sentence: "model.safetensors: " */
void error_prefix(struct wfs_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* And words behind it: "; nothing was changed" */
void error_suffix(struct wfs_error *err, const char *words);

#endif
