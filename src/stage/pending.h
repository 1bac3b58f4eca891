/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of stage/ offer each other, file by file. The data structures and the order of the locks are
 * in types.h.
 */
#ifndef STAGE_PENDING_H
#define STAGE_PENDING_H

#include "base/cleanup.h"
#include "stage/types.h"

/* --- state.c --- */

int declaration_copy(struct declaration *to, const struct declaration *from); /* replaces `to` */
void declaration_clear(struct declaration *declaration);
bool declaration_complete(const struct declaration *declaration);
bool declaration_same(const struct declaration *a, const struct declaration *b); /* dtype and shape */
int declaration_of_tensor(struct declaration *to, const struct wfs_tensor *tensor, enum declared_by by);
struct wfs_tensor declaration_tensor(const struct declaration *declaration, const char *name, size_t length);
/* The bytes that a complete declaration asks for; false when there is no such number. */
bool declaration_bytes(const struct declaration *declaration, uint64_t *ret_bytes);
void declaration_print(struct bytes *out, const struct declaration *declaration); /* "BF16 [2,3]" */

int state_copy(struct entry_state *to, const struct entry_state *from);
void state_clear(struct entry_state *state);
/* Moves `next` in. Content that is the same is not written: whoever holds the entry's content_lock reads it
 * meanwhile. */
void state_take(struct entry_state *to, struct entry_state *next);
void content_clear(struct content *content);

#define auto_state       __attribute__((cleanup(state_clear))) struct entry_state
#define auto_declaration __attribute__((cleanup(declaration_clear))) struct declaration

/* --- slot.c --- */

int table_init(struct table *table);
void table_free(struct table *table); /* its entries must be gone */
struct slot *slot_find(const struct table *table, struct key key);
struct slot *slot_get(struct table *table, struct key key); /* NULL: no memory */
void slot_drop_if_empty(struct table *table, struct slot *slot);
struct slot *slot_next(const struct table *table, size_t *bucket,
                       const struct slot *slot); /* NULL, &0 to begin */
struct key slot_key(const struct slot *slot);

/* --- entry.c: all with stage->lock held, but for entry_new() --- */

struct entry *entry_new(struct stage *stage, uint64_t id); /* one reference; no name */
void entry_unref_locked(struct entry *entry);
void entry_link(struct entry *entry, struct slot *slot);
void entry_unlink(struct entry *entry); /* takes the name away */
void entry_set_staged(struct entry *entry, bool staged);
void entry_retire(struct entry *entry); /* drops name and staging; bytes stay while a handle is open */
/* The file name's key; `buffer` (PATH_MAX) keeps a decoded name. -ENOENT, -EINVAL. */
int key_of_file(struct stage *stage, enum stage_place place, const char *file_name, char *buffer,
                struct key *ret_key);
/* The entry of a key, made when it is a tensor of the model that nobody held; counted. NULL: there is none
 * (or no memory). */
struct entry *entry_of_key(struct stage *stage, struct key key);
bool base_find(const struct stage *stage, struct key key, size_t *ret_index);
/* Whether the model's tensor of that name has this dtype and shape. */
bool declaration_is_models(const struct stage *stage, struct key key, const struct declaration *declared);
/* Whether an entry in this state, under this key, is just the model's tensor. */
bool state_is_clean(const struct stage *stage, struct key key, const struct entry_state *state);
/* The last declaration of a name: staged or the model's. */
int last_declaration(const struct stage *stage, struct key key, struct declaration *ret_declaration);
/* Whether the entry has a file in that directory. */
bool entry_shows(const struct entry *entry, enum stage_place place);
/* The image of a view; NULL: no memory. */
struct image *entry_image(const struct entry *entry, enum stage_place place);
uint64_t entry_size(const struct entry *entry, enum stage_place place);
/* Whether a view shows bytes behind an .npy header that is made from the declaration. */
bool view_has_header(const struct entry *entry, enum stage_place place);
uint64_t view_header_size(const struct entry *entry);
/* Scratch files and files without a name are not: an editor's swap file must neither make the document look
 * changed nor keep a commit waiting. */
bool entry_is_part_of_model(const struct entry *entry);
void stage_touch(struct stage *stage, struct entry *entry); /* a file changed, or (NULL) names did */
struct image *content_image(const struct entry *entry, uint64_t from, uint64_t length);
/* What a file name stands for is gone: its spool file, if any, is deleted when the last reader lets go of it.
 */
void spool_file_doomed(struct stage *stage, const struct entry_state *state);
/* Deletes the staging directory when nothing in it is needed any more. */
void stage_drop_spool_if_unused(struct stage *stage);

