/* SPDX-License-Identifier: Apache-2.0
 *
 * disk BASE LOG MOUNTPOINT: a disk whose power can be cut at any write. BASE is an image of it and is never
 * changed. MOUNTPOINT gets four files:
 *
 *     disk    the disk, for a loop device. Each write and each flush is appended to LOG.
 *     mark    a write to it is appended to LOG: something was acknowledged, or is about to begin
 *     fail    a write of "write AFTER COUNT" lets AFTER more writes of a block or more succeed, then COUNT of
 *             them fail with EIO; "flush AFTER COUNT" likewise; "" heals
 *     state   a write of "COUNT [~BYTES] [-NUMBER...]" makes the disk what a power loss would leave: BASE and
 *             the first COUNT records of LOG, of the last one only BYTES bytes, without the writes NUMBER
 *             (from 0). From then on nothing is logged, and the next such write begins anew.
 *
 * LOG is a sequence of struct record_head, each followed by `length` bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK_SIZE 4096u

enum record_kind {
    RECORD_WRITE = 1,
    RECORD_FLUSH = 2,
    RECORD_MARK = 3
};

struct record_head {
    uint32_t kind, length;
    uint64_t offset;
};

struct failing {
    enum record_kind kind; /* 0: nothing fails */
    unsigned after, count;
};

struct disk {
    struct failing failing;
    const char *base_path, *log_path;
    size_t size;
    unsigned char *bytes; /* BASE, mapped privately */
    int log;              /* -1: states are shown, nothing is logged */
    unsigned char *log_bytes;
    size_t log_size;
    const unsigned char **records; /* where the heads are */
    size_t record_count;
};

static struct disk *disk_of_request(void)
{
    return fuse_get_context()->private_data;
}

static int write_all(int fd, const void *data, size_t length)
{
    const char *at = data;
    while (length > 0) {
        ssize_t count = write(fd, at, length);
        if (count < 0)
            return -errno;
        at += count;
        length -= (size_t)count;
    }
    return 0;
}

static int append(struct disk *disk, enum record_kind kind, const void *data, size_t length, uint64_t offset)
{
    struct record_head head = {kind, (uint32_t)length, offset};
    if (disk->log < 0)
        return 0;
    int r = write_all(disk->log, &head, sizeof(head));
    return r < 0 ? r : write_all(disk->log, data, length);
}

/* --- states --- */

