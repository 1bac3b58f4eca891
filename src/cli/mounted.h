/* SPDX-License-Identifier: Apache-2.0
 *
 * A mount as the command line meets it: found by a path, spoken to through its files in .weightfs/. A daemon
 * that does not answer within five seconds is given up and named.
 */
#ifndef CLI_MOUNTED_H
#define CLI_MOUNTED_H

#include "base/bytes.h"
#include "base/mountinfo.h"

#include <sys/types.h>

#include <weightfs/error.h>

/* The weightfs mount that a path is in, or at; without touching it. 0 or -ENOENT. Clear with
 * mountinfo_clear(). */
int mounted_find(const char *path, struct mountinfo *ret_mount);

/* A file of .weightfs/, whole. -ETIMEDOUT, -ENOTCONN (the daemon is dead), or another errno, with a sentence.
 */
int mounted_read(const struct mountinfo *mount, const char *name, struct bytes *out, struct wfs_error *err);

/* Writes one command to control and waits for its answer, as long as the daemon answers other questions. 0 or
 * a negative errno, -ETIMEDOUT where it does not; -E2BIG: it is longer than a command can be. */
int mounted_command(const struct mountinfo *mount, const char *command);

/* The sentence for an errno of the two. */
int mounted_explain(const struct mountinfo *mount, int r, struct wfs_error *err);

/* A word of a command, quoted. */
void mounted_add_word(struct bytes *command, const char *word);

/* The daemon's pid as far as /proc tells it; 0: unknown. For a daemon that does not tell it itself. */
pid_t mounted_guess_daemon(const struct mountinfo *mount);

#endif
