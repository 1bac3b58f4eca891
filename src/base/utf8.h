/* SPDX-License-Identifier: Apache-2.0
 *
 * One character of UTF-8 at a time, by RFC 3629: shortest form only, no surrogates, nothing above U+10FFFF.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool utf8_is_continuation(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

/* Bytes of the character at `bytes` (`length` > 0 are there), 0 when it is not UTF-8. */
static inline size_t utf8_character(const char *bytes, size_t length, uint32_t *ret_character)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char first = (unsigned char)bytes[0];
    if (first < 0x80) {
        *ret_character = first;
        return 1;
    }
    size_t size = first >= 0xf8 ? 0 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 0;
    if (size == 0 || size > length)
        return 0;
    uint32_t character = first & (0x7fU >> size);
    for (size_t i = 1; i < size; i++) {
        if (!utf8_is_continuation(bytes[i]))
            return 0;
        character = character << 6 | ((unsigned char)bytes[i] & 0x3fU);
    }
    bool is_surrogate = character >= 0xd800 && character <= 0xdfff;
    if (character < smallest[size] || character > 0x10ffff || is_surrogate)
        return 0;
    *ret_character = character;
    return size;
}

#endif
