/* SPDX-License-Identifier: Apache-2.0 */
#include "base/checked.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "cli/cmd.h"
#include "cli/source.h"
#include "format/npy.h"

#include <fcntl.h>
#include <getopt.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#define BLOCK_SIZE   ((uint64_t)256 << 10) /* stays in the processor's cache between the two calls */
#define RESERVE_SIZE ((uint64_t)64 << 20)
#define SENDFILE_MAX ((uint64_t)1 << 30) /* the kernel moves a little less than 2 GiB in one call */

static int copy_by_hand(int fd, uint64_t offset, uint64_t length)
{
    auto_free char *block = malloc(BLOCK_SIZE);

    if (!block)
        return -ENOMEM;
    while (length > 0) {
        size_t size = (size_t)min_u64(BLOCK_SIZE, length);
        int r = io_read_at(fd, block, size, offset);
        if (r == 0)
            r = io_write(STDOUT_FILENO, block, size);
        if (r < 0)
            return r;
        offset += size;
        length -= size;
    }
    return 0;
}

/* Room for what is written next: ext4 takes it faster into blocks that it has found already. No more than a
 * little ahead, because what is not filled stays allocated behind the file's end. */
static int reserve(uint64_t length)
{
    bool appends = fcntl(STDOUT_FILENO, F_GETFL) & O_APPEND;
    off_t position = lseek(STDOUT_FILENO, 0, appends ? SEEK_END : SEEK_CUR);

    if (position < 0 || fallocate(STDOUT_FILENO, FALLOC_FL_KEEP_SIZE, position, (off_t)length) == 0)
        return 0;
    return errno == ENOSPC || errno == EDQUOT ? -errno : 0;
}

/* Faster than any way by which the kernel copies from file to file (docs/performance.md 3). */
static int copy_to_file(int fd, uint64_t offset, uint64_t length)
{
    int r = 0;

    while (r == 0 && length > 0) {
        uint64_t size = min_u64(RESERVE_SIZE, length);
        r = reserve(size);
        if (r == 0)
            r = copy_by_hand(fd, offset, size);
        offset += size;
        length -= size;
    }
    return r;
}

/* To a pipe or a device: no byte passes through user space. */
static int send_to_stdout(int fd, uint64_t offset, uint64_t length)
{
    while (length > 0) {
        off_t at = (off_t)offset;
        ssize_t sent = sendfile(STDOUT_FILENO, fd, &at, (size_t)min_u64(length, SENDFILE_MAX));
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && (errno == EINVAL || errno == ENOSYS))
            return copy_by_hand(fd, offset, length);
        if (sent <= 0)
            return sent < 0 ? -errno : -ENODATA;
        offset += (uint64_t)sent;
        length -= (uint64_t)sent;
    }
    return 0;
}

static int copy_to_stdout(int fd, uint64_t offset, uint64_t length)
{
    struct stat st;
    bool is_file = fstat(STDOUT_FILENO, &st) == 0 && S_ISREG(st.st_mode);

    return is_file ? copy_to_file(fd, offset, length) : send_to_stdout(fd, offset, length);
}

static int write_npy_header(const struct wfs_tensor *tensor)
{
    auto_bytes header = BYTES_EMPTY;

    npy_encode(tensor->dtype, tensor->rank, tensor->shape, &header);
    return header.failed ? -ENOMEM : io_write(STDOUT_FILENO, header.data, header.length);
}

static int print_tensor(const struct source *source, const struct wfs_tensor *tensor, bool npy)
{
    uint64_t offset = 0;
    uint64_t length = 0;
    int fd = wfs_reader_range(source->reader, tensor, &offset, &length);

    int r = npy ? write_npy_header(tensor) : 0;
    if (r == 0)
        r = copy_to_stdout(fd, offset, length);
    if (r == 0 || r == -EPIPE)
        return EXIT_DONE;
    if (r == -ENODATA) {
        cmd_say("%s: was changed while it was read", printable_string(source->path).text);
        return EXIT_REFUSED;
    }
    cmd_say("%s: tensor '%s': %s", printable_string(source->path).text,
            printable(tensor->name, tensor->name_length).text, strerrordesc_np(-r));
    return EXIT_SYSTEM;
}

static int cat(const char *given, const char *name, bool npy)
{
    auto_source source = SOURCE_NONE;
    struct wfs_tensor tensor;
    struct wfs_error err = {0};

    if (source_open(given, &source, &err) < 0)
        return cmd_fail_input(&err);
    if (wfs_reader_find(source.reader, name, &tensor, NULL) < 0) {
        (void)say_no_tensor(wfs_reader_header(source.reader), source.path, name);
        return EXIT_USAGE; /* an input that is not there, not the "no" of a search */
    }
    if (npy && !npy_can_show(tensor.dtype, tensor.rank)) {
        cmd_say("%s: tensor '%s': NumPy has no such file: dtype %s, %zu dimensions",
                printable_string(source.path).text, printable_string(name).text, wfs_dtype_name(tensor.dtype),
                tensor.rank);
        return EXIT_USAGE;
    }
    return print_tensor(&source, &tensor, npy);
}

int cmd_cat(int argc, char **argv)
{
    static const struct option options[] = {
        {"npy", no_argument, NULL, 'n'},
        {NULL,  0,           NULL, 0  },
    };
    bool npy = false;

    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option != 'n')
            return EXIT_USAGE;
        npy = true;
    }
    if (argc - optind != 2)
        return cmd_usage("cat", "cat wants a file and the name of a tensor");
    if (isatty(STDOUT_FILENO))
        return cmd_usage("cat", "not printing binary data on a terminal: redirect or pipe it");
    return cat(argv[optind], argv[optind + 1], npy);
}
