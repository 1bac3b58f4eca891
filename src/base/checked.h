/* SPDX-License-Identifier: Apache-2.0
 *
 * Arithmetic on sizes that come from a file: true means that the result did not fit.
 */
#ifndef BASE_CHECKED_H
#define BASE_CHECKED_H

#include <stdbool.h>
#include <stdint.h>

static inline bool add_overflows(uint64_t a, uint64_t b, uint64_t *ret_sum)
{
    return __builtin_add_overflow(a, b, ret_sum);
}

static inline bool multiply_overflows(uint64_t a, uint64_t b, uint64_t *ret_product)
{
    return __builtin_mul_overflow(a, b, ret_product);
}

/* `value` rounded up to a multiple of `unit` (not 0). */
static inline bool round_up_overflows(uint64_t value, uint64_t unit, uint64_t *ret_rounded)
{
    uint64_t rest = value % unit;
    return add_overflows(value, rest ? unit - rest : 0, ret_rounded);
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

#endif
