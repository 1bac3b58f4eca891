/* SPDX-License-Identifier: Apache-2.0
 *
 * The data structures of the pending model, for the files of stage/ only (pending.h declares what they do to
 * each other).
 *
 * A slot is a name; an entry is what an inode is. Names are kept in one table: those of tensors and, in
 * spaces of their own, those of scratch files. A tensor of the model that nobody touched has no slot, or one
 * whose entry is not staged.
 *
 * Every change is journalled before it is applied: it builds the entry_state that is to come, appends it to
 * the journal, and only then swaps it in. So a failing journal leaves everything as it was.
 *
 * Locks, in the order in which they are taken:
 *
 *   - gate: its read side is one change, its write side the freezing of staging for a commit. Never waited
 * for: a change that meets a commit gets -EBUSY.
 *   - content_lock of one entry: serialises what moves its bytes; may be held during long copies.
 *   - lock of the stage: names, states, sizes, times, counts; held for memory work and journal appends only.
 *
 * An entry's state changes under the stage's lock. Its content (where the bytes are) changes only with its
 * content_lock held, too, so that either is enough to read it; all else may change under the stage's lock
 * alone (state_take() writes no content that stays the same), and is read under it.
 */
#ifndef STAGE_TYPES_H
#define STAGE_TYPES_H

#include "base/cleanup.h"
#include "stage/journal.h"
#include "stage/spool.h"
#include "stage/stage.h"

#include <stdatomic.h>

enum space {
    SPACE_TENSOR = 't',   /* a tensor's name */
    SPACE_HASHED = 'h',   /* a shortened file name whose tensor name is not known yet */
    SPACE_RAW = 'r',      /* scratch in tensors/, by file name */
    SPACE_NPY = 'n',      /* scratch in npy/ */
    SPACE_ROOT = 's',     /* scratch directly in staging/ */
    SPACE_DOCUMENT = 'm', /* staging/metadata.json */
};

struct key {
    enum space space;
    const char *name;
    size_t length;
};

enum declared_by {
    DECLARED_BY_NOBODY,
    DECLARED_BY_MODEL,
    DECLARED_BY_DOCUMENT,
    DECLARED_BY_XATTR,
    DECLARED_BY_NPY,
    DECLARED_BY_COPY,
};

struct declaration {
    enum wfs_dtype dtype; /* WFS_DTYPE_COUNT: not declared */
    bool has_shape;
    size_t rank;
    unsigned char *shape; /* packed, owned */
    size_t shape_size;
    enum declared_by by;
};

#define DECLARATION_NONE ((struct declaration){.dtype = WFS_DTYPE_COUNT})

enum content_kind {
    CONTENT_EMPTY,  /* no bytes, and no file yet */
    CONTENT_SOURCE, /* the first `size` bytes of a tensor of a generation */
    CONTENT_SPOOL,  /* `size` bytes of a spool file, behind its lead-in */
};

struct content {
    enum content_kind kind;
    uint64_t size;
    struct generation *generation; /* SOURCE; NULL for an entry that is neither staged nor open */
    size_t index;
    struct file *spool; /* SPOOL; NULL only while the journal is replayed */
    uint32_t spool_number;
    uint64_t lead_in; /* bytes of the spool file before the content */
    bool damaged;     /* SPOOL: the journal knows that a write to the file failed */
};

/* What the journal keeps of an entry. Copied, changed, journalled, swapped in. */
struct entry_state {
    struct content content;
    struct declaration declared;
    struct declaration by_xattr; /* what xattrs said, to be held against an .npy header */
    char *origin;                /* the model's tensor that this one was before renames; NULL: none */
    size_t origin_length;
    bool draft; /* bytes that arrived in npy/ and are not understood yet: content is the .npy file itself */
    bool npy_view;      /* a scratch file outside npy/ that shows the .npy form of its content */
    bool from_npy;      /* the bytes arrived as .npy */
    bool patched;       /* the spool file began as a copy of the model's bytes */
    bool synced;        /* nothing was written since the last fsync */
    bool unsynced_lost; /* written before a power loss and not synced: not to be trusted */
    mode_t mode;
    struct timespec atime, mtime, ctime;
};

struct slot;

struct entry {
    struct stage *stage;
    uint64_t id;
    pthread_mutex_t content_lock;
    /* the rest: stage->lock */
    unsigned refs;     /* holders outside, plus one while it is staged */
    struct slot *slot; /* NULL: has no name any more */
    struct entry_state state;
    uint64_t draft_data; /* of a draft: where its elements begin; 0: not known yet */
    struct timespec
        redeclared; /* when an attribute changed dtype or shape, and with them the header of the .npy form */
    unsigned handles;
    unsigned writers;
    bool staged;  /* differs from the model; the table holds a reference */
    bool retired; /* a commit or a discard took it away */
};

/* What a discard of names does with one. */
enum drop {
    DROP_NOT,
    DROP_TOO,     /* drops it: it is the other name of a rename */
    DROP_MATCHED, /* drops it: it was asked for */
    DROP_PAIRED,  /* and the other name of its rename was found */
};

