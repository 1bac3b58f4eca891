/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fault.h"

#ifdef WFS_FAULTS

#include <stdlib.h>
#include <string.h>

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

#endif
