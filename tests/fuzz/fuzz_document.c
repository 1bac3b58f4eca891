/* SPDX-License-Identifier: Apache-2.0
 *
 * The input is a metadata.json. What is accepted is shown, and what is shown is accepted and shown the same.
 */
#include "base/cleanup.h"
#include "format/encode.h"
#include "format/header.h"
#include "fuzz/fuzz.h"

static int hear(void *context, const struct wfs_problem *problem)
{
    size_t size = *(size_t *)context;
    MUST(problem->offset < 0 || (uint64_t)problem->offset <= size);
    MUST(strncmp(problem->message, "line ", 5) == 0 || problem->offset < 0);
    return 0;
}

static int decode(const void *bytes, size_t size, struct wfs_header **ret_header)
{
    struct wfs_error err = {0, WFS_CODE_NONE, ""};
    int r = header_decode(fuzz_copy(bytes, size, 1), size, 0, HEADER_DOCUMENT, ret_header, &err);
    MUST(r == 0 ||
         (r == -EINVAL && (err.code == WFS_CODE_DOCUMENT_INVALID || err.code == WFS_CODE_DTYPE_UNKNOWN)));
    struct wfs_header *checked = NULL;
    MUST(header_check(fuzz_copy(bytes, size, 1), size, 0, HEADER_DOCUMENT, hear, &size, &checked) == r);
    wfs_header_free(checked);
    return r;
}

static struct bytes show(const struct wfs_header *header)
{
    size_t count = wfs_header_count(header);
    struct bytes out = BYTES_EMPTY;
    struct metadata_map metadata;
    auto_free struct wfs_tensor *tensors = calloc(count + 1, sizeof *tensors);
    MUST(tensors && metadata_of_header(header, &metadata) == 0);
    for (size_t i = 0; i < count; i++)
        tensors[i] = wfs_header_tensor(header, i);
    document_encode(tensors, count, &metadata, &out);
    MUST(!out.failed);
    free(metadata.pairs);
    return out;
}

static bool is_declared(const struct wfs_header *header)
{
    for (size_t i = 0; i < wfs_header_count(header); i++)
        if (wfs_header_tensor(header, i).dtype == WFS_DTYPE_COUNT || !wfs_header_tensor(header, i).shape)
            return false;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    auto_header struct wfs_header *header = NULL;
    if (decode(bytes, size, &header) < 0 || !is_declared(header))
        return 0;
    auto_bytes shown = show(header);
    auto_header struct wfs_header *again = NULL;
    MUST(decode(shown.data, shown.length, &again) == 0);
    auto_bytes shown_again = show(again);
    MUST(shown.length == shown_again.length && memcmp(shown.data, shown_again.data, shown.length) == 0);
    return 0;
}
