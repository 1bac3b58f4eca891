/* SPDX-License-Identifier: Apache-2.0
 *
 * The staging directory on disk: data files, one journal, a lock, a .gitignore (docs/staging.md 7). Nothing here knows what the
 * records mean.
 */
#ifndef STAGE_SPOOL_H
#define STAGE_SPOOL_H

#include "base/file.h"
#include "stage/journal.h"

#include <sys/types.h>

struct spool;

/* Where the staging directory of a target is: `path` NULL means .NAME.staging in dirfd. */
struct spool_place {
    int dirfd;          /* the target's directory; borrowed */
    const char *target; /* the target's name */
    const char *path;   /* of a directory elsewhere; NULL */
};

/* The directory's name (".NAME.staging", shortened when NAME is long) or path; malloc'd, NULL: no memory. */
char *spool_directory(const struct spool_place *place);

/* Opens an existing staging directory and takes its lock, waiting up to 5 s for a holder whose mount is gone. -ENOENT: there
 * is none; -EBUSY with the holder's pid and mount point. `mountpoint` (may be NULL) is written down for others. */
int spool_open(const struct spool_place *place, const char *mountpoint, struct spool **ret_spool,
               struct wfs_error *err);

/* Makes the directory (0700) with lock and .gitignore. -EBUSY when another one was quicker. */
int spool_create(const struct spool_place *place, const char *mountpoint, struct spool **ret_spool,
                 struct wfs_error *err);

int spool_dirfd(const struct spool *spool);
struct journal *spool_journal(struct spool *spool);
void spool_set_journal(struct spool *spool, struct journal *journal); /* taken over */

/* A new data file, or one that the journal names. */
int spool_new_file(struct spool *spool, struct file **ret_file, uint32_t *ret_number, struct wfs_error *err);
int spool_open_file(struct spool *spool, uint32_t number, struct file **ret_file, struct wfs_error *err);

/* fsync of the directory and of the one it lies in, once after names were added to it. */
int spool_sync_names(struct spool *spool);

/* Deletes data files whose number `is_used` denies; and makes new numbers begin behind all others. */
void spool_sweep(struct spool *spool, bool (*is_used)(void *context, uint32_t number), void *context);

/* Deletes journal, .gitignore, lock and the directory when no data file is left in it. Lets go of the lock with spool_close(). */
void spool_remove(struct spool *spool);

void spool_close(struct spool *spool); /* NULL allowed; its files must be gone */

/* Who holds the staging directory of a target: 0 and a sentence's worth of text ("pid 12, mounted at /mnt"), -ENOENT nobody. */
int spool_holder(const struct spool_place *place, pid_t *ret_pid, char *ret_mountpoint, size_t size);

/* The kernel's boot id; "" when it cannot be read. */
struct boot_id {
    char text[40];
};

struct boot_id boot_id_now(void);

#endif
