/* SPDX-License-Identifier: Apache-2.0
 *
 * The input is the JSON of a header. Whatever it is: decoding ends, the modes agree where they must, and what
 * is accepted keeps every rule and survives being written and read again.
 */
#include "base/cleanup.h"
#include "format/encode.h"
#include "format/header.h"
#include "format/shape.h"
#include "format/utf8.h"
#include "fuzz/fuzz.h"

/* What a report has heard. */
struct heard {
    size_t count;
    bool codes[WFS_CODE_COUNT];
};

static int hear(void *context, const struct wfs_problem *problem)
{
    struct heard *heard = context;
    MUST(problem->code > WFS_CODE_NONE && problem->code < WFS_CODE_COUNT);
    MUST(problem->message && problem->message[0]);
    MUST(strstr(problem->message, wfs_code_name(problem->code)) || strlen(problem->message) > 500);
    heard->codes[problem->code] = true;
    heard->count++;
    return 0;
}

static int decode(const uint8_t *bytes, size_t size, uint64_t data, unsigned mode,
                  struct wfs_header **ret_header, struct wfs_error *err)
{
    int r =
        header_decode(fuzz_copy(bytes, size, 1), size, HEADER_PREFIX + size + data, mode, ret_header, err);
    MUST(r == 0 || r == -EINVAL);
    MUST((r == 0) == (*ret_header != NULL));
    MUST((r == 0) == (err->code == WFS_CODE_NONE));
    return r;
}

/* The list of all problems has the first one, and is empty when there is none. */
static void compare_with_check(const uint8_t *bytes, size_t size, uint64_t data, unsigned mode,
                               enum wfs_code first)
{
    struct heard heard = {.count = 0};
    auto_header struct wfs_header *header = NULL;
    int r = header_check(fuzz_copy(bytes, size, 1), size, HEADER_PREFIX + size + data, mode, hear, &heard,
                         &header);
    MUST(r == (first == WFS_CODE_NONE ? 0 : -EINVAL));
    MUST((heard.count == 0) == (first == WFS_CODE_NONE));
    MUST(first == WFS_CODE_NONE || heard.codes[first]);
    MUST((header != NULL) == (r == 0));
}

static void inspect_tensor(const struct wfs_header *header, size_t index, uint64_t *end)
{
    size_t found = SIZE_MAX;
    uint64_t bytes = 0;
    uint32_t crc;
    struct wfs_tensor tensor = wfs_header_tensor(header, index);
    MUST(tensor.name[tensor.name_length] == '\0');
    MUST(utf8_is_valid(tensor.name, tensor.name_length));
    MUST(wfs_header_find(header, tensor.name, tensor.name_length, &found) && found == index);
    MUST(shape_byte_size(tensor.dtype, tensor.rank, tensor.shape, &bytes) == WFS_CODE_NONE);
    MUST(tensor.begin == *end && tensor.end - tensor.begin == bytes && tensor.end >= tensor.begin);
    *end = tensor.end;
    (void)header_crc(header, index, &crc);
}

static void inspect_metadata(const struct wfs_header *header)
{
    for (size_t i = 0; i < wfs_header_metadata_count(header); i++) {
        const char *key;
        const char *value;
        size_t key_length;
        size_t value_length;
        wfs_header_metadata(header, i, &key, &key_length, &value, &value_length);
        MUST(key[key_length] == '\0' && value[value_length] == '\0');
        MUST(utf8_is_valid(key, key_length) && utf8_is_valid(value, value_length));
    }
}

static bool are_equal(const struct wfs_header *a, const struct wfs_header *b)
{
    if (wfs_header_count(a) != wfs_header_count(b) ||
        wfs_header_metadata_count(a) != wfs_header_metadata_count(b) ||
        wfs_header_has_metadata(a) != wfs_header_has_metadata(b))
        return false;
    for (size_t i = 0; i < wfs_header_count(a); i++) {
        size_t other = SIZE_MAX;
        struct wfs_tensor x = wfs_header_tensor(a, i);
        if (!wfs_header_find(b, x.name, x.name_length, &other))
            return false;
        struct wfs_tensor y = wfs_header_tensor(b, other);
        if (!shape_equal(&x, &y) || x.end - x.begin != y.end - y.begin)
            return false;
    }
    return true;
}

/* Written in each layout and read again it is the same model. */
static void write_and_read(const struct wfs_header *header, struct layout wanted)
{
    size_t count = wfs_header_count(header);
    struct layout_source source = {header, wfs_header_data_offset(header)};
    struct layout used;
    struct metadata_map metadata;
    auto_free struct layout_item *items = calloc(count + 1, sizeof *items);
    MUST(items && metadata_of_header(header, &metadata) == 0);
    auto_free struct metadata_pair *pairs = metadata.pairs;
    (void)pairs;
    for (size_t i = 0; i < count; i++)
        items[i] =
            (struct layout_item){.tensor = wfs_header_tensor(header, i), .slot = i % 3 ? i : LAYOUT_NEW};
    if (layout_place(items, count, &source, wanted, &used, NULL) < 0)
        return; /* larger than any file */
    auto_bytes out = BYTES_EMPTY;
    MUST(header_encode(items, count, &metadata, &source, used, &out, NULL) == 0);
    MUST(out.length % 8 == 0);
    struct wfs_error err = {0, WFS_CODE_NONE, ""};
    auto_header struct wfs_header *again = NULL;
    uint64_t end = count ? items[count - 1].tensor.end : 0;
    MUST(header_decode(fuzz_copy(out.data + HEADER_PREFIX, out.length - HEADER_PREFIX, 1),
                       out.length - HEADER_PREFIX, out.length + end, HEADER_STRICT, &again, &err) == 0 ||
         err.code == WFS_CODE_STRICT_NUL_NAME || err.code == WFS_CODE_STRICT_RESERVED_NAME);
    MUST(!again || are_equal(header, again));
}

/* Where the data would end if holes were allowed; 0 when it is no header at all. */
static uint64_t find_end(const uint8_t *bytes, size_t size)
{
    struct wfs_error err = {0, WFS_CODE_NONE, ""};
    auto_header struct wfs_header *header = NULL;
    if (decode(bytes, size, INT64_MAX, HEADER_STSW, &header, &err) < 0)
        return 0;
    size_t count = wfs_header_count(header);
    return count ? wfs_header_tensor(header, count - 1).end : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    uint64_t data = find_end(bytes, size);
    struct wfs_error err = {0, WFS_CODE_NONE, ""};
    struct wfs_error strict_err = {0, WFS_CODE_NONE, ""};
    auto_header struct wfs_header *header = NULL;
    auto_header struct wfs_header *strict = NULL;
    int official = decode(bytes, size, data, HEADER_OFFICIAL, &header, &err);
    decode(bytes, size, data, HEADER_STRICT, &strict, &strict_err);
    MUST(official == 0 || strict_err.code == err.code);
    compare_with_check(bytes, size, data, HEADER_OFFICIAL, err.code);
    compare_with_check(bytes, size, data, HEADER_STRICT, strict_err.code);
    if (official < 0)
        return 0;
    uint64_t end = 0;
    for (size_t i = 0; i < wfs_header_count(header); i++)
        inspect_tensor(header, i, &end);
    MUST(end == data);
    inspect_metadata(header);
    write_and_read(header, (struct layout){LAYOUT_CANONICAL, 0});
    write_and_read(header, (struct layout){LAYOUT_KEEP, 0});
    write_and_read(header, (struct layout){LAYOUT_ALIGN, 512});
    return 0;
}
