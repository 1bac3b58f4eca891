/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON strings, unescaped where they stand. What is written never overtakes what is read: no escape is
 * shorter than what it stands for.
 */
#include "format/scan.h"

#include <endian.h>
#include <string.h>

#define ONES UINT64_C(0x0101010101010101)
#define HIGH UINT64_C(0x8080808080808080)

/* A bit in the byte of the first of eight that is a quote, a backslash or a control byte, the first being the
 * lowest; what stands above it means nothing. 0: there is none. Bytes from 0x80 on are plain. */
static uint64_t special_bits(uint64_t word)
{
    uint64_t quote = word ^ (ONES * '"');
    uint64_t backslash = word ^ (ONES * '\\');
    return (((quote - ONES) & ~quote) | ((backslash - ONES) & ~backslash) | ((word - ONES * 0x20) & ~word)) &
           HIGH;
}

static bool is_special(char c)
{
    return c == '"' || c == '\\' || (unsigned char)c < 0x20;
}

static char *find_special(char *at, const char *end)
{
    for (; end - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        uint64_t bits = special_bits(le64toh(word));
        if (bits)
            return at + __builtin_ctzll(bits) / 8;
    }
    while (!is_special(*at))
        at++;
    return at;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The four digits of \uXXXX. */
static bool take_hex(struct scan *scan, uint32_t *ret_unit)
{
    uint32_t unit = 0;
    for (unsigned i = 0; i < 4; i++, scan->at++) {
        int digit = hex_digit(*scan->at);
        if (digit < 0)
            return scan_fail(scan, "\\u needs four hexadecimal digits", "four hexadecimal digits");
        unit = unit << 4 | (uint32_t)digit;
    }
    *ret_unit = unit;
    return true;
}

static bool take_unicode_escape(struct scan *scan, uint32_t *ret_character)
{
    uint32_t first = 0;
    if (!take_hex(scan, &first))
        return false;
    *ret_character = first;
    if (first < 0xd800 || first > 0xdfff)
        return true;
    if (first > 0xdbff || scan->at[0] != '\\' || scan->at[1] != 'u')
        return scan_fail(scan, "half of a surrogate pair stands alone", "both halves of a surrogate pair");
    scan->at += 2;
    uint32_t second = 0;
    if (!take_hex(scan, &second))
        return false;
    if (second < 0xdc00 || second > 0xdfff)
        return scan_fail(scan, "half of a surrogate pair stands alone", "both halves of a surrogate pair");
    *ret_character = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
    return true;
}

static char *write_utf8(char *out, uint32_t character)
{
    if (character < 0x80) {
        *out++ = (char)character;
        return out;
    }
    unsigned more = character < 0x800 ? 1 : character < 0x10000 ? 2 : 3;
    *out++ = (char)((0xf00U >> (more + 1) & 0xff) | character >> (6 * more));
    while (more-- > 0)
        *out++ = (char)(0x80 | (character >> (6 * more) & 0x3f));
    return out;
}

/* An escape, at its backslash; *out is where it goes. */
static bool take_escape(struct scan *scan, char **out)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    scan->at++;
    char letter = *scan->at;
    if (letter == 'u') {
        uint32_t character;
        scan->at++;
        if (!take_unicode_escape(scan, &character))
            return false;
        *out = write_utf8(*out, character);
        return true;
    }
    const char *found = letter ? strchr(letters, letter) : NULL;
    if (!found)
        return scan_fail(scan, "there is no such escape", "an escape of JSON");
    *(*out)++ = meanings[found - letters];
    scan->at++;
    return true;
}

bool scan_string(struct scan *scan, char **ret_text, size_t *ret_length)
{
    char *text = ++scan->at;
    char *out = text;
    for (;;) {
        char *special = find_special(scan->at, scan->end);
        size_t plain = (size_t)(special - scan->at);
        if (out != scan->at)
            memmove(out, scan->at, plain);
        out += plain;
        scan->at = special;
        if (*special == '"')
            break;
        if (*special != '\\')
            return scan_fail(scan, "a control byte in a string must be escaped", "an escape");
        if (!take_escape(scan, &out))
            return false;
    }
    scan->at++;
    *out = '\0';
    *ret_text = text;
    *ret_length = (size_t)(out - text);
    return true;
}
