/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading .npy headers: a Python dictionary with exactly the keys descr, fortran_order and shape, in any
 * order and quoting, as NumPy reads it, old files of Python 2 (5L) included.
 */
#include "base/checked.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "format/npy.h"
#include "format/shape.h"

#include <stdio.h>
#include <string.h>

/* The dictionary's text; `reason` once it cannot be read. */
struct literal {
    const char *at;
    const char *end;
    const char *reason;
};

static bool fail(struct literal *literal, const char *reason)
{
    if (!literal->reason)
        literal->reason = reason;
    return false;
}

static char next_byte(const struct literal *literal)
{
    if (literal->at == literal->end)
        return '\0';
    return *literal->at;
}

static char peek(struct literal *literal)
{
    char c = next_byte(literal);
    while (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f') {
        literal->at++;
        c = next_byte(literal);
    }
    return c;
}

static bool take(struct literal *literal, char c)
{
    if (peek(literal) != c)
        return false;
    literal->at++;
    return true;
}

static bool take_word(struct literal *literal, const char *word)
{
    size_t length = strlen(word);
    peek(literal);
    if ((size_t)(literal->end - literal->at) < length || memcmp(literal->at, word, length) != 0)
        return false;
    literal->at += length;
    return true;
}

/* A string without escapes, in single or double quotes, perhaps with the u of Python 2. */
static bool take_string(struct literal *literal, const char **ret_text, size_t *ret_length)
{
    char quote = peek(literal);
    if (quote == 'u') {
        literal->at++;
        quote = next_byte(literal);
    }
    if (quote != '\'' && quote != '"')
        return fail(literal, "its dictionary cannot be read");
    const char *text = ++literal->at;
    const char *stop = memchr(text, quote, (size_t)(literal->end - text));
    if (!stop || memchr(text, '\\', (size_t)(stop - text)))
        return fail(literal, "its dictionary cannot be read");
    literal->at = stop + 1;
    *ret_text = text;
    *ret_length = (size_t)(stop - text);
    return true;
}

/* --- descr ---------------------------------------------------------------------------------------------- */

static bool set_dtype(struct npy_header *header, enum wfs_dtype dtype, unsigned size)
{
    header->dtype = dtype;
    header->item_size = size;
    header->swap_size = dtype == WFS_C64 ? size / 2 : size;
    return true;
}

/* "f4" and the like, without the byte order. */
static bool find_type(struct npy_header *header, char kind, unsigned size)
{
    static const struct {
        char kind;
        unsigned char size;
        unsigned char dtype;
    } types[] = {
        {'b', 1, WFS_BOOL},
        {'u', 1, WFS_U8  },
        {'i', 1, WFS_I8  },
        {'u', 2, WFS_U16 },
        {'i', 2, WFS_I16 },
        {'f', 2, WFS_F16 },
        {'u', 4, WFS_U32 },
        {'i', 4, WFS_I32 },
        {'f', 4, WFS_F32 },
        {'u', 8, WFS_U64 },
        {'i', 8, WFS_I64 },
        {'f', 8, WFS_F64 },
        {'c', 8, WFS_C64 },
    };

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].kind == kind && types[i].size == size)
            return set_dtype(header, types[i].dtype, size);
    return false;
}

static const char *reason_against(char kind)
{
    switch (kind) {
    case 'O':
        return "it holds Python objects, not numbers";
    case 'S':
    case 'a':
    case 'U':
        return "it holds strings, not numbers";
    case 'M':
    case 'm':
        return "it holds times, for which safetensors has no dtype";
    default:
        return "safetensors has no dtype for it";
    }
}

/* A void type: bytes that NumPy has no type for. Two are BF16, one is an 8-bit float that only a declaration
 * can tell. */
static bool set_void(struct npy_header *header, unsigned size)
{
    header->is_void = true;
    if (size == 1)
        return set_dtype(header, WFS_DTYPE_COUNT, 1);
    return size == 2 && set_dtype(header, WFS_BF16, 2);
}

