/* SPDX-License-Identifier: Apache-2.0 */
#include "base/checked.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"
#include "base/io.h"
#include "format/sniff.h"
#include "model/checksum.h"
#include "model/flags.h"

#include <endian.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <weightfs/verify.h>

#define SNIFF_SIZE 512u

/* One run of wfs_verify_fd(). */
struct verification {
    int fd;
    struct printable name;
    uint64_t file_size;
    const struct wfs_verify_options *options;
    wfs_report *report;
    void *context;
    struct wfs_verdict *verdict;
    uint64_t crc_done, crc_total; /* bytes */
};

static int report(void *context, const struct wfs_problem *problem)
{
    struct verification *verification = context;

    if (problem->is_warning)
        verification->verdict->warning_count++;
    else
        verification->verdict->error_count++;
    return verification->report ? verification->report(verification->context, problem) : 0;
}

/* The rules of the official library stand first in rules.def. */
static bool is_official(enum wfs_code code)
{
    return code >= WFS_CODE_HEADER_TOO_SMALL && code <= WFS_CODE_METADATA_INCOMPLETE_BUFFER;
}

static int cannot_read(const struct verification *verification, int r, struct wfs_error *err)
{
    return error_errno(err, -r, "%s: cannot be read", verification->name.text);
}

/* --- header ------------------------------------------------------------------------------------------- */

/* The JSON of the header with one spare byte, malloc'd. */
static int read_json(const struct verification *verification, uint64_t length, char **ret_json,
                     struct wfs_error *err)
{
    auto_free char *json = malloc((size_t)length + 1);

    if (!json)
        return error_no_memory(err);
    int r = io_read_at(verification->fd, json, (size_t)length, HEADER_PREFIX);
    if (r < 0)
        return cannot_read(verification, r, err);
    *ret_json = take_ptr(json);
    return 0;
}

/* What the official library says, when it was not the first to speak: under other rules, or of a file with
 * several faults. */
static int ask_official(struct verification *verification, uint64_t length, struct wfs_error *err)
{
    auto_header struct wfs_header *header = NULL;
    struct wfs_error verdict = {0};
    char *json = NULL;

    int r = read_json(verification, length, &json, err);
    if (r < 0)
        return r;
    r = header_decode(json, (size_t)length, verification->file_size, HEADER_LAST_WINS, &header, &verdict);
    if (r == -ENOMEM)
        return error_no_memory(err);
    if (r < 0 && is_official(verdict.code))
        verification->verdict->official = verdict.code;
    return 0;
}

/* One header in memory at a time: the official one before, under other rules, or after, when none came of it.
 */
static int verify_header(struct verification *verification, uint64_t length, struct wfs_header **ret_header,
                         struct wfs_error *err)
{
    bool has_other_rules = verification->options->flags != 0;
    char *json = NULL;

    int r = has_other_rules ? ask_official(verification, length, err) : 0;
    if (r == 0)
        r = read_json(verification, length, &json, err);
    if (r < 0)
        return r;
    r = header_check(json, (size_t)length, verification->file_size,
                     mode_of_flags(verification->options->flags), report, verification, ret_header);
    if (r == -ENOMEM)
        return error_no_memory(err);
    if (r != 0 && r != -EINVAL)
        return r;
    return r == -EINVAL && !has_other_rules ? ask_official(verification, length, err) : 0;
}

/* A file whose header's length is impossible: there is nothing more to find. */
static int report_prefix(struct verification *verification, const unsigned char *start,
                         const struct wfs_error *fault)
{
    char expected[24];
    char found[24];
    bool is_too_large = fault->code == WFS_CODE_HEADER_TOO_LARGE;
    uint64_t length = 0;

    if (verification->file_size >= HEADER_PREFIX)
        memcpy(&length, start, sizeof length);
    length = le64toh(length);
    snprintf(expected, sizeof expected, "%" PRIu64,
             is_too_large ? HEADER_LENGTH_MAX : HEADER_PREFIX + length);
    snprintf(found, sizeof found, "%" PRIu64, is_too_large ? length : verification->file_size);
    struct wfs_problem problem = {
        .code = fault->code, .offset = 0, .expected = expected, .found = found, .message = fault->text};
    verification->verdict->official = fault->code;
    return report(verification, &problem);
}