struct slot {
    struct slot *next; /* in its bucket */
    uint64_t hash;
    struct entry *entry;     /* NULL: no file of that name */
    struct declaration last; /* the name's last declaration while there is no entry, if not the model's */
    enum space space;
    bool removed;      /* the model's tensor of that name is not there any more */
    bool renamed_away; /* and lives on under another name: only while a report is made */
    enum drop drop;    /* only while a discard is made */
    size_t length;
    char name[];
};

struct table {
    struct slot **buckets;
    size_t bucket_count; /* a power of two */
    size_t count;
    uint64_t key[2];
};

struct stage_handle {
    struct stage *stage;
    struct entry *entry;
    enum stage_place place;
    bool readable, writable, append;
    bool is_closing; /* not among its entry's writers any more */
    pid_t pid;
    struct stage_handle *next; /* among the stage's writers */
};

/* Numbers, by their hash; 0 is none. */
struct id_set {
    uint64_t *ids;
    size_t count, capacity; /* a power of two */
};

enum commit_state {
    COMMIT_IDLE,
    COMMIT_RUNNING,
    COMMIT_FAILED,
    COMMIT_CANCELLED,
    COMMIT_DONE,
};

/* Which model the edits lie upon. */
struct base_identity {
    struct file_identity file;
    uint32_t header_hash;
    bool none; /* a model that did not exist */
};

/* A problem with strings of its own. */
struct problem {
    enum wfs_code code;
    bool is_warning;
    char *tensor; /* NULL: none */
    size_t tensor_length;
    int64_t offset;
    char *expected, *found, *message;
};

struct problem_list {
    struct problem *items;
    size_t count;
    size_t errors; /* those that are no warnings */
    bool failed;   /* out of memory */
};

/* What the last commit, check or discard did. */
struct outcome {
    const char *verb; /* NULL: nothing ran yet */
    bool ok;
    struct problem_list problems;
    uint64_t generation;
    uint64_t size;
    struct clone_cost cost;
    uint64_t clonable; /* bytes that a file system which shares blocks would not have to copy */
    uint64_t written;  /* bytes of the header and whatever else is neither cloned nor copied */
    double seconds;
};

/* What the journal remembers of a tensor of the model (witness.h). */
struct witness {
    uint64_t digest;
    bool is_noted; /* in the journal */
    bool is_known; /* the digest is */
    bool is_hopeless;
};

struct witnesses {
    struct witness *items; /* by index of the generation; NULL: none yet */
    size_t count;
    size_t next; /* below it nothing waits for a digest */
    bool map_is_noted;
    bool is_running; /* the thread that makes digests */
    bool has_thread;
    pthread_t thread;
    atomic_bool stop;
};

/* metadata.json as it was rendered last. */
struct rendering {
    bool is_known;
    uint64_t change; /* the change count that it is of */
    uint64_t size;
    struct image *image; /* kept while somebody has the document open, who reads it piece by piece */
};

struct stage {
    /* fixed after stage_open() */
    int dirfd;
    char *name;
    char *path;
    char *mountpoint;
    struct stage_options options; /* its strings are not used after opening */
    char *link, *link_name;
    struct wfs_error read_only_why; /* code 0: may be edited */

    pthread_rwlock_t gate;
    atomic_bool frozen;
    atomic_bool cancelled;
    atomic_bool past_cancelling;

    pthread_mutex_t lock;
    struct generation *generation;
    uint64_t generation_number;
    struct table table;
    struct entry *document;     /* staging/metadata.json */
    struct rendering rendering; /* of the document */
    char *document_error;       /* why the document as written cannot be applied; NULL: nothing wrong */
    bool metadata_staged;
    struct metadata_map metadata; /* when metadata_staged; owned, one block a pair */
    struct layout layout;
    struct spool *spool; /* NULL: nothing on disk yet */
    int spool_parent;    /* directory that the staging directory lies in */
    char *spool_name;
    bool spool_is_elsewhere; /* -o staging=DIR */
    char *spool_path;        /* for messages */
    struct stage_handle *writers;
    uint64_t next_id;
    struct id_set
        worn; /* ids of the model's tensors under which an entry lost its name: it may live on, open */
    _Atomic uint64_t changes;
    struct timespec clock;      /* of the last change of any file */
    struct timespec model_time; /* of the last change of the pending model */
    bool create;                /* the target does not exist yet */
    bool is_open;               /* what lies on disk was taken up: before, it is not ours to change */
    char *last_note;            /* the last refusal's sentence */
    bool is_volatile;           /* staging lies in memory: nothing survives a reboot */
    char *adopted; /* the name that the model had when the edits were made, where that is known */
    char *resumed; /* what was found at opening, one line; NULL: nothing */
    struct witnesses witnesses;

    const struct base_identity *intent; /* of a commit that is about to publish; NULL: none */

    /* the preview, kept until the next change */
    struct image *preview;
    uint64_t preview_change;
    bool preview_valid;

    /* the commit: changed under lock, read under lock */
    enum commit_state commit_state;
    enum commit_phase commit_phase;
    uint64_t commit_done, commit_total;
    char *commit_error;
    struct outcome last;
};

#endif
