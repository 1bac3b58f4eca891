/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clone.h"

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/fault.h"
#include "base/io.h"

#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define CLONE_PIECE ((uint64_t)1 << 30)  /* between two calls of progress: cloning it takes milliseconds */
#define COPY_PIECE  ((uint64_t)16 << 20) /* the same for copying */
#define COPY_BUFFER (256u << 10)         /* stays in the processor's cache */

/* What is left to do. */
struct range {
    int from;
    int to;
    uint64_t from_offset;
    uint64_t to_offset;
    uint64_t length;
    clone_progress *progress;
    void *context;
    char *buffer; /* NULL until a copy in user space was needed */
};

static int advance(struct range *range, uint64_t done, uint64_t *cost)
{
    range->from_offset += done;
    range->to_offset += done;
    range->length -= done;
    *cost += done;
    return range->progress ? range->progress(range->context, done) : 0;
}

/* --- copying ---------------------------------------------------------------------------------- */

/* Errors of the disk: everything else only says that this way of copying is not for these two files. */
static bool is_fatal(int errnum)
{
    return errnum == EIO || errnum == ENOSPC || errnum == EDQUOT;
}

/* Bytes copied inside the kernel, 0 when that is not possible here, or a negative errno. */
static ssize_t copy_in_kernel(const struct range *range, uint64_t length)
{
    off_t from_offset = (off_t)range->from_offset;
    off_t to_offset = (off_t)range->to_offset;
    ssize_t count = -1;
    do {
        count = copy_file_range(range->from, &from_offset, range->to, &to_offset, (size_t)length, 0);
    } while (count < 0 && errno == EINTR);
    if (count < 0)
        return is_fatal(errno) ? -errno : 0;
    return count;
}

/* Where the bytes lie on a server, it can copy them without sending them here and back. On local disks
 * copy_file_range(2) moves pages through a pipe, which takes longer than reading and writing them
 * (docs/performance.md 4). */
static bool is_remote(int fd)
{
    struct statfs fs;

    return fstatfs(fd, &fs) == 0 && (fs.f_type == NFS_SUPER_MAGIC || fs.f_type == SMB2_SUPER_MAGIC ||
                                     fs.f_type == CIFS_SUPER_MAGIC || fs.f_type == CEPH_SUPER_MAGIC);
}

static int copy_in_memory(struct range *range, uint64_t length)
{
    if (!range->buffer)
        range->buffer = malloc(COPY_BUFFER);
    if (!range->buffer)
        return -ENOMEM;
    for (uint64_t done = 0; done < length;) {
        size_t step = (size_t)min_u64(length - done, COPY_BUFFER);
        int r = io_read_at(range->from, range->buffer, step, range->from_offset + done);
        if (r == 0)
            r = io_write_at(range->to, range->buffer, step, range->to_offset + done);
        if (r < 0)
            return r;
        done += step;
    }
    return 0;
}

static int copy_bytes(struct range *range, uint64_t length, struct clone_cost *cost)
{
    bool by_kernel = length > 0 && is_remote(range->to);
    int r = 0;
    while (length && r == 0) {
        uint64_t piece = min_u64(length, COPY_PIECE);
        if (by_kernel) {
            ssize_t count = copy_in_kernel(range, piece);
            if (count < 0)
                return (int)count;
            by_kernel = count > 0;
            piece = by_kernel ? (uint64_t)count : piece;
        }
        if (!by_kernel)
            r = copy_in_memory(range, piece);
        if (r < 0)
            return r;
        length -= piece;
        r = advance(range, piece, &cost->copied);
    }
    return r;
}

/* --- cloning ---------------------------------------------------------------------------------- */

static int clone_piece(const struct range *range, uint64_t length)
{
    struct file_clone_range request = {
        .src_fd = range->from,
        .src_offset = range->from_offset,
        .src_length = length,
        .dest_offset = range->to_offset,
    };
    int r = -1;
    do {
        r = ioctl(range->to, FICLONERANGE, &request);
    } while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

/* Clones as much of `length` (whole blocks) as the file system agrees to; the rest is left to be copied. */
static int clone_blocks(struct range *range, uint64_t length, struct clone_cost *cost)
{
    while (length) {
        uint64_t piece = min_u64(length, CLONE_PIECE);
        int r = clone_piece(range, piece);
        if (r < 0)
            return is_fatal(-r) ? r : 0;
        length -= piece;
        r = advance(range, piece, &cost->cloned);
        if (r != 0)
            return r;
    }
    return 0;
}

/* Copies up to the first whole block and clones the whole blocks, where blocks can be shared at all. */
static int clone_middle(struct range *range, struct clone_cost *cost)
{
    if (range->from_offset % CLONE_BLOCK != range->to_offset % CLONE_BLOCK)
        return 0;
    uint64_t head = (CLONE_BLOCK - range->from_offset % CLONE_BLOCK) % CLONE_BLOCK;
    if (range->length < head + CLONE_BLOCK)
        return 0;
    int r = copy_bytes(range, head, cost);
    if (r != 0)
        return r;
    return clone_blocks(range, range->length - range->length % CLONE_BLOCK, cost);
}

int clone_range(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t length,
                clone_progress *progress, void *context, struct clone_cost *cost)
{
    uint64_t wrong = fault(FAULT_RANGE_BEGIN) ? CLONE_BLOCK : 0;
    struct range range = {from, to, from_offset + wrong, to_offset, length, progress, context, NULL};
    struct clone_cost unwanted = {0, 0};
    struct clone_cost *counted = cost ? cost : &unwanted;
    int r = clone_middle(&range, counted);
    if (r == 0)
        r = copy_bytes(&range, range.length, counted);
    free(range.buffer);
    return r;
}

int clone_only(int from, uint64_t from_offset, int to, uint64_t length)
{
    struct range range = {.from = from, .to = to, .from_offset = from_offset, .length = length};
    uint64_t cost = 0;
    /* Its size first: where a write extends a file, XFS sets space aside for more. */
    int r = ftruncate(to, (off_t)length) < 0 ? -errno : 0;
    while (range.length >= CLONE_BLOCK && r == 0) {
        uint64_t piece = min_u64(range.length - range.length % CLONE_BLOCK, CLONE_PIECE);
        r = clone_piece(&range, piece);
        if (r == 0)
            r = advance(&range, piece, &cost);
    }
    if (r == 0)
        r = copy_in_memory(&range, range.length);
    free(range.buffer);
    return r;
}

bool clone_possible(int from, int to)
{
    struct stat st;
    if (fstat(from, &st) < 0)
        return false;
    bool has_block = st.st_size >= (off_t)CLONE_BLOCK;
    struct range first = {.from = from, .to = to};
    /* A length of 0 is all of a file that is shorter than a block. */
    int r = clone_piece(&first, has_block ? CLONE_BLOCK : 0);
    return ftruncate(to, 0) == 0 && r == 0;
}
