/* SPDX-License-Identifier: Apache-2.0
 *
 * The input is a tensor's name, and a file's. Names and file names are a bijection; orders are orders;
 * sniffing ends.
 */
#include "base/cleanup.h"
#include "format/name.h"
#include "format/shape.h"
#include "format/sniff.h"
#include "fuzz/fuzz.h"

static void try_name(const char *name, size_t length)
{
    char file_name[FILE_NAME_BUFFER];
    char back[FILE_NAME_BUFFER + 1];
    size_t back_length = SIZE_MAX;
    size_t size = name_encode(name, length, file_name);
    MUST(size > 0 && size <= FILE_NAME_ENCODED_MAX && strlen(file_name) == size);
    MUST(!strchr(file_name, '/') && file_name[0] != '.' && name_matches(file_name, name, length));
    enum name_kind kind = name_decode(file_name, back, &back_length);
    if (!utf8_is_valid(name, length))
        return; /* no tensor's */
    MUST(kind == NAME_TENSOR || kind == NAME_HASHED);
    MUST(kind == NAME_HASHED || (back_length == length && memcmp(back, name, length) == 0));
}

static void try_file_name(const char *text, size_t length)
{
    char again[FILE_NAME_BUFFER];
    size_t name_length = 0;
    if (memchr(text, '\0', length) || length > 300)
        return;
    auto_free char *file_name = fuzz_copy(text, length, 1);
    file_name[length] = '\0';
    auto_free char *name = malloc(length + 1);
    MUST(name);
    if (name_decode(file_name, name, &name_length) != NAME_TENSOR)
        return;
    MUST(name[name_length] == '\0' && utf8_is_valid(name, name_length));
    MUST(name_encode(name, name_length, again) == length && strcmp(again, file_name) == 0);
}

static void try_order(const char *text, size_t length)
{
    size_t half = length / 2;
    int order = name_compare_natural(text, half, text + half, length - half);
    int reverse = name_compare_natural(text + half, length - half, text, half);
    bool is_same = half == length - half && memcmp(text, text + half, half) == 0;
    MUST((order < 0) == (reverse > 0) && (order == 0) == (reverse == 0) && (order == 0) == is_same);
}

static void try_shape(const char *text, size_t length)
{
    size_t rank;
    size_t size;
    unsigned char *shape = NULL;
    if (shape_parse(text, length, &rank, &shape, &size) < 0)
        return;
    auto_bytes out = BYTES_EMPTY;
    shape_print(&out, rank, shape);
    MUST(out.length <= length);
    free(shape);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    auto_free char *text = fuzz_copy(bytes, size, 0);
    try_name(text, size);
    try_file_name(text, size);
    try_order(text, size);
    try_shape(text, size);
    (void)sniff((const unsigned char *)text, size);
    return 0;
}
