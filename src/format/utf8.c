/* SPDX-License-Identifier: Apache-2.0 */
#include "format/utf8.h"

#include "base/utf8.h"

#include <string.h>

#define BLOCK 32u

static bool is_ascii_block(const char *bytes)
{
    uint64_t words[BLOCK / sizeof(uint64_t)];
    memcpy(words, bytes, sizeof words);
    return ((words[0] | words[1] | words[2] | words[3]) & 0x8080808080808080) == 0;
}

size_t utf8_valid_prefix(const char *bytes, size_t length)
{
    size_t at = 0;
    while (at < length) {
        while (length - at >= BLOCK && is_ascii_block(bytes + at))
            at += BLOCK;
        size_t stop = length - at > BLOCK ? at + BLOCK : length;
        while (at < stop) {
            uint32_t character;
            size_t used = utf8_character(bytes + at, length - at, &character);
            if (used == 0)
                return at;
            at += used;
        }
    }
    return length;
}

bool utf8_is_valid(const char *bytes, size_t length)
{
    return utf8_valid_prefix(bytes, length) == length;
}
