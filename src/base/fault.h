/* SPDX-License-Identifier: Apache-2.0
 *
 * Seeded faults, for tests of the tests: in a build with WEIGHTFS_FAULTS, the environment variable
 * WEIGHTFS_FAULT takes out one of the things that keep a model safe. In any other build nothing of this is
 * there.
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include <stdbool.h>

enum fault {
#define FAULT(symbol, name, what) FAULT_##symbol,
#include "base/faults.def"
#undef FAULT
};

#ifdef WFS_FAULTS
bool fault(enum fault point);
bool fault_seldom(enum fault point); /* once in 1,000 times */
#else
static inline bool fault(enum fault point)
{
    (void)point;
    return false;
}

static inline bool fault_seldom(enum fault point)
{
    (void)point;
    return false;
}
#endif

#endif
