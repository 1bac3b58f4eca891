/* SPDX-License-Identifier: Apache-2.0
 *
 * On disk: the magic, then records of
 *     u32 mark "rec\n" (or "rsy\n": no payload)   u32 payload length   u64 durable mark   u32 CRC-32 of
 * length, durable mark and payload   payload all little-endian. The record mark lets a scan behind damage
 * find the records that follow it.
 */
#include "stage/journal.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/io.h"
#include "model/checksum.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char journal_magic[8] = "wfsjrn1\n";
static const char never_written[sizeof(journal_magic)] = {0};
static const unsigned char record_mark[4] = "rec\n";
static const unsigned char durable_mark[4] =
    "rsy\n"; /* of a record that is there for its durable mark only */

#define RECORD_HEAD 20u

/* A journal is written anew when it is longer than this, and this many times longer than it would be. */
#define LONG_BYTES (1u << 20)
#define LONG_TIMES 4u

struct journal {
    int fd;
    pthread_mutex_t lock;
    uint64_t end;     /* bytes */
    uint64_t durable; /* of them, known to be on disk */
    uint64_t wanted;  /* end of the last record that says something */
    int error;        /* latched */
    unsigned rewrites;
    uint64_t rewritten; /* bytes that it had when it was written anew last; 0: never was */
};

static void put_u32(unsigned char *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(value >> (8 * i));
}