/* --- edit.c: one atomic change of names and states --- */

struct edit {
    struct stage *stage;
    struct bytes payload;
    size_t *noted; /* tensors of the model that are noted with it */
    size_t noted_count, noted_capacity;
    bool noted_map;
};

void edit_begin(struct edit *edit, struct stage *stage);
void edit_live(struct edit *edit, struct key key, const struct entry_state *state);
void edit_removed(struct edit *edit, struct key key, const struct declaration *last);
void edit_forget(struct edit *edit, struct key key); /* as if nothing had ever been staged there */
void edit_metadata(struct edit *edit, bool staged, const struct metadata_map *map);
void edit_intent(struct edit *edit, const struct base_identity *identity);
void edit_everything_gone(struct edit *edit);
int edit_commit(struct edit *edit);         /* journals it all, or nothing */
int edit_commit_durably(struct edit *edit); /* and a power loss does not take it */
void edit_end(struct edit *edit);
#define auto_edit __attribute__((cleanup(edit_end))) struct edit

/* Journals and applies a new state for an entry that keeps its name (or has none): `next` is taken over on
 * success. With stage->lock held, and the entry's content_lock when bytes change. */
int entry_update(struct entry *entry, struct entry_state *next);

/* After a failed write or fsync, with content_lock held: the journal remembers it, so that the next mount
 * does. */
void entry_note_damage(struct entry *entry);

/* --- gate --- */

/* Begins a change: 0, -EBUSY during a commit, -EROFS. After 0, change_end() is owed. */
int change_begin(struct stage *stage);
/* The last close of a file that was written must be able to finish while a commit waits for it. */
void change_begin_late(struct stage *stage);
void change_end(struct stage *stage);

static inline void cleanup_change(struct stage **stage)
{
    if (*stage)
        change_end(*stage);
}

/* `auto_change struct stage *gate = stage;` after change_begin() */
#define auto_change __attribute__((cleanup(cleanup_change), unused))

/* --- content.c --- */

/* With the entry's content_lock held: makes the entry's bytes a spool file of its own that may be written,
 * with `keep` of its present bytes in it. */
int content_make_writable(struct entry *entry, uint64_t keep);

/* A negative errno when a write to the entry's file failed at any time. */
int content_error(const struct entry *entry);
/* With the entry's content_lock held: its bytes become the image's, in a new spool file. */
int content_replace(struct entry *entry, const struct image *image);
/* Copies part of an image into a spool file. */
int spool_fill(struct file *spool, uint64_t offset, const struct image *image, uint64_t from,
               uint64_t length);

/* --- names.c: with stage->lock held --- */

/* Past the gate. 1: the entry was there, without a file in that directory, and is to be truncated there. */
int entry_create(struct stage *stage, enum stage_place place, const char *file_name, mode_t mode,
                 struct entry **ret_entry);
void edit_name_gone(struct edit *edit, struct key key, const struct declaration *last);
void name_gone(struct entry *entry);
int document_reset(struct stage *stage); /* with its content_lock, too */
bool is_document_name(enum stage_place place, const char *file_name);

/* --- write.c, handle.c --- */

int entry_truncate(struct entry *entry, enum stage_place place,
                   uint64_t size);               /* past the gate, no lock held */
void handle_detach(struct stage_handle *handle); /* undoes what opening did; does not free */
/* What waits until nobody writes an entry: a document is applied, an .npy understood. No lock held. */
void entry_settle(struct entry *entry);

/* --- ingest.c --- */

/* Looks for a draft's header, if that is not known; stage->lock held. */
void draft_peek(struct entry *entry);
/* The bytes of an entry changed from that offset of its content on; stage->lock held. */
void draft_touched(struct entry *entry, uint64_t from);
/* Understands a draft that nobody writes any more and that bears a tensor's name; no lock held. */
int draft_settle(struct entry *entry);
/* Why a draft is not a tensor yet: NPY_INVALID or NPY_INCOMPLETE with a sentence; stage->lock held. */
void draft_explain(const struct entry *entry, struct wfs_error *ret_why);

/* --- document.c --- */

/* Applies the document as written, when nobody writes it any more; no lock held. */
int document_settle(struct stage *stage);
/* Every draft that nobody writes; no lock held. */
void drafts_settle(struct stage *stage);
/* The bytes as written are not needed any more: it is rendered again. stage->lock held. */
void document_drop(struct stage *stage);

/* --- render.c: the document as a reader sees it; with stage->lock held --- */

struct image *document_image(struct stage *stage);
void document_image_drop(struct stage *stage); /* nobody has it open any more */
uint64_t document_image_size(struct stage *stage);

/* --- metadata.c --- */

