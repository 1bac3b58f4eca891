/* SPDX-License-Identifier: Apache-2.0
 *
 * What reaches a mount from outside FUSE: signals that end it, and the source file being changed in place.
 * One thread waits for both.
 */
#ifndef MOUNT_WATCH_H
#define MOUNT_WATCH_H

#include "mount/session.h"

struct watch;

/* Blocks INT, TERM and HUP in this thread and those it makes; they are taken by the watch. PIPE and XFSZ are
 * ignored: a full pipe or a limit is an errno. Before any thread is made. */
void watch_prepare_signals(void);

/* Watches for the session mounted at session->mountpoint with that device number. The calling thread is the
 * one that will run the session loop: it is woken when the loop has to end. */
int watch_new(struct session *session, unsigned major, unsigned minor, struct watch **ret_watch);

/* There is a new generation: its file is watched from now on. */
void watch_generation(struct watch *watch);

/* A file was opened; `watch` may be NULL here and below. */
void watch_opened(struct watch *watch);

/* Looks at once whether the source was changed, so that a status that is written next tells it. */
void watch_look(struct watch *watch);

/* After the loop. */
void watch_free(struct watch *watch);

#endif
