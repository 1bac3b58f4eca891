/* SPDX-License-Identifier: Apache-2.0
 *
 * Checksums of tensors. The only module that knows zlib.
 *
 * weightfs writes CRC-32 (IEEE). stsw writes the same, or XXH32 where a Python module happened to be
 * installed, and does not say which: a verifier has to try both.
 */
#ifndef MODEL_CHECKSUM_H
#define MODEL_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

enum checksum_kind {
    CHECKSUM_CRC32,
    CHECKSUM_XXH32,
};

/* Goes on from `crc` (0 at the start). */
uint32_t checksum_crc32(uint32_t crc, const void *data, size_t length);

/* The CRC of two runs of bytes, one behind the other. */
uint32_t checksum_crc32_join(uint32_t first, uint32_t second, uint64_t second_length);

struct xxh32 {
    uint32_t lanes[4];
    unsigned char rest[16]; /* bytes that do not fill a stripe yet */
    uint64_t length;        /* bytes so far; the last length % 16 are in rest */
};

void xxh32_begin(struct xxh32 *state);
void xxh32_add(struct xxh32 *state, const void *data, size_t length);
uint32_t xxh32_end(const struct xxh32 *state);

/* Asked after each block; non-zero stops with that value. */
typedef int checksum_progress(void *context, uint64_t done);

/* The checksum of a range of a file. 0, -ENODATA when it ends too early, or another negative errno. */
int checksum_of_range(int fd, uint64_t offset, uint64_t length, enum checksum_kind kind,
                      checksum_progress *progress, void *context, uint32_t *ret_sum);

#endif