static bool set_description(struct literal *literal, struct npy_header *header, const char *text,
                            size_t length)
{
    bool has_order = length > 0 && (text[0] == '<' || text[0] == '>' || text[0] == '=' || text[0] == '|');
    bool is_swapped = has_order && text[0] == '>';
    text += has_order;
    length -= has_order;
    if (length == 1 && text[0] == '?')
        return set_dtype(header, WFS_BOOL, 1);
    if (length == 0)
        return fail(literal, "its dictionary has no type");
    if (length != 2 || text[1] < '1' || text[1] > '9')
        return fail(literal, reason_against(text[0]));
    unsigned size = (unsigned)(text[1] - '0');
    if (text[0] == 'V')
        return set_void(header, size) || fail(literal, reason_against('V'));
    if (text[0] == 'f' && size == 1) /* what ml_dtypes' float8_e5m2 writes, though NumPy cannot read it */
        return set_dtype(header, WFS_F8_E5M2, 1);
    if (!find_type(header, text[0], size))
        return fail(literal, reason_against(text[0]));
    header->is_u2 = header->dtype == WFS_U16;
    header->big_endian = is_swapped && size > 1;
    return true;
}

static bool take_description(struct literal *literal, struct npy_header *header)
{
    const char *text = NULL;
    size_t length = 0;
    if (peek(literal) == '[' || peek(literal) == '(')
        return fail(literal, "its elements are structures");
    return take_string(literal, &text, &length) && set_description(literal, header, text, length);
}

/* --- fortran_order and shape ---------------------------------------------------------------------------- */

static bool take_order(struct literal *literal, struct npy_header *header)
{
    header->fortran_order = take_word(literal, "True");
    return header->fortran_order || take_word(literal, "False") ||
           fail(literal, "fortran_order is neither True nor False");
}

static bool take_dimension(struct literal *literal, uint64_t *ret_dimension)
{
    peek(literal);
    const char *first = literal->at;
    uint64_t value = 0;
    for (; literal->at < literal->end && *literal->at >= '0' && *literal->at <= '9'; literal->at++)
        if (multiply_overflows(value, 10, &value) ||
            add_overflows(value, (uint64_t)(*literal->at - '0'), &value))
            return fail(literal, "a dimension is beyond 64 bits");
    size_t digits = (size_t)(literal->at - first);
    if (digits == 0 || (digits > 1 && *first == '0'))
        return fail(literal, "its shape is no tuple of whole numbers");
    if (literal->at < literal->end && *literal->at == 'L')
        literal->at++;
    *ret_dimension = value;
    return true;
}

static bool take_shape(struct literal *literal, struct npy_header *header)
{
    bool comma = false;
    if (!take(literal, '('))
        return fail(literal, "its shape is no tuple");
    while (!take(literal, ')')) {
        uint64_t dimension = 0;
        if (header->rank > 0 && !comma)
            return fail(literal, "its shape is no tuple");
        if (!take_dimension(literal, &dimension))
            return false;
        if (header->rank == NPY_RANK_MAX)
            return fail(literal, "it has more than 64 dimensions");
        header->shape_size += shape_pack(header->shape + header->shape_size, dimension);
        header->rank++;
        comma = take(literal, ',');
    }
    return header->rank != 1 || comma || fail(literal, "its shape is a number, not a tuple");
}

/* --- the dictionary ------------------------------------------------------------------------------------- */

enum key {
    KEY_DESCR,
    KEY_ORDER,
    KEY_SHAPE,
    KEY_COUNT,
};

static bool take_key(struct literal *literal, unsigned *seen, enum key *ret_key)
{
    static const char *const keys[KEY_COUNT] = {"descr", "fortran_order", "shape"};
    const char *text;
    size_t length;
    if (!take_string(literal, &text, &length))
        return false;
    for (unsigned key = 0; key < KEY_COUNT; key++) {
        if (strlen(keys[key]) != length || memcmp(keys[key], text, length) != 0)
            continue;
        if (*seen >> key & 1)
            return fail(literal, "its dictionary has a key twice");
        *seen |= 1U << key;
        *ret_key = (enum key)key;
        return take(literal, ':') || fail(literal, "its dictionary cannot be read");
    }
    return fail(literal, "its dictionary has other keys than descr, fortran_order and shape");
}

