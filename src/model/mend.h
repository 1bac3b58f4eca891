/* SPDX-License-Identifier: Apache-2.0
 *
 * The text of a header that is nearly right, made right: keys of stsw taken out, values of __metadata__ made
 * strings, a tensor's entry that stands there twice taken out once, the padding made blank. Where the tensors
 * lie is not judged here.
 */
#ifndef MODEL_MEND_H
#define MODEL_MEND_H

#include "base/bytes.h"

#include <weightfs/error.h>

/* Receives one sentence for each thing mended. */
typedef void mend_report(void *context, const char *sentence);

/* Appends the mended JSON of a header of `length` bytes to `out`. -EINVAL with a sentence when it is beyond
 * mending: no JSON, no UTF-8, not finished by stsw, a name that stands for two different tensors. */
int mend_header(const char *json, size_t length, mend_report *report, void *context, struct bytes *out,
                struct wfs_error *err);

#endif
