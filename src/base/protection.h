/* SPDX-License-Identifier: Apache-2.0
 *
 * What chattr(1) forbids: no permission tells it, and an append-only directory lets names come that can never
 * go or change.
 */
#ifndef BASE_PROTECTION_H
#define BASE_PROTECTION_H

#include <stdbool.h>

#include <weightfs/error.h>

/* "immutable" or "append-only"; NULL: neither, as far as the file system tells. `name` "": dirfd itself. */
const char *protection_of(int dirfd, const char *name);

/* -EPERM with a sentence where a file of that name cannot be replaced, or, with `only_add`, not be made. */
int protection_check(int dirfd, const char *name, bool only_add, struct wfs_error *err);

#endif
