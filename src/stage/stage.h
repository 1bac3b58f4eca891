/* SPDX-License-Identifier: Apache-2.0
 *
 * The pending model: a generation plus what was staged on top of it, kept on disk beside the source
 * (docs/staging.md).
 *
 * The files of staging/ are entries. An entry is what an inode is: it has an id, bytes and attributes, it can
 * be renamed, and it outlives its name while somebody holds it. The same entry is seen through two views:
 * tensors/NAME and npy/NAME.npy. No function here knows FUSE; a mount and the command line use the same ones.
 *
 * Threads: every function may be called from any thread at any time. Changes get -EBUSY while a commit runs;
 * nothing ever waits for one. A refusal that has more to say than its errno is kept for the status file.
 */
#ifndef STAGE_STAGE_H
#define STAGE_STAGE_H

#include "format/encode.h"
#include "model/generation.h"

struct stage;
struct entry;
struct stage_handle;

/* --- opening --- */

struct stage_options {
    bool read_only;         /* never stage anything */
    bool discard;           /* drop edits found on disk, whatever they were made against */
    bool rebase;            /* take edits over that were made against another version of the model */
    bool accept_unsynced;   /* take entries that were not synced before a power loss */
    bool create;            /* the target does not exist yet */
    const char *staging;    /* path of the staging directory; NULL: .NAME.staging beside the target */
    const char *path;       /* absolute path of the target, for messages and the journal */
    const char *mountpoint; /* absolute, for the lock's holder; NULL without a mount */
    /* A target that was reached through a symlink: the link as given (NULL: it was not), resolved beforehand,
     * and what the user allowed: `follow` replaces what it points to, `replace_link` makes the link itself
     * (link_name in link_dirfd) a file. */
    const char *link;
    int link_dirfd;
    const char *link_name;
    bool follow, replace_link;
    bool output; /* the target is another file than the generation's: at the first commit it must not exist */
};

/* Opens the pending model for target `name` in `dirfd` (borrowed, must outlive the stage) on top of
 * `generation` (referenced). Edits on disk are resumed. Errors: -EBUSY (locked: the holder is named), -ESTALE
 * (made against another version), -EIO (damaged). */
int stage_open(int dirfd, const char *name, struct generation *generation,
               const struct stage_options *options, struct stage **ret_stage, struct wfs_error *err);

/* Syncs what is staged, lets go of the lock, frees. Never commits, never discards. */
void stage_close(struct stage *stage);

/* Whether a change has a chance: 0, or -EROFS with the reason and the option that helps. */
int stage_writable(const struct stage *stage, struct wfs_error *err);

/* The generation that the edits lie upon; counted for the caller. */
struct generation *stage_generation(struct stage *stage);

/* Grows with every change of the pending model. */
uint64_t stage_change_count(const struct stage *stage);

/* When a file of staging/ changed last: the mtime of its directories. When the pending model did: that of
 * document and preview, which an editor's scratch files leave alone. Both strictly grow with each change. */
struct timespec stage_mtime(const struct stage *stage);
struct timespec stage_model_time(const struct stage *stage);

/* --- names --- */

/* The directories of staging/. A file name in PLACE_NPY that ends in .npy and one in PLACE_TENSORS that is no
 * scratch name are views of the same entry; all other files are scratch. PLACE_ROOT holds metadata.json and
 * scratch files. */
enum stage_place {
    PLACE_ROOT,
    PLACE_TENSORS,
    PLACE_NPY,
};

/* The entry behind a file name, counted for the caller: -ENOENT. A tensor of the model that nobody touched
 * has one too. */
int stage_lookup(struct stage *stage, enum stage_place place, const char *file_name,
                 struct entry **ret_entry);

struct entry *entry_ref(struct entry *entry);
void entry_unref(struct entry *entry); /* NULL allowed */

/* Unique for the life of the stage and different from every tensor id of its generations, except that a
 * tensor nobody touched has its tensor's id, unless another entry went away with that. Ids are below 2^56. */
