/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding everything that is wrong with a file, not only the first thing.
 */
#ifndef WEIGHTFS_VERIFY_H
#define WEIGHTFS_VERIFY_H

#include <weightfs/header.h>

#ifdef __cplusplus
extern "C" {
#endif

struct wfs_verify_options {
    unsigned flags; /* enum wfs_read_flags of reader.h */
    int crc;        /* read every tensor that has a checksum, and compare */
    /* bytes read for the checksums; non-zero ends the call with -ECANCELED */
    int (*progress)(void *context, uint64_t done, uint64_t total);
    void *context;
};

struct wfs_verdict {
    int is_valid;           /* no problem but warnings, under the options given */
    enum wfs_code official; /* what the official library says of the file; WFS_CODE_NONE: it reads it */
    const char *kind;       /* what the file really is ("a GGUF file"), or NULL; a constant */
    size_t tensor_count;    /* 0 when the header cannot be read */
    size_t error_count;
    size_t warning_count;
    size_t crc_count; /* tensors whose checksum was compared */
};

/* Verifies a file. Each problem goes to `report`, which may be NULL. Returns 0 with the verdict, whatever it
 * is; a negative errno only when the file could not be read at all. `options` may be NULL. */
WFS_API int wfs_verify_path(const char *path, const struct wfs_verify_options *options, wfs_report *report,
                            void *context, struct wfs_verdict *ret_verdict, struct wfs_error *err);

/* The same for an open descriptor; `name` is for messages. */
WFS_API int wfs_verify_fd(int fd, const char *name, const struct wfs_verify_options *options,
                          wfs_report *report, void *context, struct wfs_verdict *ret_verdict,
                          struct wfs_error *err);

#ifdef __cplusplus
}
#endif
#endif
