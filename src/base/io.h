/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads and writes that do all of it or fail: EINTR and short counts are dealt with here. They return 0 or a
 * negative errno; reading beyond the end is -ENODATA.
 */
#ifndef BASE_IO_H
#define BASE_IO_H

#include <dirent.h>
#include <stdint.h>
#include <sys/types.h>

int io_read_at(int fd, void *buffer, size_t length, uint64_t offset);
int io_write_at(int fd, const void *data, size_t length, uint64_t offset);

/* At the descriptor's own position, for pipes, terminals and append-only files. */
int io_write(int fd, const void *data, size_t length);

int io_truncate(int fd, uint64_t size);
int io_sync(int fd); /* fsync */

/* Reads up to `length` bytes at `offset`; fewer only at the end of the file. Returns the count or a negative
 * errno. */
ssize_t io_read_some(int fd, void *buffer, size_t length, uint64_t offset);

/* The entries of a directory, to be closed; NULL: it cannot be read. */
DIR *io_list(int dirfd);

/* Another descriptor of the same file, read-only. Without /proc, a second one of the same kind has to do. */
int io_reopen_for_reading(int fd);

#endif
