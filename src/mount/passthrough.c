/* SPDX-License-Identifier: Apache-2.0 */
#include "mount/passthrough.h"

#include "base/cleanup.h"

#include <fuse_lowlevel.h>

#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)

#include "base/checked.h"
#include "base/error.h"
#include "mount/backing.h"
#include "mount/handle.h"

#include <fcntl.h>
#include <linux/mman.h>
#include <string.h>
#include <sys/syscall.h>

/* Cloning a range takes as long as reading that many bytes of it through the daemon. */
#define SMALLEST_CLONE ((uint64_t)128 << 10)

/* Clones kept when nobody has them open, for their cached pages. */
#define KEPT_CLONES 256u

/* How much of a tensor is asked about, and how many tensors are remembered to have been asked about. */
#define SAMPLE     ((uint64_t)64 << 20)
#define REMEMBERED 4096u

struct passthrough {
    struct session *session;
    struct backing_table *backings;
    atomic_bool is_on;    /* the kernel agreed at INIT */
    atomic_bool is_tried; /* or is being */
    atomic_bool cannot_clone;
    _Atomic uint64_t opened_cached[REMEMBERED]; /* inode numbers, each in the place that its id leads to */
};

/* --- clones that are kept --------------------------------------------------------------------- */

/* Whether a clone costs no space: its blocks are those of the model's file as it is now. A commit has cloned
 * what begins at a whole block before and after it (image/image_write.c). */
static bool shares_blocks(const struct generation *generation, uint64_t number)
{
    size_t index;

    return generation_find_id(generation, number_id(number), &index) &&
           generation_offset(generation, index) % CLONE_BLOCK == 0;
}

static bool is_worth_keeping(void *context, uint64_t number)
{
    auto_current current = session_current(context);
    return shares_blocks(current.generation, number);
}

/* A clone that is made while a commit ends is judged by the generation before or is sifted here: the session
 * has the new one already. */
void passthrough_published(struct passthrough *passthrough)
{
    const struct backing_judge judge = {is_worth_keeping, passthrough->session};

    atomic_store(&passthrough->cannot_clone, false);
    backing_sift(passthrough->backings, &judge);
}

/* --- deciding --------------------------------------------------------------------------------- */

static void note_refusal(const struct passthrough *passthrough, int r)
{
    if (r == -EPERM)
        session_note(passthrough->session, NOTE_PASSTHROUGH,
                     "kernel passthrough is not used: not allowed here, although root asks");
    else if (r == -ELOOP)
        session_note(passthrough->session, NOTE_PASSTHROUGH,
                     "kernel passthrough is not used: the model lies on a stacked file system");
    else
        session_note(passthrough->session, NOTE_PASSTHROUGH, "kernel passthrough is not used: %s",
                     strerrordesc_np(-r));
}

/* The part that is all of an image, in a file; NULL: the bytes are gathered from several places. */
static const struct image_part *only_part(const struct image *image)
{
    const struct image_part *part = image_part_count(image) == 1 ? image_part(image, 0) : NULL;

    return part && part->file ? part : NULL;
}

static bool is_whole_file(const struct image_part *part)
{
    return part->offset == 0 && part->length == file_identity(part->file)->size;
}

/* Whether most of it is in the page cache. */
static bool is_cached(const struct image_part *part)
{
    struct cachestat_range range = {part->offset, min_u64(part->length, SAMPLE)};
    struct cachestat found = {0};
    int fd = file_acquire(part->file);
    if (fd < 0)
        return false;
    long r = syscall(SYS_cachestat, fd, &range, &found, 0);
    file_release(part->file);
    return r == 0 && found.nr_cache > range.len / (uint64_t)sysconf(_SC_PAGESIZE) / 2;
}

/* A clone has no page in the cache, whatever the model's file has there: its first reader waits for the disk.
 * That is worth while when there will be others; who reads every tensor once is served from the cache through
 * the daemon. So what is cached gets its clone when it is opened for the second time. */