int metadata_copy(struct metadata_map *to, const struct metadata_map *from);
void metadata_clear(struct metadata_map *map);
bool metadata_same(const struct metadata_map *a, const struct metadata_map *b); /* in any order */
/* The map as it would be committed; pairs are malloc'd, strings borrowed; stage->lock held. */
int pending_metadata(const struct stage *stage, struct metadata_map *ret_map);

/* --- problem.c --- */

void problem_add(struct problem_list *list, enum wfs_code code, bool is_warning, struct key tensor,
                 const char *expected, const char *found, const char *format, ...)
    __attribute__((format(printf, 7, 8)));
void problem_add_error(struct problem_list *list, const struct wfs_error *err);
/* The sentence without the code that it may begin with. */
const char *error_sentence(const struct wfs_error *err);
void problem_list_clear(struct problem_list *list);
/* Those from `begin` on, by tensor: slot_next() gives them in another order with each mount. */
void problem_list_sort(struct problem_list *list, size_t begin);
/* One sentence for all of them; the errno is the first error's. */
int error_problems(struct wfs_error *err, const struct problem_list *problems);
#define NO_TENSOR ((struct key){SPACE_TENSOR, NULL, 0})

/* --- recover.c --- */

/* Opens what is on disk and takes it up, or refuses; called once, by stage_open(). */
int recover(struct stage *stage, const struct stage_options *options, struct wfs_error *err);

struct base_identity base_identity_of(struct generation *generation);
bool base_identity_equal(const struct base_identity *a,
                         const struct base_identity *b); /* the inode does not count */
/* Whether `name` in `dirfd` is that model now: 1, 0, or a negative errno (-ENOENT: no such file). */
int base_identity_check(int dirfd, const char *name, const struct base_identity *identity);

/* The staging directory with journal and lock, made now when there is none. stage->lock held. */
int stage_ensure_spool(struct stage *stage);
int stage_start_journal(struct stage *stage); /* a new one that says which model the edits lie upon */

/* --- place.c --- */

/* Where the staging directory is or will be: `staging`, or (NULL) beside the target. */
int stage_place_spool(struct stage *stage, const char *staging, struct wfs_error *err);
void stage_forget_place(struct stage *stage);

/* Why nothing can be staged there, if so, and whether it lies in memory. */
void stage_judge_place(struct stage *stage, bool read_only);

/* --- renew.c --- */

/* Which model the edits lie upon, as the first item of a journal. */
void put_base(struct stage *stage, struct bytes *out);
/* Writes a latched journal anew from what is in memory, which the caller did not change yet. stage->lock
 * held. */
int stage_renew_journal(struct stage *stage);
/* Writes it anew with what is true now and nothing else; stage->lock held. */
int stage_rewrite_journal(struct stage *stage);
/* The same when it has grown long. A failure is no harm. */
void stage_keep_journal_short(struct stage *stage);
int error_journal(const struct stage *stage, int r, struct wfs_error *err);

/* Drops everything staged, in memory and on disk; stage->lock held. The edits must be journalled as gone or
 * superseded. */
void stage_clear(struct stage *stage);

/* The same in memory only. */
void stage_forget(struct stage *stage);

/* fsyncs every staged file, then the journal and the directories; no lock held. */
int stage_sync_all(struct stage *stage);

/* --- publish.c, discard.c --- */

/* Freezes staging: every further change gets -EBUSY. Waits up to 1 s for closes on their way, then -EBUSY
 * names who writes. */
int stage_freeze(struct stage *stage, struct wfs_error *err);
void stage_thaw(struct stage *stage);
/* The preview's parts pin spool files; stage->lock held. */
void preview_drop(struct stage *stage);
/* Deletes the staging directory when it is not needed any more and nothing is under way (but the commit of
 * the one who calls); no lock held. */
void stage_tidy_up(struct stage *stage, bool is_committer);
/* Whether blocks of the source can be shared with a new file beside the target. */
bool stage_can_clone(struct stage *stage);
/* Staged changes of tensors, metadata and document; stage->lock held. */
size_t count_changes(const struct stage *stage);
/* Whether anything is staged that a commit would have to look at; stage->lock held. */
bool stage_has_changes(const struct stage *stage);
bool stage_has_scratch(const struct stage *stage);
/* A new name that metadata.json declared and that has no file yet: no change of the model, but somebody's
 * word. */
bool slot_is_only_declared(const struct stage *stage, const struct slot *slot);
bool stage_has_declared(const struct stage *stage);
/* Documents and drafts that a killed daemon left with nobody to close them; no lock held. */
void stage_settle_resumed(struct stage *stage);

#endif
