/* SPDX-License-Identifier: Apache-2.0
 *
 * Colour on a terminal.
 */
#ifndef CLI_PAINT_H
#define CLI_PAINT_H

#include "base/bytes.h"

/* Colours the lines of a status, which tell by their first word what they are: what comes green, what goes
 * and what is wrong red, warnings yellow. Without `color` it stays as it is. */
void paint_status(struct bytes *text, bool color);

#endif
