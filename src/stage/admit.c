/* SPDX-License-Identifier: Apache-2.0
 *
 * What a commit is admitted by: the target is the one that was opened, no link stands in the way, there is
 * room.
 */
#include "base/error.h"
#include "base/fault.h"
#include "stage/commit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#define LOCK_WAIT_MS 5000
#define LOCK_STEP_MS 5

#define SPACE_SLACK ((uint64_t)1 << 20) /* bytes for the file system's own records */

int commit_find_target(struct commit *commit, struct wfs_error *err)
{
    const struct stage *stage = commit->stage;
    bool follow = stage->options.follow || commit->options->follow;
    bool replace_link = stage->options.replace_link || commit->options->replace_link;

    commit->target_dirfd = stage->dirfd;
    commit->target_name = stage->name;
    if (!stage->link || stage->options.output || follow || fault(FAULT_LINK))
        return 0;
    if (replace_link) {
        commit->target_dirfd = stage->options.link_dirfd;
        commit->target_name = stage->link_name;
        return 0;
    }
    return error_rule(err, WFS_CODE_NOT_PERMITTED,
                      "%s: is a symlink to %s: --follow replaces what it points to, --replace-link puts a "
                      "file in its place",
                      printable_string(stage->link).text, printable_string(stage->path).text);
}

int commit_check_target(const struct commit *commit, struct wfs_error *err)
{
    const struct stage *stage = commit->stage;
    struct stat st;

    if (stage->create) {
        if (!commit->options->force && !fault(FAULT_TARGET_EXISTS) &&
            fstatat(stage->dirfd, stage->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            return error_rule(err, WFS_CODE_TARGET_EXISTS, "%s: exists already; --force replaces it",
                              printable_string(stage->path).text);
        struct file *source = generation_file(stage->generation);
        int r = source && !commit->options->force ? file_check(source) : 0;
        if (r < 0 && r != -ESTALE)
            return error_errno(err, -r, "cannot look at the model that was mounted");
        if (r < 0)
            return error_rule(err, WFS_CODE_SOURCE_CHANGED,
                              "the model that was mounted was changed by somebody else since it was opened");
        return 0;
    }
    struct base_identity identity = base_identity_of(stage->generation);
    int r = base_identity_check(stage->dirfd, stage->name, &identity);
    if (r == 1 || commit->options->force)
        return 0;
    if (r < 0 && r != -ENOENT)
        return error_errno(err, -r, "cannot look at %s", printable_string(stage->path).text);
    return error_rule(
        err, WFS_CODE_SOURCE_CHANGED, "%s: %s since it was opened; --force replaces it all the same",
        printable_string(stage->path).text, r == -ENOENT ? "was removed" : "was changed by somebody else");
}

int commit_lock_target(const struct commit *commit, int *ret_lock, struct wfs_error *err)
{
    const struct timespec step = {0, LOCK_STEP_MS * 1000000L};

    *ret_lock = openat(commit->target_dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int waited = 0; *ret_lock >= 0 && flock(*ret_lock, LOCK_EX | LOCK_NB) < 0; waited += LOCK_STEP_MS) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return 0;
        if (waited >= LOCK_WAIT_MS)
            return error_rule(err, WFS_CODE_BUSY,
                              "%s: somebody else is replacing a file in its directory, and has been for %d s",
                              printable_string(commit->stage->path).text, LOCK_WAIT_MS / 1000);
        nanosleep(&step, NULL);
    }
    return 0;
}

void commit_warn_of_links(struct commit *commit)
{
    const struct stage *stage = commit->stage;
    struct stat st;

    if (fstatat(commit->target_dirfd, commit->target_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISREG(st.st_mode) && st.st_nlink > 1)
        problem_add(&commit->problems, WFS_CODE_NOT_PERMITTED, true, NO_TENSOR, NULL, NULL,
                    "%s: %ld other name%s of this file keep%s the old model",
                    printable_string(stage->path).text, (long)st.st_nlink - 1, st.st_nlink == 2 ? "" : "s",
                    st.st_nlink == 2 ? "s" : "");
}

bool stage_can_clone(struct stage *stage)
{
    struct file *source = generation_file(stage->generation);
    auto_close int probe = openat(stage->dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (probe < 0 || !source)
        return false;
    int fd = file_acquire(source);
    bool can = fd >= 0 && clone_possible(fd, probe);
    if (fd >= 0)
        file_release(source);
    return can;
}

int commit_check_space(const struct commit *commit, struct wfs_error *err)
{
    struct stage *stage = commit->stage;
    struct statvfs fs;
    uint64_t needed =
        plan_cost(&commit->plan, stage_can_clone(stage)).copied + commit->plan.header_size + SPACE_SLACK;

    if (fstatvfs(commit->target_dirfd, &fs) < 0)
        return 0;
    uint64_t available = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (needed <= available || fault(FAULT_SPACE))
        return 0;
    return error_rule(err, WFS_CODE_NO_SPACE,
                      "%s: not enough space: the commit needs %" PRIu64 " bytes beside the model, %" PRIu64
                      " are free; nothing was changed",
                      printable_string(stage->path).text, needed, available);
}

void commit_move_to_link(struct stage *stage)
{
    free(stage->name);
    free(stage->path);
    stage->name = stage->link_name;
    stage->path = stage->link;
    stage->dirfd = stage->options.link_dirfd;
    stage->link = stage->link_name = NULL;
    if (!stage->spool_is_elsewhere) /* a spool that is still in use goes by itself */
        (void)stage_place_spool(stage, NULL, NULL);
}

static const char *advice(int errnum)
{
    switch (errnum) {
    case ENOSPC:
        return "make room and commit again";
    case EDQUOT:
        return "make room within the quota, or have it raised, and commit again";
    case EFBIG:
        return "raise the limit of file sizes (ulimit -f) where the model is mounted, and commit again";
    case EMFILE:
    case ENFILE:
        return "raise the limit of open files (ulimit -n) where the model is mounted, and commit again";
    case ENOMEM:
        return "commit again when memory is free";
    case EACCES:
    case EPERM:
        return "commit again when files can be made and renamed beside the model";
    case EROFS:
        return "remount the file system writable and commit again, or mount with -o output=PATH";
    default:
        return "the kernel's log may tell more; commit again";
    }
}

int commit_explained(int r, struct wfs_error *err)
{
    bool says_so = !err || strstr(err->text, "nothing was changed");
    bool is_of_the_system = err && (err->code == WFS_CODE_IO_FAILED || err->code == WFS_CODE_NO_SPACE ||
                                    (err->code == WFS_CODE_READ_ONLY && r == -EROFS));

    if (r >= 0 || !is_of_the_system)
        return r;
    if (err->code ==
        WFS_CODE_READ_ONLY) /* it was not when it was mounted: the system's failure, no rule of ours */
        err->code = WFS_CODE_IO_FAILED;
    error_suffix(err, says_so ? "; " : "; nothing was changed: ");
    error_suffix(err, advice(-r));
    return r;
}
