/* SPDX-License-Identifier: Apache-2.0 */
#include "model/checksum.h"

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/io.h"

#include <string.h>
#include <zlib.h>

#define BLOCK_SIZE ((size_t)256 * 1024) /* stays in the second-level cache between the read and the sum */

uint32_t checksum_crc32(uint32_t crc, const void *data, size_t length)
{
    return (uint32_t)crc32_z(crc, data, length);
}

uint32_t checksum_crc32_join(uint32_t first, uint32_t second, uint64_t second_length)
{
    return (uint32_t)crc32_combine(first, second, (z_off_t)second_length);
}

/* --- XXH32, by its specification ---------------------------------------------------------------------- */

static const uint32_t prime_1 = 0x9e3779b1U;
static const uint32_t prime_2 = 0x85ebca77U;
static const uint32_t prime_3 = 0xc2b2ae3dU;
static const uint32_t prime_4 = 0x27d4eb2fU;
static const uint32_t prime_5 = 0x165667b1U;

static uint32_t rotate(uint32_t value, unsigned bits)
{
    return value << bits | value >> (32 - bits);
}

static uint32_t load_u32(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static void add_stripe(struct xxh32 *state, const unsigned char *stripe)
{
    for (size_t lane = 0; lane < 4; lane++) {
        uint32_t sum = state->lanes[lane] + load_u32(stripe + 4 * lane) * prime_2;
        state->lanes[lane] = rotate(sum, 13) * prime_1;
    }
}

void xxh32_begin(struct xxh32 *state)
{
    *state = (struct xxh32){
        .lanes = {prime_1 + prime_2, prime_2, 0, 0U - prime_1}
    };
}

void xxh32_add(struct xxh32 *state, const void *data, size_t length)
{
    const unsigned char *bytes = data;
    size_t held = state->length % sizeof state->rest;

    state->length += length;
    if (held > 0) {
        size_t missing = sizeof state->rest - held;
        size_t taken = length < missing ? length : missing;
        memcpy(state->rest + held, bytes, taken);
        bytes += taken;
        length -= taken;
        if (taken < missing)
            return;
        add_stripe(state, state->rest);
    }
    for (; length >= sizeof state->rest; bytes += sizeof state->rest, length -= sizeof state->rest)
        add_stripe(state, bytes);
    if (length > 0)
        memcpy(state->rest, bytes, length);
}

uint32_t xxh32_end(const struct xxh32 *state)
{
    static const unsigned turns[] = {1, 7, 12, 18};
    size_t held = state->length % sizeof state->rest;
    uint32_t sum = prime_5;
    size_t at = 0;

    if (state->length >= sizeof state->rest) {
        sum = 0;
        for (size_t lane = 0; lane < 4; lane++)
            sum += rotate(state->lanes[lane], turns[lane]);
    }
    sum += (uint32_t)state->length;
    for (; at + 4 <= held; at += 4)
        sum = rotate(sum + load_u32(state->rest + at) * prime_3, 17) * prime_4;
    for (; at < held; at++)
        sum = rotate(sum + state->rest[at] * prime_5, 11) * prime_1;

    sum = (sum ^ sum >> 15) * prime_2;
    sum = (sum ^ sum >> 13) * prime_3;
    return sum ^ sum >> 16;
}

/* --- files -------------------------------------------------------------------------------------------- */

int checksum_of_range(int fd, uint64_t offset, uint64_t length, enum checksum_kind kind,
                      checksum_progress *progress, void *context, uint32_t *ret_sum)
{
    auto_free unsigned char *block = malloc(BLOCK_SIZE);
    struct xxh32 state;
    uint32_t crc = 0;

    if (!block)
        return -ENOMEM;
    xxh32_begin(&state);
    for (uint64_t done = 0; done < length;) {
        size_t size = (size_t)min_u64(BLOCK_SIZE, length - done);
        int r = io_read_at(fd, block, size, offset + done);
        if (r < 0)
            return r;
        if (kind == CHECKSUM_CRC32)
            crc = checksum_crc32(crc, block, size);
        else
            xxh32_add(&state, block, size);
        done += size;
        r = progress ? progress(context, size) : 0;
        if (r != 0)
            return r;
    }
    *ret_sum = kind == CHECKSUM_CRC32 ? crc : xxh32_end(&state);
    return 0;
}
