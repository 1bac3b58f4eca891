/* SPDX-License-Identifier: Apache-2.0
 *
 * Which state of the model the edits were made against: size, mtime and the header's hash. Device, ctime and
 * inode change by a reboot, a chmod, a copy; they do not count.
 */
#include "base/io.h"
#include "model/checksum.h"
#include "stage/pending.h"

#include <fcntl.h>
#include <sys/stat.h>

struct base_identity base_identity_of(struct generation *generation)
{
    if (generation_is_empty(generation))
        return (struct base_identity){.none = true};
    return (struct base_identity){
        .file = *file_identity(generation_file(generation)),
        .header_hash = generation_header_hash(generation),
    };
}

bool base_identity_equal(const struct base_identity *a, const struct base_identity *b)
{
    if (a->none || b->none)
        return a->none && b->none;
    return file_identity_equal(&a->file, &b->file) && a->header_hash == b->header_hash;
}

/* CRC-32 of prefix and header, as generation_header_hash() has it. */
static int hash_header(int fd, uint64_t size, uint32_t *ret_hash)
{
    unsigned char prefix[HEADER_PREFIX];
    uint64_t length;

    if (size < sizeof(prefix) || io_read_at(fd, prefix, sizeof(prefix), 0) < 0 ||
        header_length(prefix, sizeof(prefix), size, &length, NULL) < 0)
        return -EINVAL;
    auto_free unsigned char *json = malloc((size_t)length + 1);
    if (!json)
        return -ENOMEM;
    int r = io_read_at(fd, json, (size_t)length, HEADER_PREFIX);
    if (r < 0)
        return r;
    *ret_hash = checksum_crc32(checksum_crc32(0, prefix, sizeof(prefix)), json, (size_t)length);
    return 0;
}

int base_identity_check(int dirfd, const char *name, const struct base_identity *identity)
{
    struct stat st;
    uint32_t hash = 0;
    auto_close int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &st) < 0)
        return errno == ELOOP ? 0 : -errno;
    struct file_identity now = file_identity_of(&st);
    if (identity->none || !S_ISREG(st.st_mode) || !file_identity_equal(&now, &identity->file))
        return 0;
    if (now.inode == identity->file.inode)
        return 1;
    int r = hash_header(fd, now.size, &hash);
    if (r == -EINVAL)
        return 0;
    return r < 0 ? r : hash == identity->header_hash;
}
