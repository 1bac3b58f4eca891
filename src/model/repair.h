/* SPDX-License-Identifier: Apache-2.0
 *
 * An official file from one that the official library refuses, as long as it is certain what every tensor's
 * bytes are.
 */
#ifndef MODEL_REPAIR_H
#define MODEL_REPAIR_H

#include "model/mend.h"

#include <stdbool.h>
#include <stdint.h>

struct repair_options {
    bool replace; /* an existing output */
    mend_report *report;
    void *context;
    int (*progress)(void *context, uint64_t written, uint64_t total);
    void *progress_context;
};

/* Writes the canonical file `to` with the tensors and metadata of `from`, telling each thing that was mended.
 * Checksums that are stored are compared first, and written again as CRC-32. -EINVAL with the rule when it is
 * not certain what the bytes are. Returns what wfs_writer_finish() does. */
int repair_file(const char *from, const char *to, const struct repair_options *options,
                struct wfs_error *err);

#endif