static bool take_value(struct literal *literal, struct npy_header *header, enum key key)
{
    switch (key) {
    case KEY_DESCR:
        return take_description(literal, header);
    case KEY_ORDER:
        return take_order(literal, header);
    default:
        return take_shape(literal, header);
    }
}

static bool take_dictionary(struct literal *literal, struct npy_header *header)
{
    unsigned seen = 0;
    if (!take(literal, '{'))
        return fail(literal, "its header is no dictionary");
    while (!take(literal, '}')) {
        enum key key = KEY_COUNT;
        if (!take_key(literal, &seen, &key) || !take_value(literal, header, key))
            return false;
        if (!take(literal, ',') && peek(literal) != '}')
            return fail(literal, "its dictionary cannot be read");
    }
    peek(literal);
    if (literal->at != literal->end)
        return fail(literal, "something follows its dictionary");
    return seen == (1U << KEY_COUNT) - 1 ||
           fail(literal, "its dictionary lacks descr, fortran_order or shape");
}

static bool find_size(struct literal *literal, struct npy_header *header)
{
    uint64_t count = 1;
    const unsigned char *shape = header->shape;
    for (size_t i = 0; i < header->rank; i++) {
        uint64_t dimension;
        shape += shape_unpack(shape, &dimension);
        if (multiply_overflows(count, dimension, &count))
            return fail(literal, "its size is beyond 64 bits");
    }
    if (multiply_overflows(count, header->item_size, &header->data_size) || header->data_size > INT64_MAX)
        return fail(literal, "its size is beyond 64 bits");
    if (header->rank < 2)
        header->fortran_order = false; /* there is but one order */
    return true;
}

/* --- the file ------------------------------------------------------------------------------------------- */

#define VERSION_SIZE 8u /* magic and version */

/* Where the dictionary begins and ends. 0, -EAGAIN, or -EINVAL with a reason. */
static int find_dictionary(const unsigned char *bytes, size_t size, struct literal *literal)
{
    if (!npy_magic(bytes, size)) {
        fail(literal, "it does not begin like one");
        return -EINVAL;
    }
    if (size < VERSION_SIZE)
        return -EAGAIN;
    if (bytes[6] < 1 || bytes[6] > 3 || bytes[7] != 0) {
        fail(literal, "its version is not 1.0, 2.0 or 3.0");
        return -EINVAL;
    }
    size_t prefix = VERSION_SIZE + (bytes[6] == 1 ? 2 : 4);
    if (size < prefix)
        return -EAGAIN;
    uint64_t length = bytes[8] | (uint64_t)bytes[9] << 8;
    if (bytes[6] > 1)
        length |= (uint64_t)bytes[10] << 16 | (uint64_t)bytes[11] << 24;
    if (length > NPY_HEADER_MAX - prefix) {
        fail(literal, "its header is longer than 65536 bytes");
        return -EINVAL;
    }
    if (size - prefix < length)
        return -EAGAIN;
    literal->at = (const char *)bytes + prefix;
    literal->end = literal->at + length;
    return 0;
}

int npy_decode(const unsigned char *bytes, size_t size, struct npy_header *ret_header, struct wfs_error *err)
{
    struct literal literal = {NULL, NULL, NULL};
    int r = find_dictionary(bytes, size, &literal);
    if (r == -EAGAIN)
        return r;
    if (r < 0)
        return error_rule(err, WFS_CODE_NPY_INVALID, "NpyInvalid: this .npy file cannot be read: %s",
                          literal.reason);
    auto_free unsigned char *shape = malloc((size_t)NPY_RANK_MAX * SHAPE_DIMENSION_MAX);
    if (!shape)
        return error_no_memory(err);
    struct npy_header header = {.shape = shape, .data_offset = (uint64_t)(literal.end - (const char *)bytes)};
    if (!take_dictionary(&literal, &header) || !find_size(&literal, &header))
        return error_rule(err, WFS_CODE_NPY_INVALID, "NpyInvalid: this .npy file cannot be read: %s",
                          literal.reason);
    header.shape = take_ptr(shape);
    *ret_header = header;
    return 0;
}

void npy_header_clear(struct npy_header *header)
{
    free(header->shape);
    *header = (struct npy_header){0};
}
