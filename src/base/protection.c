/* SPDX-License-Identifier: Apache-2.0 */
#include "base/protection.h"

#include "base/error.h"

#include <fcntl.h>
#include <sys/stat.h>

static uint64_t attributes_of(int dirfd, const char *name)
{
    struct statx stx;

    if (statx(dirfd, name, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, 0, &stx) < 0)
        return 0;
    return stx.stx_attributes & stx.stx_attributes_mask;
}

static const char *word_of(uint64_t attributes)
{
    return attributes & STATX_ATTR_IMMUTABLE ? "immutable"
           : attributes & STATX_ATTR_APPEND  ? "append-only"
                                             : NULL;
}

const char *protection_of(int dirfd, const char *name)
{
    return word_of(attributes_of(dirfd, name));
}

int protection_check(int dirfd, const char *name, bool only_add, struct wfs_error *err)
{
    uint64_t harmless = only_add ? STATX_ATTR_APPEND : 0;
    const char *of_directory = word_of(attributes_of(dirfd, "") & ~harmless);
    const char *of_file = only_add ? NULL : protection_of(dirfd, name);

    if (!of_directory && !of_file)
        return 0;
    return error_rule(err, WFS_CODE_NOT_PERMITTED, "%s: cannot be %s: %s is %s (chattr); nothing was written",
                      printable_string(name).text, only_add ? "created" : "replaced",
                      of_directory ? "its directory" : "it", of_directory ? of_directory : of_file);
}
