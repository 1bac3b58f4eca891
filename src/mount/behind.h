/* SPDX-License-Identifier: Apache-2.0
 *
 * -o drop_behind: a byte that was read through the mount is in the page cache of the mount and in that of the
 * model file. What the daemon itself brought into the latter goes again once it was served; what was there
 * before stays for whoever uses it. Knows no FUSE.
 */
#ifndef MOUNT_BEHIND_H
#define MOUNT_BEHIND_H

#include "image/image.h"

struct behind;

int behind_new(struct behind **ret_behind); /* -ENOMEM */
void behind_free(struct behind *behind);    /* NULL allowed */

/* To be called before a slice is read and after it was sent. From any thread. */
void behind_before(struct behind *behind, const struct image_slice *slice);
void behind_after(struct behind *behind, const struct image_slice *slice);

#endif