/* --- checksums ---------------------------------------------------------------------------------------- */

static int crc_progress(void *context, uint64_t done)
{
    struct verification *verification = context;
    const struct wfs_verify_options *options = verification->options;

    verification->crc_done += done;
    if (!options->progress)
        return 0;
    return options->progress(options->context, verification->crc_done, verification->crc_total) ? -ECANCELED
                                                                                                : 0;
}

static int report_checksum(struct verification *verification, const struct wfs_tensor *tensor,
                           uint64_t file_offset, enum wfs_code code, uint32_t stored, uint32_t computed)
{
    char message[640];
    char expected[16];
    char found[16];
    bool is_mismatch = code == WFS_CODE_CHECKSUM_MISMATCH;

    snprintf(expected, sizeof expected, "%08" PRIx32, stored);
    snprintf(found, sizeof found, "%08" PRIx32, computed);
    if (is_mismatch)
        snprintf(message, sizeof message, "tensor '%s': %s: its bytes have CRC-32 %s, stored is %s",
                 printable(tensor->name, tensor->name_length).text, wfs_code_name(code), found, expected);
    else
        snprintf(message, sizeof message, "tensor '%s': %s: no checksum is stored with it",
                 printable(tensor->name, tensor->name_length).text, wfs_code_name(code));
    struct wfs_problem problem = {
        .code = code,
        .is_warning = !is_mismatch,
        .tensor = tensor->name,
        .tensor_length = tensor->name_length,
        .offset = (int64_t)file_offset,
        .expected = is_mismatch ? expected : "a checksum",
        .found = is_mismatch ? found : "none",
        .message = message,
    };
    return report(verification, &problem);
}

/* A stored number is a CRC-32, or an XXH32 of stsw's. */
static int verify_tensor(struct verification *verification, const struct wfs_tensor *tensor,
                         uint64_t file_offset, uint32_t stored, struct wfs_error *err)
{
    uint64_t length = tensor->end - tensor->begin;
    uint32_t crc = 0;
    uint32_t other = 0;

    int r = checksum_of_range(verification->fd, file_offset, length, CHECKSUM_CRC32, crc_progress,
                              verification, &crc);
    if (r == 0 && crc != stored)
        r = checksum_of_range(verification->fd, file_offset, length, CHECKSUM_XXH32, NULL, NULL, &other);
    if (r == -ECANCELED)
        return error_rule(err, WFS_CODE_CANCELLED, "%s: cancelled", verification->name.text);
    if (r < 0)
        return cannot_read(verification, r, err);
    verification->verdict->crc_count++;
    if (crc == stored || other == stored)
        return 0;
    return report_checksum(verification, tensor, file_offset, WFS_CODE_CHECKSUM_MISMATCH, stored, crc);
}

/* Asked for checksums, a file without any is no success. */
static int report_no_checksums(struct verification *verification)
{
    struct wfs_problem problem = {.code = WFS_CODE_CHECKSUM_MISSING,
                                  .offset = HEADER_PREFIX,
                                  .expected = "checksums",
                                  .found = "none",
                                  .message =
                                      "ChecksumMissing: no tensor has a checksum, so nothing was compared"};

    return report(verification, &problem);
}

static size_t count_checksums(struct verification *verification, const struct wfs_header *header)
{
    size_t stored = 0;

    for (size_t i = 0; i < wfs_header_count(header); i++) {
        uint32_t crc = 0;
        struct wfs_tensor tensor = wfs_header_tensor(header, i);
        if (header_crc(header, i, &crc)) {
            stored++;
            verification->crc_total += tensor.end - tensor.begin;
        }
    }
    return stored;
}

static int verify_checksums(struct verification *verification, const struct wfs_header *header,
                            struct wfs_error *err)
{
    uint64_t data_offset = wfs_header_data_offset(header);