static bool is_better_not_cloned_yet(struct passthrough *passthrough, uint64_t number,
                                     const struct image_part *part)
{
    _Atomic uint64_t *place = &passthrough->opened_cached[number_id(number) % REMEMBERED];

    return atomic_load(place) != number && is_cached(part) && atomic_exchange(place, number) != number;
}

/* An unlinked file that has the part's blocks; negative errno. */
static int clone_part(const struct passthrough *passthrough, const struct image_part *part)
{
    auto_close int fd =
        openat(passthrough->session->target.dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, S_IRUSR);
    if (fd < 0)
        return -errno;
    int source = file_acquire(part->file);
    if (source < 0)
        return source;
    int r = clone_only(source, part->offset, fd, part->length);
    if (r == 0)
        r = file_check(part->file); /* what was cloned is what was opened */
    file_release(part->file);
    return r < 0 ? r : take_fd(&fd);
}

static bool may_clone(const struct passthrough *passthrough, const struct image_part *part)
{
    return part->length >= SMALLEST_CLONE && part->offset % CLONE_BLOCK == 0 &&
           !atomic_load(&passthrough->cannot_clone) && !stage_is_read_only(passthrough->session->stage);
}

static int back_with_clone(struct passthrough *passthrough, uint64_t number, const struct image_part *part)
{
    if (!may_clone(passthrough, part) || is_better_not_cloned_yet(passthrough, number, part))
        return 0;
    auto_close int fd = clone_part(passthrough, part);
    if (fd == -ENOMEM || fd == -ENOSPC || fd == -EDQUOT || fd == -EMFILE || fd == -ENFILE || fd == -ESTALE)
        return 0; /* another time, perhaps */
    if (fd < 0) {
        atomic_store(&passthrough->cannot_clone, true);
        return 0;
    }
    return backing_make(passthrough->backings, fd);
}

static int back_with_source(const struct passthrough *passthrough, const struct image_part *part)
{
    int fd = file_acquire(part->file);
    if (fd < 0)
        return fd;
    int id = backing_make(passthrough->backings, fd);
    file_release(part->file);
    return id;
}

/* An id, or 0 for reading through the daemon. */
static int decide(struct passthrough *passthrough, const struct handle *handle, int flags)
{
    const struct image_part *part = only_part(handle->image);
    int id = 0;

    if (!part ||
        (flags & O_DIRECT)) /* the file system below may not have O_DIRECT, or align it differently */
        return 0;
    if (number_view(handle->number) == VIEW_WHOLE)
        id = is_whole_file(part) ? back_with_source(passthrough, part) : 0;
    else
        id = back_with_clone(passthrough, handle->number, part);
    if (id < 0)
        note_refusal(passthrough, id);
    return id > 0 ? id : 0;
}

/* --- what operations call --------------------------------------------------------------------- */

static bool is_candidate(const struct handle *handle)
{
    enum view view = number_view(handle->number);

    return view == VIEW_WHOLE || view == VIEW_TENSOR;
}

int passthrough_open(struct passthrough *passthrough, struct handle *handle, struct fuse_file_info *info)
{
    const struct backing_judge judge = {is_worth_keeping, passthrough->session};

    if (!atomic_load(&passthrough->is_on) || !is_candidate(handle))
        return 0;
    struct backing *backing = backing_open(passthrough->backings, handle->number);
    if (!backing)
        return -ENOMEM;
    handle->is_backed = true;

    pthread_mutex_lock(&backing->lock);
    bool is_new = !backing->is_decided;
    if (is_new)
        backing->id = decide(passthrough, handle, info->flags);
    backing->is_decided = true;
    pthread_mutex_unlock(&backing->lock);

    if (backing->id == 0)
        return 0;
    if (is_new && number_view(handle->number) == VIEW_TENSOR)
        backing_keep(passthrough->backings, backing, &judge);
    else
        backing_used(passthrough->backings, backing);
    info->backing_id = backing->id;
    info->keep_cache = 0;                            /* the kernel takes no such flag here */
    info->direct_io = (info->flags & O_DIRECT) != 0; /* then only mappings go past the daemon */
    return 0;
}

