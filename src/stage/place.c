/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the staging directory is or will be, and whether there can be one.
 */
#include "base/error.h"
#include "base/fault.h"
#include "base/protection.h"
#include "stage/pending.h"
#include "stage/spool.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

/* --- where --- */

/* The directory part of a path and its last component. */
static int split_elsewhere(const char *path, int *ret_parent, char **ret_name)
{
    auto_free char *copy = strdup(path);
    if (!copy)
        return -ENOMEM;
    for (size_t length = strlen(copy); length > 1 && copy[length - 1] == '/'; length--)
        copy[length - 1] = '\0';
    char *slash = strrchr(copy, '/');
    *ret_name = strdup(slash ? slash + 1 : copy);
    if (slash)
        slash[slash == copy ? 1 : 0] = '\0';
    *ret_parent = open(slash ? copy : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *ret_parent < 0 ? -errno : *ret_name ? 0 : -ENOMEM;
}

/* Its path for messages: absolute, so that it means the same to everybody. */
static int name_elsewhere(struct stage *stage, const char *path)
{
    auto_free char *here = path[0] == '/' ? NULL : getcwd(NULL, 0);
    int r = asprintf(&stage->spool_path, "%s%s%s", here ? here : "", here ? "/" : "", path);

    if (r < 0)
        stage->spool_path = NULL;
    return r < 0 ? -ENOMEM : 0;
}

static int place_elsewhere(struct stage *stage, const char *staging, struct wfs_error *err)
{
    int r = split_elsewhere(staging, &stage->spool_parent, &stage->spool_name);

    if (r < 0)
        return error_errno(err, -r, "cannot use %s as staging directory", printable_string(staging).text);
    stage->spool_is_elsewhere = true;
    return name_elsewhere(stage, staging) == 0 ? 0 : error_no_memory(err);
}

void stage_forget_place(struct stage *stage)
{
    cleanup_close(&stage->spool_parent);
    stage->spool_parent = -1;
    free(stage->spool_name);
    free(stage->spool_path);
    stage->spool_name = stage->spool_path = NULL;
}

int stage_place_spool(struct stage *stage, const char *staging, struct wfs_error *err)
{
    stage_forget_place(stage);
    if (staging)
        return place_elsewhere(stage, staging, err);
    stage->spool_parent = fcntl(stage->dirfd, F_DUPFD_CLOEXEC, 3);
    if (stage->spool_parent < 0)
        return error_errno(err, errno, "%s: cannot use its directory", printable_string(stage->path).text);
    stage->spool_name = spool_directory_name(stage->name);
    if (!stage->spool_name)
        return error_no_memory(err);
    const char *slash = strrchr(stage->path, '/');
    int r = slash ? asprintf(&stage->spool_path, "%.*s/%s", (int)(slash - stage->path), stage->path,
                             stage->spool_name)
                  : asprintf(&stage->spool_path, "%s", stage->spool_name);
    if (r < 0) {
        stage->spool_path = NULL;
        return error_no_memory(err);
    }
    return 0;
}

/* --- whether --- */

/* blobs/<40 or 64 hex digits>: the name is a digest of the bytes. snapshots/ beside it are links to those. */
static bool is_in_cache(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return false;
    size_t length = strlen(slash + 1);
    if (fault(FAULT_CACHE))
        return false;
    if (strstr(path, "/models--") && strstr(path, "/snapshots/"))
        return true;
    return (length == 40 || length == 64) && strspn(slash + 1, "0123456789abcdef") == length &&
           slash - path >= 6 && memcmp(slash - 6, "/blobs", 6) == 0;
}

static bool lies_in_memory(int dirfd)
{
    struct statfs fs;
    return fstatfs(dirfd, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

/* What hinders making, and removing, the staging directory; NULL: nothing. */
static const char *hindrance(const struct stage *stage)
{
    const char *protection = protection_of(stage->spool_parent, "");

    if (protection || faccessat(stage->spool_parent, ".", W_OK, AT_EACCESS) == 0)
        return protection;
    return errno == EROFS ? "read-only file system" : "no permission";
}

void stage_judge_place(struct stage *stage, bool read_only)
{
    struct wfs_error *why = &stage->read_only_why;
    const char *hinders = hindrance(stage);

    stage->is_volatile = lies_in_memory(stage->spool_parent);
    if (read_only)
        (void)error_rule(why, WFS_CODE_READ_ONLY, "%s: mounted read-only (-o ro)",
                         printable_string(stage->path).text);
    else if (is_in_cache(stage->path))
        (void)error_rule(
            why, WFS_CODE_READ_ONLY,
            "%s: belongs to a Hugging Face cache, where nothing is changed; mount it with -o output=PATH to "
            "commit elsewhere",
            printable_string(stage->path).text);
    else if (hinders)
        (void)error_rule(
            why, WFS_CODE_READ_ONLY,
            "%s: cannot write beside the model (%s); mount it with -o staging=DIR, or with -o output=PATH to "
            "commit elsewhere",
            printable_string(stage->path).text, hinders);
}
