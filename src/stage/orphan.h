/* SPDX-License-Identifier: Apache-2.0
 *
 * Edits of a model that was renamed since: their directory bears the old name.
 */
#ifndef STAGE_ORPHAN_H
#define STAGE_ORPHAN_H

#include "stage/pending.h"

/* Gives the staging directory of a file that is gone, whose edits were made against this very model, the name
 * that it must have now; stage->adopted tells the old one. Nothing happens when there is none, when somebody
 * uses it or when it cannot be renamed. */
void orphan_adopt(struct stage *stage);

#endif
