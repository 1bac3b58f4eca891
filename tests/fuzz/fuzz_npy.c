/* SPDX-License-Identifier: Apache-2.0
 *
 * The input is the beginning of an .npy file. Reading more of a file never takes a verdict back, and what is
 * read can be written.
 */
#include "base/cleanup.h"
#include "format/npy.h"
#include "format/shape.h"
#include "fuzz/fuzz.h"

static int decode(const void *bytes, size_t size, struct npy_header *header)
{
    struct wfs_error err = {0, WFS_CODE_NONE, ""};
    auto_free unsigned char *copy = fuzz_copy(bytes, size, 0);
    int r = npy_decode(copy, size, header, &err);
    MUST(r == 0 || r == -EAGAIN || (r == -EINVAL && err.code == WFS_CODE_NPY_INVALID));
    return r;
}

static void write_and_read(const struct npy_header *header)
{
    enum wfs_dtype dtype = header->dtype == WFS_DTYPE_COUNT ? WFS_F8_E4M3 : header->dtype;
    auto_bytes out = BYTES_EMPTY;
    struct npy_header again;
    MUST(npy_can_show(dtype, header->rank));
    npy_encode(dtype, header->rank, header->shape, &out);
    MUST(!out.failed && out.length % 64 == 0);
    MUST(decode(out.data, out.length, &again) == 0);
    MUST(again.data_offset == out.length && again.data_size == header->data_size &&
         again.rank == header->rank);
    MUST(again.shape_size == header->shape_size && memcmp(again.shape, header->shape, again.shape_size) == 0);
    npy_header_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct npy_header header;
    struct npy_header shorter;
    int r = decode(bytes, size, &header);
    for (size_t cut = 1; cut < 16 && cut <= size; cut++) {
        int before = decode(bytes, size - cut, &shorter);
        MUST(before == -EAGAIN || before == r);
        if (before == 0)
            npy_header_clear(&shorter);
    }
    MUST(npy_magic(bytes, size) || r == -EINVAL);
    if (r < 0)
        return 0;
    MUST(header.data_offset <= size && header.rank <= NPY_RANK_MAX && header.swap_size <= header.item_size);
    write_and_read(&header);
    npy_header_clear(&header);
    return 0;
}
