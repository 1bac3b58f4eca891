/* SPDX-License-Identifier: Apache-2.0
 *
 * The input is the JSON of a header. What is mended needs no mending and does not change; what the official
 * library reads, it reads with the same tensors afterwards.
 */
#include "base/cleanup.h"
#include "format/header.h"
#include "fuzz/fuzz.h"
#include "model/mend.h"

static void hear(void *context, const char *sentence)
{
    MUST(sentence[0]);
    ++*(size_t *)context;
}

static uint64_t end_of_data(const struct wfs_header *header)
{
    size_t count = wfs_header_count(header);
    return count ? wfs_header_tensor(header, count - 1).end : 0;
}

/* Decodes with gaps and trailing bytes allowed, whatever the size of the data. */
static int decode(const void *bytes, size_t size, struct wfs_header **ret_header)
{
    return header_decode(fuzz_copy(bytes, size, 1), size, HEADER_PREFIX + size + (UINT64_C(1) << 40),
                         HEADER_STSW, ret_header, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    auto_bytes mended = BYTES_EMPTY;
    auto_bytes again = BYTES_EMPTY;
    auto_free char *input = fuzz_copy(bytes, size, 0);
    auto_header struct wfs_header *before = NULL;
    auto_header struct wfs_header *after = NULL;
    struct wfs_error err = {0, WFS_CODE_NONE, ""};
    size_t told = 0;

    int was_readable = decode(bytes, size, &before);
    int r = mend_header(input, size, hear, NULL, &told, &mended, &err);
    MUST(r == 0 || (r == -EINVAL && err.code != WFS_CODE_NONE && err.text[0]));
    if (r < 0) {
        MUST(was_readable < 0 || strstr(err.text, "did not finish"));
        return 0;
    }
    told = 0;
    MUST(mend_header(mended.data, mended.length, hear, NULL, &told, &again, &err) == 0);
    MUST(told == 0 && again.length == mended.length && memcmp(again.data, mended.data, again.length) == 0);
    if (was_readable < 0)
        return 0;
    MUST(decode(mended.data, mended.length, &after) == 0);
    MUST(wfs_header_count(after) == wfs_header_count(before) && end_of_data(after) == end_of_data(before));
    MUST(wfs_header_metadata_count(after) == wfs_header_metadata_count(before));
    return 0;
}