static uint32_t get_u32(const unsigned char *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint64_t get_u64(const unsigned char *at)
{
    return get_u32(at) | (uint64_t)get_u32(at + 4) << 32;
}

static uint32_t record_crc(const unsigned char *head, const void *payload, size_t length)
{
    return checksum_crc32(checksum_crc32(0, head + 4, 12), payload, length);
}

/* Whether a whole, undamaged record begins at `at`. */
static bool record_at(const unsigned char *bytes, size_t size, size_t at, size_t *ret_length)
{
    if (size - at < RECORD_HEAD || (memcmp(bytes + at, record_mark, sizeof(record_mark)) != 0 &&
                                    memcmp(bytes + at, durable_mark, sizeof(durable_mark)) != 0))
        return false;
    size_t length = get_u32(bytes + at + 4);
    if (length > JOURNAL_RECORD_MAX || length > size - at - RECORD_HEAD)
        return false;
    if (record_crc(bytes + at, bytes + at + RECORD_HEAD, length) != get_u32(bytes + at + 16) &&
        !fault(FAULT_RECORD_CHECKSUM))
        return false;
    *ret_length = length;
    return true;
}

/* The highest durable mark in any undamaged record behind `at`. */
static uint64_t highest_mark_behind(const unsigned char *bytes, size_t size, size_t at)
{
    uint64_t highest = 0;

    while (at < size) {
        const unsigned char *found = memchr(bytes + at, record_mark[0], size - at);
        if (!found)
            break;
        size_t length;
        at = (size_t)(found - bytes);
        if (record_at(bytes, size, at, &length)) {
            uint64_t mark = get_u64(bytes + at + 8);
            highest = mark > highest ? mark : highest;
            at += RECORD_HEAD + length;
        } else {
            at++;
        }
    }
    return highest;
}

int journal_scan(const unsigned char *bytes, size_t size, journal_replay *replay, void *context,
                 size_t *ret_good, struct wfs_error *err)
{
    size_t at = sizeof(journal_magic);
    uint64_t durable = 0;
    size_t length;

    if (size < sizeof(journal_magic)) {
        *ret_good = 0;
        return 0;
    }
    if (memcmp(bytes, never_written, sizeof(journal_magic)) == 0 &&
        highest_mark_behind(bytes, size, 0) == 0) {
        *ret_good = 0; /* it has its length, but not its bytes */
        return 0;
    }
    if (memcmp(bytes, journal_magic, sizeof(journal_magic)) != 0)
        return error_rule(err, WFS_CODE_JOURNAL_DAMAGED, "the journal does not begin like one");
    while (at < size && record_at(bytes, size, at, &length)) {
        uint64_t mark = get_u64(bytes + at + 8);
        durable = mark > durable ? mark : durable;
        bool says_something = memcmp(bytes + at, record_mark, sizeof(record_mark)) == 0;
        int r = says_something ? replay(context, bytes + at + RECORD_HEAD, length, err) : 0;
        if (r != 0)
            return r;
        at += RECORD_HEAD + length;
    }
    if (at < size) {
        uint64_t mark = highest_mark_behind(bytes, size, at);
        durable = mark > durable ? mark : durable;
    }
    if (at < durable && !fault(FAULT_DURABLE_MARK))
        return error_rule(err, WFS_CODE_JOURNAL_DAMAGED,
                          "the journal is damaged at byte %zu, although it was durable up to byte %llu", at,
                          (unsigned long long)durable);
    *ret_good = at;
    return 0;
}

static int journal_new(int fd, uint64_t end, struct journal **ret_journal)
{
    struct journal *journal = calloc(1, sizeof(*journal));
    if (!journal)
        return -ENOMEM;
    journal->fd = fd;
    journal->end = journal->wanted = end;
    pthread_mutex_init(&journal->lock, NULL);
    *ret_journal = journal;
    return 0;
}

void journal_close(struct journal *journal)
{
    if (!journal)
        return;
    close(journal->fd);
    pthread_mutex_destroy(&journal->lock);
    free(journal);
}

int journal_create(int dirfd, struct journal **ret_journal, struct wfs_error *err)
{
    auto_close int fd =
        openat(dirfd, JOURNAL_NAME, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_errno(err, errno, "cannot create the journal of staged edits");
    int r = io_write_at(fd, journal_magic, sizeof(journal_magic), 0);
    if (r < 0)
        return error_errno(err, -r, "cannot write the journal of staged edits");
    r = journal_new(fd, sizeof(journal_magic), ret_journal);
    if (r < 0)
        return error_no_memory(err);
    take_fd(&fd);
    return 0;
}

int journal_open(int dirfd, journal_replay *replay, void *context, struct journal **ret_journal,
                 uint64_t *ret_cut, struct wfs_error *err)
{
    struct stat st;
    auto_close int fd = openat(dirfd, JOURNAL_NAME, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        return -ENOENT;
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(err, errno, "cannot open the journal of staged edits");
    (void)unlinkat(dirfd, JOURNAL_NEW_NAME, 0);

    size_t size = (size_t)st.st_size;
    auto_free unsigned char *bytes = malloc(size + 1);
    if (!bytes)
        return error_no_memory(err);
    int r = io_read_at(fd, bytes, size, 0);
    if (r < 0)
        return error_errno(err, -r, "cannot read the journal of staged edits");

    size_t good = 0;
    r = journal_scan(bytes, size, replay, context, &good, err);
    if (r != 0)
        return r;
    if (good == 0) /* it was made, but not even its magic reached the disk */
        r = io_write_at(fd, journal_magic, sizeof(journal_magic), 0);
    uint64_t end = good ? good : sizeof(journal_magic);
    if (r == 0 && !fault(FAULT_TORN_TAIL))
        r = io_truncate(fd, end);
    if (r < 0)
        return error_errno(err, -r, "cannot cut the torn tail of the journal of staged edits");
    *ret_cut = size - good;
    r = journal_new(fd, end, ret_journal);
    if (r < 0)
        return error_no_memory(err);
    take_fd(&fd);
    return 0;
}

static int write_record(int fd, uint64_t at, const unsigned char mark[4], uint64_t durable,
                        const void *payload, size_t length)
{
    auto_free unsigned char *record = malloc(RECORD_HEAD + length);
    if (!record)
        return -ENOMEM;
    memcpy(record, mark, 4);
    put_u32(record + 4, (uint32_t)length);
    put_u32(record + 8, (uint32_t)durable);
    put_u32(record + 12, (uint32_t)(durable >> 32));
    if (length)
        memcpy(record + RECORD_HEAD, payload, length);
    put_u32(record + 16, record_crc(record, record + RECORD_HEAD, length));
    return io_write_at(fd, record, RECORD_HEAD + length, at);
}

/* Half a record, or one that could not be synced, must not stay. With the lock held. */
static void cut_to(struct journal *journal, uint64_t end, int errnum)
{
    if (io_truncate(journal->fd, end) < 0)
        journal->error = errnum;
    journal->end = end;
}

/* With the lock held. */
static int append_record(struct journal *journal, const unsigned char mark[4], const void *payload,
                         size_t length)
{
    int r = write_record(journal->fd, journal->end, mark, journal->durable, payload, length);

    if (r < 0)
        cut_to(journal, journal->end, -r);
    else
        journal->end += RECORD_HEAD + length;
    return r;
}

int journal_append(struct journal *journal, const void *payload, size_t length)
{
    auto_lock(&journal->lock);
    if (journal->error)
        return -journal->error;
    if (length > JOURNAL_RECORD_MAX)
        return -EFBIG;
    int r = append_record(journal, record_mark, payload, length);
    if (r == 0)
        journal->wanted = journal->end;
    return r;
}

/* Writes down how far the journal is durable, in a record that says nothing else: damage before that point is
 * from now on known to be damage, also when no other record follows. */
static void note_durable(struct journal *journal, uint64_t end)
{
    if (journal->durable >= end)
        return;
    journal->durable = end;
    (void)append_record(journal, durable_mark, NULL, 0);
}

int journal_sync(struct journal *journal)
{
    if (!journal)
        return 0;
    pthread_mutex_lock(&journal->lock);
    uint64_t end = journal->end;
    unsigned rewrites = journal->rewrites;
    int error = journal->error;
    bool done = journal->durable >= journal->wanted;
    pthread_mutex_unlock(&journal->lock);
    if (error || done)
        return -error;

    int r = fault(FAULT_JOURNAL_SYNC) ? 0 : io_sync(journal->fd);
    auto_lock(&journal->lock);
    if (rewrites != journal->rewrites)
        return -journal->error; /* all of it is in the new file, and on disk */
    if (r < 0 && !fault(FAULT_JOURNAL_LATCH))
        journal->error = -r;
    else
        note_durable(journal, end);
    return r;
}

int journal_append_durably(struct journal *journal, const void *payload, size_t length)
{
    auto_lock(&journal->lock);
    uint64_t end = journal->end;
    uint64_t wanted = journal->wanted;

    if (journal->error)
        return -journal->error;
    if (length > JOURNAL_RECORD_MAX)
        return -EFBIG;
    int r = append_record(journal, record_mark, payload, length);
    if (r < 0)
        return r;
    journal->wanted = journal->end;
    r = io_sync(journal->fd);
    if (r < 0) {
        journal->error = -r;
        journal->wanted = wanted;
        cut_to(journal, end, -r);
    } else {
        note_durable(journal, journal->end);
    }
    return r;
}

int journal_error(struct journal *journal)
{
    auto_lock(&journal->lock);
    return -journal->error;
}

/* --- a new one in its place --- */

bool journal_is_long(struct journal *journal)
{
    auto_lock(&journal->lock);
    return journal->end > LONG_BYTES && journal->end / LONG_TIMES > journal->rewritten;
}

static int write_records(int fd, journal_source *next, void *context, uint64_t *ret_end)
{
    auto_bytes payload = BYTES_EMPTY;
    uint64_t end = sizeof(journal_magic);
    int r = io_write_at(fd, journal_magic, sizeof(journal_magic), 0);

    while (r == 0) {
        payload.length = 0;
        r = next(context, &payload);
        if (r < 0 || payload.failed || payload.length == 0)
            break;
        if (payload.length > JOURNAL_RECORD_MAX)
            return -EFBIG;
        r = write_record(fd, end, record_mark, 0, payload.data, payload.length);
        end += RECORD_HEAD + payload.length;
    }
    *ret_end = end;
    return payload.failed ? -ENOMEM : r;
}

static int write_new(int dirfd, journal_source *next, void *context, uint64_t *ret_end, int *ret_fd)
{
    auto_close int fd =
        openat(dirfd, JOURNAL_NEW_NAME, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    int r = write_records(fd, next, context, ret_end);
    r = r < 0 ? r : io_sync(fd);
    if (r == 0 && renameat(dirfd, JOURNAL_NEW_NAME, dirfd, JOURNAL_NAME) < 0)
        r = -errno;
    if (r < 0) {
        (void)unlinkat(dirfd, JOURNAL_NEW_NAME, 0);
        return r;
    }
    *ret_fd = take_fd(&fd);
    return 0;
}

int journal_rewrite(struct journal *journal, int dirfd, journal_source *next, void *context)
{
    uint64_t end = 0;
    auto_close int fd = -1;
    auto_lock(&journal->lock);

    int r = write_new(dirfd, next, context, &end, &fd);
    if (r == 0 && dup3(fd, journal->fd, O_CLOEXEC) < 0) /* others may be using the number */
        r = -errno;
    if (r < 0) {
        journal->rewritten = journal->end / 2; /* not again before it has doubled */
        return r;
    }
    journal->end = journal->wanted = journal->rewritten = end;
    journal->durable = 0;
    journal->rewrites++;
    r = io_sync(dirfd);
    journal->error = -r;
    if (r == 0)
        note_durable(journal, journal->end);
    return r;
}
