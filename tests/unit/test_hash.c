/* SPDX-License-Identifier: Apache-2.0 */
#include "format/hash.h"
#include "unit/scratch.h"

/* Made with Rust's std::hash::DefaultHasher, which is SipHash-1-3 with the key 0,0: bytes i * 7 + 3. */
START_TEST(hashes_are_those_of_siphash_1_3)
{
    static const struct {
        size_t length;
        uint64_t hash;
    } vectors[] = {
        {0,   UINT64_C(0xd1fba762150c532c)},
        {1,   UINT64_C(0x486b06067755d7c9)},
        {2,   UINT64_C(0x068a8ca3bf74c2eb)},
        {7,   UINT64_C(0x8a715eaaf55549aa)},
        {8,   UINT64_C(0x36c186f0aa4cdbeb)},
        {9,   UINT64_C(0x5176191e3d24cbff)},
        {15,  UINT64_C(0x19ed3f1b38f7e4e2)},
        {16,  UINT64_C(0xd1c94d62751d7b7b)},
        {17,  UINT64_C(0xbe5161a723042d60)},
        {63,  UINT64_C(0x42ed5c087e0bfe5d)},
        {64,  UINT64_C(0x65134a36595a21fb)},
        {300, UINT64_C(0x37ba751da8b682e3)},
    };

    static const uint64_t key[2] = {0, 0};
    unsigned char bytes[300];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 7 + 3);
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
        ck_assert_uint_eq(hash_bytes(key, bytes, vectors[i].length), vectors[i].hash);
}

END_TEST

START_TEST(the_key_changes_the_hash)
{
    static const uint64_t keys[3][2] = {
        {0, 0},
        {1, 0},
        {0, 1}
    };
    ck_assert_uint_ne(hash_bytes(keys[0], "a", 1), hash_bytes(keys[1], "a", 1));
    ck_assert_uint_ne(hash_bytes(keys[0], "a", 1), hash_bytes(keys[2], "a", 1));
    ck_assert_uint_ne(hash_bytes(keys[1], "a", 1), hash_bytes(keys[2], "a", 1));
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        hashes_are_those_of_siphash_1_3,
        the_key_changes_the_hash,
    };
    return RUN_TESTS("hash", tests);
}
