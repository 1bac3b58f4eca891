/* SPDX-License-Identifier: Apache-2.0
 *
 * SipHash-1-3: a hash that nobody who does not know the key can make collide. With a known key (file names
 * use 0,0) it is a good 64-bit hash and no more than that.
 */
#ifndef FORMAT_HASH_H
#define FORMAT_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t hash_bytes(const uint64_t key[2], const void *bytes, size_t length);

#endif