uint64_t entry_id(const struct entry *entry);

struct stage_attr {
    uint64_t size;
    uint64_t blocks; /* of 512 bytes; 0 where the bytes are the source's */
    mode_t mode;     /* permission bits */
    struct timespec atime, mtime, ctime;
    bool is_linked; /* still has a name */
};

/* -ESTALE for an entry that a commit or a discard took away. */
int entry_attr(struct stage *stage, struct entry *entry, enum stage_place place, struct stage_attr *ret_attr);

/* The names of one directory as it is now: the model's order, then what was staged. Free the whole with
 * stage_listing_free(). */
struct stage_listing {
    size_t count;

    struct stage_name {
        const char *file_name;
        uint64_t id; /* entry_id(); */
    } * names;

    char *storage;
};

int stage_list(struct stage *stage, enum stage_place place, struct stage_listing *ret_listing);
void stage_listing_free(struct stage_listing *listing);

/* Creates a file (an undeclared tensor, or scratch). -EEXIST, -EINVAL for a name that no tensor can have,
 * -EBUSY, -EROFS, and the errors of the disk. */
int stage_create(struct stage *stage, enum stage_place place, const char *file_name, mode_t mode,
                 struct entry **ret_entry);

/* metadata.json cannot go: unlinking it, or renaming it away, drops what was written and not applied, and it
 * is rendered again. Creating it empties it. */
int stage_unlink(struct stage *stage, enum stage_place place, const char *file_name);

/* renameat2(2): flags 0, RENAME_NOREPLACE, RENAME_EXCHANGE. */
int stage_rename(struct stage *stage, enum stage_place from, const char *from_name, enum stage_place to,
                 const char *to_name, unsigned flags);

/* --- bytes --- */

/* Opens a view of an entry. `flags` are open(2)'s: access mode, O_TRUNC, O_APPEND count. The handle keeps the
 * entry. */
int stage_open_entry(struct stage *stage, struct entry *entry, enum stage_place place, int flags,
                     struct stage_handle **ret_handle);

/* Who opened it: named when a commit finds the file open for writing. */
void stage_handle_set_pid(struct stage_handle *handle, pid_t pid);

/* close(2) of one descriptor: the latched write error, if any. */
int stage_flush(struct stage_handle *handle);

/* The last close: the last writer's release applies a document and converts an .npy. */
void stage_release(struct stage_handle *handle);

/* The image of the view as it is now, counted for the caller. -ESTALE, -ENOMEM. */
int stage_image(struct stage_handle *handle, struct image **ret_image);

/* The count or a negative errno. With O_APPEND the offset is ignored. */
ssize_t stage_write(struct stage_handle *handle, const void *data, size_t length, uint64_t offset);

/* copy_file_range(2) from an image of this mount: a whole tensor is staged as a range of the source.
 * `from_tensor` says that the image is all of tensors/NAME (or npy/NAME.npy) so that dtype and shape are
 * carried along; NULL: plain bytes. */
struct stage_origin {
    struct generation *generation; /* a tensor of the read-only tree ... */
    size_t index;
    struct entry *entry;    /* ... or an entry of staging/ */
    enum stage_place place; /* through which view */
};

ssize_t stage_copy(struct stage_handle *to, uint64_t to_offset, struct image *image, uint64_t offset,
                   uint64_t length, const struct stage_origin *origin);

int stage_truncate(struct stage *stage, struct entry *entry, enum stage_place place, uint64_t size);
int stage_fallocate(struct stage_handle *handle, int mode, uint64_t offset, uint64_t length);

/* Attributes that are stored and shown, nothing more. NULL times are left alone. Stages nothing. */
int stage_set_mode(struct stage *stage, struct entry *entry, mode_t mode);
int stage_set_times(struct stage *stage, struct entry *entry, const struct timespec *atime,
                    const struct timespec *mtime);

