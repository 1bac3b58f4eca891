/* SPDX-License-Identifier: Apache-2.0
 *
 * The text of a header that is nearly right, made right: keys of stsw taken out, values of __metadata__ made
 * strings, a tensor that stands there twice taken out once, the padding made blank. Where the tensors
 * lie is not judged here.
 */
#ifndef MODEL_MEND_H
#define MODEL_MEND_H

#include "base/bytes.h"

#include <weightfs/error.h>

/* Receives one sentence for each thing mended. */
typedef void mend_report(void *context, const char *sentence);

/* Makes the sentence and hands it over. */
void mend_tell(mend_report *report, void *context, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Whether `length` bytes of the data section are the same at both places: 1 or 0; negative errno. */
typedef int mend_same_bytes(void *context, uint64_t begin, uint64_t other, uint64_t length);

/* Appends the mended JSON of a header of `length` bytes to `out`. -EINVAL with a sentence when it is beyond
 * mending: no JSON, no UTF-8, not finished by stsw, a name that stands for two different tensors. A NULL
 * `same_bytes` takes any two places for different. */
int mend_header(const char *json, size_t length, mend_report *report, mend_same_bytes *same_bytes,
                void *context, struct bytes *out, struct wfs_error *err);

#endif