    if (count_checksums(verification, header) == 0)
        return report_no_checksums(verification);
    for (size_t i = 0; i < wfs_header_count(header); i++) {
        struct wfs_tensor tensor = wfs_header_tensor(header, i);
        uint32_t stored = 0;
        uint64_t file_offset = data_offset + tensor.begin;
        int r = header_crc(header, i, &stored)
                    ? verify_tensor(verification, &tensor, file_offset, stored, err)
                    : report_checksum(verification, &tensor, file_offset, WFS_CODE_CHECKSUM_MISSING, 0, 0);
        if (r != 0)
            return r;
    }
    return 0;
}

/* --- what it really is -------------------------------------------------------------------------------- */

/* stsw's own members stand first in its headers. */
static bool is_stsw(const unsigned char *start, size_t size)
{
    static const char *const openings[] = {"{\"__version__\":", "{\"__incomplete__\":"};

    for (size_t i = 0; i < sizeof openings / sizeof openings[0]; i++) {
        size_t length = strlen(openings[i]);
        if (size >= HEADER_PREFIX + length && memcmp(start + HEADER_PREFIX, openings[i], length) == 0)
            return true;
    }
    return false;
}

static const char *kind_of(const unsigned char *start, size_t size)
{
    if (is_stsw(start, size))
        return "a file of stsw, which the official library refuses: 'weightfs repair' makes it official, "
               "'--tolerate stsw' verifies it as it is";
    return sniff(start, size);
}

/* --- the whole ---------------------------------------------------------------------------------------- */

static int verify(struct verification *verification, struct wfs_error *err)
{
    auto_header struct wfs_header *header = NULL;
    struct wfs_verdict *verdict = verification->verdict;
    unsigned char start[SNIFF_SIZE];
    struct wfs_error fault = {0};
    uint64_t length = 0;

    ssize_t size = io_read_some(verification->fd, start, sizeof start, 0);
    if (size < 0)
        return cannot_read(verification, (int)size, err);
    int r = header_length(start, (size_t)size, verification->file_size, &length, &fault);
    r = r < 0 ? report_prefix(verification, start, &fault)
              : verify_header(verification, length, &header, err);
    if (r == 0 && header && verification->options->crc && verdict->error_count == 0)
        r = verify_checksums(verification, header, err);

    verdict->tensor_count = header ? wfs_header_count(header) : 0;
    verdict->is_valid = verdict->error_count == 0;
    if (!header && !verdict->is_valid)
        verdict->kind = kind_of(start, (size_t)size);
    return r;
}

int wfs_verify_fd(int fd, const char *name, const struct wfs_verify_options *options, wfs_report *report_to,
                  void *context, struct wfs_verdict *ret_verdict, struct wfs_error *err)
{
    static const struct wfs_verify_options defaults;
    struct verification verification = {
        .fd = fd,
        .name = printable_string(name),
        .options = options ? options : &defaults,
        .report = report_to,
        .context = context,
        .verdict = ret_verdict,
    };
    struct stat st;

    *ret_verdict = (struct wfs_verdict){0};
    if (fstat(fd, &st) != 0)
        return cannot_read(&verification, -errno, err);
    if (S_ISDIR(st.st_mode))
        return error_errno(err, EISDIR, "%s: cannot be read", verification.name.text);
    if (!S_ISREG(st.st_mode))
        return file_refuse_kind(err, name, st.st_mode);
    verification.file_size = (uint64_t)st.st_size;
    return verify(&verification, err);
}

int wfs_verify_path(const char *path, const struct wfs_verify_options *options, wfs_report *report_to,
                    void *context, struct wfs_verdict *ret_verdict, struct wfs_error *err)
{
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    *ret_verdict = (struct wfs_verdict){0};
    if (fd < 0)
        return error_errno(err, errno, "%s: cannot be opened", printable_string(path).text);
    return wfs_verify_fd(fd, path, options, report_to, context, ret_verdict, err);
}
