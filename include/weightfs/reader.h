/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a safetensors file. Opening reads and validates the header and no byte of any tensor.
 *
 *     wfs_reader_open()      or wfs_reader_open_fd()
 *     wfs_reader_find()      a tensor by name; wfs_reader_header() to walk through all of them
 *     wfs_reader_read()      bytes into a buffer, or
 *     wfs_reader_map()       bytes as memory, or
 *     wfs_reader_range()     where they lie, for a mmap, splice or clone of one's own
 *     wfs_reader_close()
 *
 * A reader may be used from any number of threads at once. A file that is replaced by rename goes on being
 * read as it was; one that is changed in place is noticed (-ESTALE), except through memory that is mapped:
 * cut there, it raises SIGBUS, as with every mapped file.
 */
#ifndef WEIGHTFS_READER_H
#define WEIGHTFS_READER_H

#include <weightfs/header.h>

#ifdef __cplusplus
extern "C" {
#endif

struct wfs_reader;

/* What to accept beside, or beyond, what the official library does. */
enum wfs_read_flags {
    WFS_READ_STRICT = 1 << 0, /* refuse what the specification forbids and the official code lets pass */
    WFS_READ_STSW = 1 << 1,   /* tolerate what stsw writes: gaps, trailing bytes, __version__ */
};

/* Opens a file; `flags` of enum wfs_read_flags, 0 as a rule. Errors: those of open(2); -EINVAL with the
 * broken rule in err->code and a sentence that says what the file really is when it is something else. */
WFS_API int wfs_reader_open(const char *path, unsigned flags, struct wfs_reader **ret_reader,
                            struct wfs_error *err);

/* The same for an open descriptor, which stays the caller's and may be closed at once; `name` is for
 * messages. */
WFS_API int wfs_reader_open_fd(int fd, const char *name, unsigned flags, struct wfs_reader **ret_reader,
                               struct wfs_error *err);

/* NULL is allowed. Ends every mapping. */
WFS_API void wfs_reader_close(struct wfs_reader *reader);

/* The header, good until the reader is closed. */
WFS_API const struct wfs_header *wfs_reader_header(const struct wfs_reader *reader);

/* The tensor of that name (NUL-terminated). -ENOENT with WFS_CODE_NOT_FOUND. */
WFS_API int wfs_reader_find(const struct wfs_reader *reader, const char *name, struct wfs_tensor *ret_tensor,
                            struct wfs_error *err);

/* Reads `length` bytes of the tensor from byte `offset` on. All or nothing: -ERANGE beyond its end, -ESTALE
 * when the file was changed in place, or what the disk says. */
WFS_API int wfs_reader_read(const struct wfs_reader *reader, const struct wfs_tensor *tensor, uint64_t offset,
                            void *buffer, size_t length, struct wfs_error *err);

/* All bytes of the tensor as read-only memory, good until the reader is closed; not aligned beyond what its
 * place in the file gives. An empty tensor gives a pointer to nothing, never NULL. */
WFS_API int wfs_reader_map(struct wfs_reader *reader, const struct wfs_tensor *tensor, const void **ret_bytes,
                           struct wfs_error *err);

/* Where the tensor's bytes lie. Returns the reader's own descriptor (do not close it) and sets the offset in
 * the file and the length. */
WFS_API int wfs_reader_range(const struct wfs_reader *reader, const struct wfs_tensor *tensor,
                             uint64_t *ret_offset, uint64_t *ret_length);

/* The CRC-32 that is stored with tensor `index`, if any. */
WFS_API bool wfs_reader_crc(const struct wfs_reader *reader, size_t index, uint32_t *ret_crc);

#ifdef __cplusplus
}
#endif
#endif
