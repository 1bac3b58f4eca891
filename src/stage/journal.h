/* SPDX-License-Identifier: Apache-2.0
 *
 * An append-only file of checksummed records (docs/staging.md 7.2). A record is applied as a whole or not at
 * all.
 *
 * Each record says how far the journal was known to be durable when it was written. Damage behind the highest
 * such mark is a torn tail and is cut, even when good records follow it; damage before it is corruption.
 */
#ifndef STAGE_JOURNAL_H
#define STAGE_JOURNAL_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>

#include <weightfs/error.h>

struct journal;

#define JOURNAL_NAME     "journal"
#define JOURNAL_NEW_NAME "journal.new" /* on its way to the other name */

#define JOURNAL_RECORD_MAX (256u << 20) /* bytes of one payload */

/* Receives the payloads in order. Non-zero stops and is handed back. */
typedef int journal_replay(void *context, const unsigned char *payload, size_t length, struct wfs_error *err);

/* Opens the journal in `dirfd`, replays it and cuts a torn tail (*ret_cut: bytes cut). -ENOENT: there is
 * none. -EIO with JOURNAL_DAMAGED: corruption. */
int journal_open(int dirfd, journal_replay *replay, void *context, struct journal **ret_journal,
                 uint64_t *ret_cut, struct wfs_error *err);

/* A new, empty one in `dirfd`; an old one is replaced. */
int journal_create(int dirfd, struct journal **ret_journal, struct wfs_error *err);

/* Appends one record; survives the process at once, a power loss after journal_sync(). On failure nothing was
 * appended. */
int journal_append(struct journal *journal, const void *payload, size_t length);

/* Everything appended so far is durable afterwards. A failure latches: what the disk has is not known any
 * more, and asking again would not tell. Of no journal (NULL) that is nothing. */
int journal_sync(struct journal *journal);

/* Both: on failure nothing was appended, or the journal is latched and the record was cut off again. */
int journal_append_durably(struct journal *journal, const void *payload, size_t length);

/* The latched error, negative; 0: none. */
int journal_error(struct journal *journal);

/* Appends the next payload to `out`, which is empty: 0, or a negative errno. None is left when it stays so.
 */
typedef int journal_source(void *context, struct bytes *out);

/* Puts a journal of these records, on disk, in the place of the old one in `dirfd`, which may be latched. A
 * crash leaves the old one or the new one. */
int journal_rewrite(struct journal *journal, int dirfd, journal_source *next, void *context);

/* Whether it is much longer than it was when it was written anew last, or could not be. */
bool journal_is_long(struct journal *journal);

void journal_close(struct journal *journal); /* NULL allowed */

/* Replays a journal held in memory: what journal_open() does, without a file. *ret_good are the bytes to
 * keep. */
int journal_scan(const unsigned char *bytes, size_t size, journal_replay *replay, void *context,
                 size_t *ret_good, struct wfs_error *err);

#endif
