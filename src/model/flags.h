/* SPDX-License-Identifier: Apache-2.0
 *
 * From the flags of <weightfs/reader.h> to the decoder's mode.
 */
#ifndef MODEL_FLAGS_H
#define MODEL_FLAGS_H

#include "format/header.h"

#include <weightfs/reader.h>

static inline unsigned mode_of_flags(unsigned flags)
{
    unsigned mode = HEADER_OFFICIAL;
    mode |= flags & WFS_READ_STRICT ? (unsigned)HEADER_STRICT : 0U;
    mode |= flags & WFS_READ_STSW ? (unsigned)HEADER_STSW : 0U;
    return mode;
}

#endif
