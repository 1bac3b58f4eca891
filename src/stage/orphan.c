/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/orphan.h"

#include "base/io.h"
#include "stage/journal.h"
#include "stage/lock.h"
#include "stage/record.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define JOURNAL_MAX ((off_t)64 << 20) /* a longer one is left alone */

/* --- which model a journal is about --- */

struct finding {
    bool has_base;
    struct record_base base; /* the last word counts */
};

static int on_base(void *context, const struct record_base *base)
{
    struct finding *finding = context;
    finding->has_base = true;
    finding->base = *base;
    return 0;
}

static int read_payload(void *context, const unsigned char *payload, size_t length, struct wfs_error *err)
{
    const struct record_sink sink = {.context = context, .base = on_base};
    return record_read(payload, length, &sink, err);
}

static bool is_about(int dirfd, const struct base_identity *model)
{
    struct stat st;
    struct finding finding = {.has_base = false};
    size_t good;
    auto_close int fd = openat(dirfd, JOURNAL_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > JOURNAL_MAX)
        return false;
    auto_free unsigned char *bytes = malloc((size_t)st.st_size + 1);
    return bytes && io_read_at(fd, bytes, (size_t)st.st_size, 0) == 0 &&
           journal_scan(bytes, (size_t)st.st_size, read_payload, &finding, &good, NULL) == 0 &&
           finding.has_base && base_identity_equal(model, &finding.base.identity);
}

/* --- which directories there are --- */

/* The name of the file that a directory of edits belongs to, cut out of its name; false: it is none. */
static bool owner_of(const char *directory, char owner[256])
{
    static const char suffix[] = ".staging";
    size_t length = strlen(directory);
    size_t kept = length - (sizeof(suffix) - 1) - 1;

    if (directory[0] != '.' || length < sizeof(suffix) + 1 || length > 255 ||
        strcmp(directory + 1 + kept, suffix) != 0)
        return false;
    (void)snprintf(owner, 256, "%.*s", (int)kept, directory + 1);
    return true;
}

/* Nobody may use it meanwhile: its lock is held until it has its new name. */
static bool adopt(struct stage *stage, const char *directory, const struct base_identity *model)
{
    struct spool_holder holder;
    auto_close int dirfd =
        openat(stage->spool_parent, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    auto_close int lock = -1;

    if (dirfd < 0 || !is_about(dirfd, model) || lock_take(dirfd, stage->mountpoint, &lock, &holder) < 0)
        return false;
    return renameat2(stage->spool_parent, directory, stage->spool_parent, stage->spool_name,
                     RENAME_NOREPLACE) == 0;
}

static bool exists(int dirfd, const char *name)
{
    struct stat st;
    return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

void orphan_adopt(struct stage *stage)
{
    struct base_identity model = base_identity_of(stage->generation);
    const struct dirent *item;
    char owner[256];

    if (stage->spool_is_elsewhere || model.none || exists(stage->spool_parent, stage->spool_name))
        return;
    DIR *listing = io_list(stage->spool_parent);
    if (!listing)
        return;
    while (!stage->adopted &&
           (item = readdir(listing))) { // NOLINT(concurrency-mt-unsafe): a stream of our own
        if (owner_of(item->d_name, owner) && !exists(stage->spool_parent, owner) &&
            adopt(stage, item->d_name, &model))
            stage->adopted = strdup(owner);
    }
    closedir(listing);
}
