/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fault.h"

#ifdef WFS_FAULTS

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SELDOM 1000u

bool fault(enum fault point)
{
    static const char *const names[] = {
#define FAULT(symbol, name, what) [FAULT_##symbol] = name,
#include "base/faults.def"
#undef FAULT
    };
    const char *chosen = getenv("WEIGHTFS_FAULT"); // NOLINT(concurrency-mt-unsafe): nobody sets it meanwhile
    return chosen && strcmp(chosen, names[point]) == 0;
}

bool fault_seldom(enum fault point)
{
    static atomic_uint times;
    return fault(point) && atomic_fetch_add(&times, 1) % SELDOM == SELDOM - 1;
}

#endif
