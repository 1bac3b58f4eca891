/* SPDX-License-Identifier: Apache-2.0
 *
 * The staging directory on disk: data files, one journal, a lock, a .gitignore (docs/staging.md 7). Nothing
 * here knows what the records mean.
 */
#ifndef STAGE_SPOOL_H
#define STAGE_SPOOL_H

#include "base/file.h"
#include "stage/journal.h"

#include <sys/types.h>

struct spool;

/* Where a staging directory is: a name in a directory that was opened before the mount covered it. */
struct spool_place {
    int dirfd; /* borrowed */
    const char *name;
};

/* ".NAME.staging" for a target's name, shortened when that is too long for a file name; malloc'd. NULL: no
 * memory. */
char *spool_directory_name(const char *target);

/* Opens an existing staging directory and takes its lock, waiting up to 5 s for a holder whose mount is gone.
 * -ENOENT: there is none; -EBUSY with the holder's pid and mount point. `mountpoint` (may be NULL) is written
 * down for others. */
int spool_open(const struct spool_place *place, const char *mountpoint, struct spool **ret_spool,
               struct wfs_error *err);

/* Makes the directory (0700) with lock and .gitignore. -EBUSY when another one was quicker. */
int spool_create(const struct spool_place *place, const char *mountpoint, struct spool **ret_spool,
                 struct wfs_error *err);

int spool_dirfd(const struct spool *spool);
struct journal *spool_journal(struct spool *spool);                   /* NULL: none is open */
void spool_set_journal(struct spool *spool, struct journal *journal); /* taken over; NULL allowed */

/* A new data file, or one that the journal names. */
int spool_new_file(struct spool *spool, struct file **ret_file, uint32_t *ret_number, struct wfs_error *err);
int spool_open_file(struct spool *spool, uint32_t number, struct file **ret_file, struct wfs_error *err);

/* fsync of the directory and of the one it lies in, once after names were added to it. */
int spool_sync_names(struct spool *spool);

/* No new data file gets this number: somebody refers to it, be there such a file or not. */
void spool_keep_number(struct spool *spool, uint32_t number);

/* Deletes data files whose number `is_used` denies; and makes new numbers begin behind all others. */
void spool_sweep(struct spool *spool, bool (*is_used)(void *context, uint32_t number), void *context);

/* Deletes journal, .gitignore, lock and the directory, unless data files are left in it: false then, and
 * nothing was done. Lets go of the lock only with spool_close(). */
bool spool_remove(struct spool *spool);

void spool_close(struct spool *spool); /* NULL allowed; its files must be gone */

/* Who holds the lock of a staging directory. */
struct spool_holder {
    pid_t pid;             /* 0: unknown */
    char mountpoint[4096]; /* "": none */
};

/* 0, or -ENOENT: nobody does (or there is no such directory). */
int spool_holder(const struct spool_place *place, struct spool_holder *ret_holder);

/* The kernel's boot id; "" when it cannot be read. */
struct boot_id {
    char text[40];
};

struct boot_id boot_id_now(void);

#endif