void passthrough_release(struct passthrough *passthrough, struct handle *handle)
{
    if (handle->is_backed)
        backing_close(passthrough->backings, handle->number);
}

void passthrough_ask(struct passthrough *passthrough, struct fuse_conn_info *connection)
{
    struct session *session = passthrough->session;

    if (session->options->no_passthrough)
        session_note(session, NOTE_PASSTHROUGH, "kernel passthrough is not used: -o no_passthrough");
    else if (geteuid() != 0)
        session_note(session, NOTE_PASSTHROUGH, "kernel passthrough is not used: it needs root");
    else if (!fuse_set_feature_flag(connection, FUSE_CAP_PASSTHROUGH))
        session_note(session, NOTE_PASSTHROUGH,
                     "kernel passthrough is not used: this kernel does not offer it (Linux 6.9 does)");
    else
        atomic_store(&passthrough->is_on, true);
}

void passthrough_try(struct passthrough *passthrough)
{
    if (!atomic_load(&passthrough->is_on) || atomic_exchange(&passthrough->is_tried, true))
        return;
    auto_current current = session_current(passthrough->session);
    struct file *source = generation_file(current.generation);
    int fd = source ? file_acquire(source) : -1;
    if (fd < 0)
        return;
    int id = backing_make(passthrough->backings, fd);
    file_release(source);
    if (id < 0) {
        note_refusal(passthrough, id);
        return;
    }
    backing_drop(passthrough->backings, id);
    session_note(passthrough->session, NOTE_PASSTHROUGH,
                 "kernel passthrough is used: %s, and tensors that can be cloned, are read without weightfs",
                 printable_string(passthrough->session->view_name).text);
}

int passthrough_new(struct session *session, struct passthrough **ret_passthrough)
{
    struct passthrough *passthrough = calloc(1, sizeof(*passthrough));
    if (!passthrough)
        return -ENOMEM;
    passthrough->session = session;
    int r = backing_table_new(KEPT_CLONES, &passthrough->backings);
    if (r < 0)
        free(passthrough);
    else
        *ret_passthrough = passthrough;
    return r;
}

void passthrough_free(struct passthrough *passthrough)
{
    if (!passthrough)
        return;
    backing_table_free(passthrough->backings);
    free(passthrough);
}

void passthrough_begin(struct passthrough *passthrough)
{
    backing_attach(passthrough->backings, fuse_session_fd(passthrough->session->fuse));
}

void passthrough_end(struct passthrough *passthrough)
{
    backing_attach(passthrough->backings, -1);
}

#else /* a libfuse that does not know it: nothing is asked for, everything is read through the daemon */

int passthrough_new(struct session *session, struct passthrough **ret_passthrough)
{
    (void)session;
    *ret_passthrough = NULL;
    return 0;
}

void passthrough_free(struct passthrough *passthrough)
{
    (void)passthrough;
}

void passthrough_begin(struct passthrough *passthrough)
{
    (void)passthrough;
}

void passthrough_ask(struct passthrough *passthrough, struct fuse_conn_info *connection)
{
    (void)passthrough;
    (void)connection;
}

void passthrough_try(struct passthrough *passthrough)
{
    (void)passthrough;
}

int passthrough_open(struct passthrough *passthrough, struct handle *handle, struct fuse_file_info *info)
{
    (void)passthrough;
    (void)handle;
    (void)info;
    return 0;
}

void passthrough_release(struct passthrough *passthrough, struct handle *handle)
{
    (void)passthrough;
    (void)handle;
}

void passthrough_published(struct passthrough *passthrough)
{
    (void)passthrough;
}

void passthrough_end(struct passthrough *passthrough)
{
    (void)passthrough;
}

#endif