static int map_base(struct disk *disk)
{
    struct stat st;
    int fd = open(disk->base_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (disk->bytes)
        munmap(disk->bytes, disk->size);
    disk->size = (size_t)st.st_size;
    void *bytes = mmap(NULL, disk->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, fd, 0);
    int r = bytes == MAP_FAILED ? -errno : 0;
    disk->bytes = r < 0 ? NULL : bytes;
    close(fd);
    return r;
}

static struct record_head record_head(const unsigned char *at)
{
    struct record_head head;
    memcpy(&head, at, sizeof(head));
    return head;
}

static int find_records(struct disk *disk)
{
    size_t capacity = 0;

    for (size_t at = 0; disk->log_size - at >= sizeof(struct record_head);) {
        struct record_head head = record_head(disk->log_bytes + at);
        if (head.length > disk->log_size - at - sizeof(head))
            break;
        if (disk->record_count == capacity) {
            capacity = capacity ? capacity * 2 : 1024;
            void *records = realloc(disk->records, capacity * sizeof(*disk->records));
            if (!records)
                return -ENOMEM;
            disk->records = records;
        }
        disk->records[disk->record_count++] = disk->log_bytes + at;
        at += sizeof(head) + head.length;
    }
    return 0;
}

static int open_log_for_replay(struct disk *disk)
{
    struct stat st;
    int fd = open(disk->log_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    disk->log_size = (size_t)st.st_size;
    disk->log_bytes = mmap(NULL, disk->log_size + 1, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    return disk->log_bytes == MAP_FAILED ? -errno : find_records(disk);
}

static void apply(struct disk *disk, size_t number, size_t length_max)
{
    struct record_head head = record_head(disk->records[number]);
    size_t length = head.length < length_max ? head.length : length_max;

    if (head.kind == RECORD_WRITE && head.offset <= disk->size && length <= disk->size - head.offset)
        memcpy(disk->bytes + head.offset, disk->records[number] + sizeof(head), length);
}

/* Whether `number` is among the words "-NUMBER", which are in ascending order; *words moves along. */
static bool is_dropped(char **words, size_t number)
{
    char *end;
    if (**words != '-' || strtoull(*words + 1, &end, 10) != number)
        return false;
    *words = end + strspn(end, " ");
    return true;
}

static int show_state(struct disk *disk, char *words)
{
    size_t last_length = SIZE_MAX;
    size_t count = strtoull(words, &words, 10);

    if (count > disk->record_count)
        return -EINVAL;
    words += strspn(words, " ");
    if (*words == '~') {
        last_length = strtoull(words + 1, &words, 10);
        words += strspn(words, " ");
    }
    int r = map_base(disk);
    for (size_t i = 0; r == 0 && i < count; i++)
        if (!is_dropped(&words, i))
            apply(disk, i, i + 1 == count ? last_length : SIZE_MAX);
    return r < 0 ? r : *words ? -EINVAL : 0;
}

static int take_state(struct disk *disk, const char *data, size_t length)
{
    char *words = strndup(data, length);
    int r = words ? 0 : -ENOMEM;

    if (disk->log >= 0) {
        close(disk->log);
        disk->log = -1;
        r = r < 0 ? r : open_log_for_replay(disk);
    }
    r = r < 0 ? r : show_state(disk, words);
    free(words);
    return r;
}

/* --- errors --- */

static int take_failing(struct disk *disk, const char *data, size_t length)
{
    char words[64] = "";
    struct failing failing = {0};

    memcpy(words, data, length < sizeof(words) - 1 ? length : sizeof(words) - 1);
    if (sscanf(words, "write %u %u", &failing.after, &failing.count) == 2)
        failing.kind = RECORD_WRITE;
    else if (sscanf(words, "flush %u %u", &failing.after, &failing.count) == 2)
        failing.kind = RECORD_FLUSH;
    disk->failing = failing;
    return 0;
}

static bool fails(struct disk *disk, enum record_kind kind, size_t length)
{
    struct failing *failing = &disk->failing;

    if (failing->kind != kind || failing->count == 0 || (kind == RECORD_WRITE && length < BLOCK_SIZE))
        return false;
    if (failing->after > 0) {
        failing->after--;
        return false;
    }
    failing->count--;
    return true;
}

/* --- the files --- */

static int op_getattr(const char *path, struct stat *st, struct fuse_file_info *info)
{
    (void)info;
    memset(st, 0, sizeof(*st));
    st->st_mode = S_IFREG | 0600;
    st->st_nlink = 1;
    if (strcmp(path, "/") == 0)
        st->st_mode = S_IFDIR | 0700;
    else if (strcmp(path, "/disk") == 0)
        st->st_size = (off_t)disk_of_request()->size;
    else if (strcmp(path, "/mark") != 0 && strcmp(path, "/state") != 0 && strcmp(path, "/fail") != 0)
        return -ENOENT;
    return 0;
}

static int op_open(const char *path, struct fuse_file_info *info)
{
    (void)path;
    info->direct_io = 1; /* the kernel caches nothing of it */
    return 0;
}

static int op_read(const char *path, char *buffer, size_t length, off_t offset, struct fuse_file_info *info)
{
    const struct disk *disk = disk_of_request();
    (void)info;
    if (strcmp(path, "/disk") != 0 || (size_t)offset >= disk->size)
        return 0;
    if (length > disk->size - (size_t)offset)
        length = disk->size - (size_t)offset;
    memcpy(buffer, disk->bytes + offset, length);
    return (int)length;
}

static int write_disk(struct disk *disk, const char *data, size_t length, off_t offset)
{
    if ((size_t)offset > disk->size || length > disk->size - (size_t)offset)
        return -ENOSPC;
    if (fails(disk, RECORD_WRITE, length))
        return -EIO;
    int r = append(disk, RECORD_WRITE, data, length, (uint64_t)offset);
    if (r == 0)
        memcpy(disk->bytes + offset, data, length);
    return r;
}

static int op_write(const char *path, const char *data, size_t length, off_t offset,
                    struct fuse_file_info *info)
{
    struct disk *disk = disk_of_request();
    int r;
    (void)info;

    if (strcmp(path, "/disk") == 0)
        r = write_disk(disk, data, length, offset);
    else if (strcmp(path, "/mark") == 0)
        r = append(disk, RECORD_MARK, data, length, 0);
    else if (strcmp(path, "/fail") == 0)
        r = take_failing(disk, data, length);
    else
        r = take_state(disk, data, length);
    return r < 0 ? r : (int)length;
}

static int op_fsync(const char *path, int data_only, struct fuse_file_info *info)
{
    (void)data_only;
    (void)info;
    struct disk *disk = disk_of_request();
    if (strcmp(path, "/disk") != 0)
        return 0;
    return fails(disk, RECORD_FLUSH, 0) ? -EIO : append(disk, RECORD_FLUSH, "", 0, 0);
}

static int op_truncate(const char *path, off_t size, struct fuse_file_info *info)
{
    (void)path;
    (void)size;
    (void)info;
    return 0;
}

static const struct fuse_operations operations = {
    .getattr = op_getattr,
    .open = op_open,
    .read = op_read,
    .write = op_write,
    .fsync = op_fsync,
    .truncate = op_truncate,
};

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: disk BASE LOG MOUNTPOINT\n");
        return 2;
    }
    struct disk disk = {.base_path = argv[1], .log_path = argv[2]};
    disk.log = open(disk.log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (disk.log < 0 || map_base(&disk) < 0) {
        perror("disk");
        return 1;
    }
    /* one thread: the log is the order in which the disk saw things */
    char *words[] = {argv[0], (char[]){"-f"}, (char[]){"-s"}, argv[3], NULL};
    int r = fuse_main(4, words, &operations, &disk);
    free(disk.records);
    return r;
}
