/* SPDX-License-Identifier: Apache-2.0
 *
 * The directory that is mounted over: found, freed of a dead mount of our own, unmounted again. After the
 * mount it is only ever asked about through /proc/self/mountinfo; the daemon never looks at its own mount.
 */
#ifndef MOUNT_MOUNTPOINT_H
#define MOUNT_MOUNTPOINT_H

#include <stdbool.h>

#include <weightfs/error.h>

/* The absolute path of a directory; a weightfs mount whose daemon died is cleared away first. */
int mountpoint_resolve(const char *given, char **ret_path, struct wfs_error *err);

/* Whether `path` lies below `mountpoint`, or is it (both absolute and resolved). */
bool mountpoint_covers(const char *mountpoint, const char *path);

/* The device number of the weightfs mount at that path; false: there is none. */
bool mountpoint_device(const char *path, unsigned *ret_major, unsigned *ret_minor);

/* Ends the mount with that device number at that path, if it is still the topmost one: what is in flight
 * fails, open files die. 0 or a negative errno. */
int mountpoint_force_unmount(const char *path, unsigned major, unsigned minor);

/* Raises the kernel's read-ahead for that device to `kib`. 0 or a negative errno. */
int mountpoint_set_read_ahead(unsigned major, unsigned minor, unsigned kib);

#endif
