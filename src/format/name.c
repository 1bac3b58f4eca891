/* SPDX-License-Identifier: Apache-2.0 */
#include "format/name.h"

#include "base/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HASH_DIGITS 16u
#define SUFFIX_SIZE (1 + HASH_DIGITS) /* `~` and the hash */
#define PREFIX_MAX  (FILE_NAME_ENCODED_MAX - SUFFIX_SIZE)
#define UNIT_MAX    4u /* bytes of the longest character or escape */

/* --- what a file name looks like ------------------------------------------------------------------------ */

/* The scratch files of editors and copiers: .x.swp, x~, vim's 4913, sed -i's sedAbCdEf. */
static bool looks_like_scratch(const char *file_name, size_t length)
{
    if (length > 0 && (file_name[0] == '.' || file_name[length - 1] == '~'))
        return true;
    return (length == 4 && memcmp(file_name, "4913", 4) == 0) ||
           (length == 9 && memcmp(file_name, "sed", 3) == 0);
}

/* Ends in `~` and 16 lower-case hex digits. */
static bool looks_hashed(const char *file_name, size_t length)
{
    if (length < SUFFIX_SIZE || file_name[length - SUFFIX_SIZE] != '~')
        return false;
    for (size_t i = length - HASH_DIGITS; i < length; i++)
        if (!strchr("0123456789abcdef", file_name[i]))
            return false;
    return true;
}

/* --- encoding ------------------------------------------------------------------------------------------- */

/* A file name as it grows; `length` also counts what did not fit. */
struct writer {
    char *text;
    size_t size;
    size_t length;
    size_t prefix; /* the longest beginning, whole characters and escapes, that leaves room for a hash */
};

static void write_unit(struct writer *writer, const char *unit, size_t size)
{
    if (writer->length + size <= writer->size)
        memcpy(writer->text + writer->length, unit, size);
    writer->length += size;
    if (writer->length <= PREFIX_MAX)
        writer->prefix = writer->length;
}

static void write_escape(struct writer *writer, char c)
{
    static const char digits[] = "0123456789ABCDEF";
    const char escape[] = {'%', digits[(unsigned char)c >> 4], digits[(unsigned char)c & 15]};
    write_unit(writer, escape, sizeof escape);
}

static bool must_escape(char c)
{
    return c == '%' || c == '/' || (unsigned char)c < 0x20 || c == 0x7f;
}

/* Bytes of a name that are escaped although they could stand for themselves: else its file name, while it is
 * a short one, would look like something that it is not. */
struct hidden {
    bool first; /* 4913, sed?????? */
    bool last;  /* x~ */
    bool hash;  /* the `~` of x~0123456789abcdef, whose digits stand for themselves */
};

static void write_name(struct writer *writer, const char *name, size_t length, struct hidden hidden)
{
    size_t hash = length - SUFFIX_SIZE;
    for (size_t at = 0, used; at < length; at += used) {
        uint32_t character;
        used = utf8_character(name + at, length - at, &character);
        used = used ? used : 1;
        bool is_hidden = (hidden.last && at == length - 1) || (hidden.hash && at == hash);
        if (at == 0)
            is_hidden |= hidden.first || name[0] == '.';
        if (is_hidden || must_escape(name[at]))
            write_escape(writer, name[at]);
        else
            write_unit(writer, name + at, used);
    }
}

/* What must be hidden besides; false when nothing is left. */
static bool find_look(const struct writer *writer, struct hidden *hidden)
{
    if (looks_hashed(writer->text, writer->length))
        return hidden->hash = true;
    if (!looks_like_scratch(writer->text, writer->length))
        return false;
    if (writer->text[writer->length - 1] == '~')
        return hidden->last = true;
    return hidden->first = true;
}

/* Most names: short, and every byte stands for itself. */
static bool is_plain(const char *name, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (must_escape(name[i]))
            return false;
    return length > 0 && length <= PREFIX_MAX && !looks_hashed(name, length) &&
           !looks_like_scratch(name, length);
}

size_t name_encode(const char *name, size_t length, char file_name[FILE_NAME_BUFFER])
{
    static const uint64_t key[2] = {0, 0};
    struct hidden hidden = {false, false, false};
    struct writer writer;

    if (is_plain(name, length)) {
        memcpy(file_name, name, length);
        file_name[length] = '\0';
        return length;
    }
    do {
        writer = (struct writer){.text = file_name, .size = FILE_NAME_ENCODED_MAX};
        write_name(&writer, name, length, hidden);
    } while (writer.length <= writer.size && find_look(&writer, &hidden));
    if (length == 0)
        write_unit(&writer, "%", 1);
    if (writer.length <= writer.size) {
        file_name[writer.length] = '\0';
        return writer.length;
    }
    uint64_t hash = hash_bytes(key, name, length);
    snprintf(file_name + writer.prefix, SUFFIX_SIZE + 1, "~%016" PRIx64, hash);
    return writer.prefix + SUFFIX_SIZE;
}

/* --- decoding ------------------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Undoes percent-encoding; false for a bad escape. */
static bool unescape(const char *text, size_t length, char *name, size_t *ret_length)
{
    size_t filled = 0;
    for (size_t at = 0; at < length; at++) {
        if (text[at] != '%') {
            name[filled++] = text[at];
            continue;
        }
        int high = length - at > 2 ? hex_digit(text[at + 1]) : -1;
        int low = length - at > 2 ? hex_digit(text[at + 2]) : -1;
        if (high < 0 || low < 0)
            return false;
        name[filled++] = (char)(high << 4 | low);
        at += 2;
    }
    *ret_length = filled;
    return true;
}

/* Whether a name of the long form can be one: its prefix is the beginning of an encoding, cut where encoding
 * cuts. */
static bool is_possible_hashed(const char *file_name, size_t length)
{
    char name[FILE_NAME_BUFFER];
    char again[FILE_NAME_BUFFER];
    size_t prefix = length - SUFFIX_SIZE;
    size_t name_length;
    if (prefix > PREFIX_MAX || prefix + UNIT_MAX <= PREFIX_MAX ||
        !unescape(file_name, prefix, name, &name_length))
        return false;
    if (!utf8_is_valid(name, name_length))
        return false;
    struct writer writer = {.text = again, .size = FILE_NAME_ENCODED_MAX};
    write_name(&writer, name, name_length, (struct hidden){false, false, false});
    return writer.length == prefix && memcmp(again, file_name, prefix) == 0;
}

enum name_kind name_decode(const char *file_name, char *name, size_t *ret_length)
{
    char again[FILE_NAME_BUFFER];
    size_t length = strlen(file_name);
    size_t name_length = 0;
    if (looks_like_scratch(file_name, length))
        return NAME_SCRATCH;
    if (length > FILE_NAME_ENCODED_MAX)
        return NAME_INVALID;
    if (looks_hashed(file_name, length))
        return is_possible_hashed(file_name, length) ? NAME_HASHED : NAME_INVALID;
    bool is_empty_name = strcmp(file_name, "%") == 0;
    if (!is_empty_name && !unescape(file_name, length, name, &name_length))
        return NAME_INVALID;
    name[name_length] = '\0';
    if (!utf8_is_valid(name, name_length) || name_encode(name, name_length, again) != length ||
        memcmp(again, file_name, length) != 0)
        return NAME_INVALID;
    *ret_length = name_length;
    return NAME_TENSOR;
}

bool name_matches(const char *file_name, const char *name, size_t length)
{
    char encoded[FILE_NAME_BUFFER];
    name_encode(name, length, encoded);
    return strcmp(encoded, file_name) == 0;
}
