/* SPDX-License-Identifier: Apache-2.0
 *
 * Telling the kernel what it must not remember any longer, from a thread of its own with no lock held: a
 * notification may wait for a request that is being answered.
 */
#ifndef MOUNT_NOTIFY_H
#define MOUNT_NOTIFY_H

#include "mount/session.h"

struct notifier;

int notifier_new(struct session *session, struct notifier **ret_notifier);
void notifier_free(struct notifier *notifier); /* NULL allowed; after the mount is gone */

/* A commit made `after` of `before`: names that changed, and all that belongs to the model as a whole.
 * Returns when the kernel was told, or after 10 s: a reader that is stuck must not hang the commit. */
void notifier_published(struct notifier *notifier, struct generation *before, struct generation *after);

/* The source was changed in place: cached pages of the model's files are dropped. Does not wait. */
void notifier_source_changed(struct notifier *notifier);

#endif