/* fsync of a file, fsyncdir of a directory. */
int stage_sync_entry(struct stage *stage, struct entry *entry);
int stage_sync_names(struct stage *stage);

/* --- extended attributes --- */

/* user.safetensors.dtype, .shape and .name. get: appends the value; -ENODATA. list: appends NUL-terminated
 * names. */
int stage_xattr_get(struct stage *stage, struct entry *entry, const char *name, struct bytes *out);
int stage_xattr_list(struct stage *stage, struct entry *entry, struct bytes *out);
int stage_xattr_set(struct stage *stage, struct entry *entry, const char *name, const char *value,
                    size_t size);
int stage_xattr_remove(struct stage *stage, struct entry *entry, const char *name);

/* --- the pending model as a whole --- */

/* What a commit would write. Its size, without errors; 0 while problems are pending. */
uint64_t stage_preview_size(struct stage *stage);

/* -EINVAL while problems are pending. *ret_change is the change count it is valid for. */
int stage_preview(struct stage *stage, struct image **ret_image, uint64_t *ret_change);

/* --- commit, check, discard --- */

enum commit_phase {
    COMMIT_PLANNING,
    COMMIT_COPYING,
    COMMIT_VALIDATING,
    COMMIT_SYNCING,
    COMMIT_PUBLISHING,
};

struct commit_options {
    bool force; /* lifts ESTALE and EEXIST */
    bool allow_empty;
    bool follow, replace_link; /* like those of stage_options, for this commit */
    const char *backup_suffix; /* NULL: no backup */
    bool has_layout;
    struct layout layout;
};

/* What the one who starts a commit learns. Called on the committing thread, no lock held. */
struct commit_observer {
    void *context;
    /* staging is frozen: every change gets EBUSY from here on */
    void (*frozen)(void *context);
    /* the new generation is in place on disk and in the stage; caches must be told before the commit is
     * answered */
    void (*published)(void *context, struct generation *before, struct generation *after);
};

/* 0; 1: done, but the directory's fsync failed (exit 5); or a negative errno with nothing changed. The
 * details are in the report (stage_report_json). Only one runs at a time: -EBUSY. Blocks: call it on a thread
 * of its own. */
int stage_commit(struct stage *stage, const struct commit_options *options,
                 const struct commit_observer *observer, struct wfs_error *err);

/* Asks a running commit to stop (-ECANCELED there) unless it is past the last moment. Safe at any time. */
void stage_cancel(struct stage *stage);

bool stage_is_committing(const struct stage *stage);

/* Finds every problem; 0 or -EINVAL. */
int stage_check(struct stage *stage, struct wfs_error *err);

/* Drops all edits, or those whose name matches one of the globs (a literal name wins). -ENOENT when nothing
 * matched. */
int stage_discard(struct stage *stage, char *const *globs, size_t count, struct wfs_error *err);

/* --- reports --- */

/* What only the face knows: NULL members are written as null. */
struct stage_face {
    const char *mountpoint;
    const char *source;
    int pid; /* 0: none */
    const char *const
        *notes; /* further lines of the text (what was applied, what was not allowed), NULL-terminated */
};

/* The text of `status` and the object of status.json (docs/staging.md 10). */
int stage_report_text(struct stage *stage, const struct stage_face *face, struct bytes *out);
int stage_report_json(struct stage *stage, const struct stage_face *face, struct bytes *out);

/* Keeps the sentence of a refusal for the status file. */
void stage_note(struct stage *stage, const struct wfs_error *err);

/* Number of staged changes (tensors and metadata) and where they lie (NULL: nowhere yet; borrowed until
 * stage_close). */
size_t stage_change_total(struct stage *stage);
const char *stage_directory(struct stage *stage);

/* What was found at opening, one line; NULL: nothing. Borrowed likewise. */
const char *stage_resumed(const struct stage *stage);

/* Whether nothing can be edited, and nothing is to be written. */
bool stage_is_read_only(const struct stage *stage);

#endif
