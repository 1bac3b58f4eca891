/* SPDX-License-Identifier: Apache-2.0 */
#include "base/replace.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/keep.h"
#include "base/protection.h"
#include "base/utf8.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define ACL_XATTR            "system.posix_acl_access"
#define HIDDEN_SUFFIX_LENGTH (sizeof ".weightfs-0123456789abcdef" - 1)
#define SIZE_UNFINISHED      UINT64_MAX
#define ATTEMPTS             16 /* at a random name nobody else has */

struct hidden_name {
    char text[NAME_MAX + 1];
};

enum replace_state {
    REPLACE_WRITING,
    REPLACE_SYNCED,
    REPLACE_CONDEMNED,
    REPLACE_DONE,
};

struct replace {
    int dirfd; /* our own */
    int fd;
    char *name;
    char *backup;            /* NULL: none wanted */
    struct hidden_name temp; /* "" : nameless */
    bool has_keep;
    struct stat keep;
    int keep_fd;
    bool exclusive;
    enum replace_state state;
};

DEFINE_CLEANUP(struct replace, replace, replace_free)
#define auto_replace __attribute__((cleanup(cleanup_replace)))

static int fail(const struct replace *replace, struct wfs_error *err, int errnum, const char *what)
{
    return error_errno(err, errnum, "%s: %s", printable_string(replace->name).text, what);
}

/* --- hidden names ----------------------------------------------------------------------------- */

/* ".NAME.weightfs-<16 hex digits>", NAME cut so that the whole is a file name. */
static struct hidden_name hidden_name(const char *name)
{
    struct hidden_name hidden;
    uint64_t random = 0;
    while (getrandom(&random, sizeof random, 0) < 0 && errno == EINTR)
        continue;
    size_t kept = strlen(name);
    if (kept > NAME_MAX - 1 - HIDDEN_SUFFIX_LENGTH) {
        kept = NAME_MAX - 1 - HIDDEN_SUFFIX_LENGTH;
        while (kept && utf8_is_continuation(name[kept]))
            kept--;
    }
    snprintf(hidden.text, sizeof hidden.text, ".%.*s.weightfs-%016llx", (int)kept, name,
             (unsigned long long)random);
    return hidden;
}

static bool is_hidden_name(const char *hidden, const char *name)
{
    size_t length = strlen(hidden);
    if (length <= HIDDEN_SUFFIX_LENGTH || hidden[0] != '.')
        return false;
    const char *suffix = hidden + length - HIDDEN_SUFFIX_LENGTH;
    return strncmp(suffix, ".weightfs-", 10) == 0 && strspn(suffix + 10, "0123456789abcdef") == 16 &&
           strncmp(hidden + 1, name, (size_t)(suffix - hidden) - 1) == 0;
}

static bool is_that_file(int dirfd, const char *name, const struct file_identity *identity)
{
    struct stat st;
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
        return false;
    struct file_identity found = file_identity_of(&st);
    if (found.inode != identity->inode)
        return false;
    return identity->size == SIZE_UNFINISHED || file_identity_equal(&found, identity);
}

void replace_sweep(int dirfd, const char *name, const struct file_identity *finished)
{
    const struct dirent *item;
    DIR *listing = io_list(dirfd);

    if (!listing)
        return;
    while ((item = readdir(listing)) != NULL) { // NOLINT(concurrency-mt-unsafe): a stream of our own
        if (!fault(FAULT_SWEEP) && is_hidden_name(item->d_name, name) &&
            is_that_file(dirfd, item->d_name, finished))
            unlinkat(dirfd, item->d_name, 0);
    }
    closedir(listing);
}

static void remove_name(const struct replace *replace, const char *name)
{
    int saved = errno;
    unlinkat(replace->dirfd, name, 0);
    errno = saved;
}

/* Gives a nameless file a name; EEXIST when it is taken. */
static int link_nameless(const struct replace *replace, const char *name)
{
    if (linkat(replace->fd, "", replace->dirfd, name, AT_EMPTY_PATH) == 0)
        return 0;
    int first = errno; /* before Linux 6.10 AT_EMPTY_PATH takes a capability */
    if (first == EEXIST)
        return -EEXIST;
    char path[sizeof "/proc/self/fd/" + 3 * sizeof(int)];
    snprintf(path, sizeof path, "/proc/self/fd/%d", replace->fd);
    if (linkat(AT_FDCWD, path, replace->dirfd, name, AT_SYMLINK_FOLLOW) == 0)
        return 0;
    return errno == ENOENT ? -first : -errno;
}

/* --- begin ------------------------------------------------------------------------------------ */

/* A new file gets its mode from the kernel, which knows the umask and the directory's default ACL; one that
 * takes the place of another is nobody's business until it has that one's mode. */
static mode_t creation_mode(const struct replace *replace)
{
    return replace->has_keep ? 0600 : 0666;
}

static int open_hidden(struct replace *replace)
{
    static const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    for (int i = 0; i < ATTEMPTS; i++) {
        struct hidden_name hidden = hidden_name(replace->name);
        replace->fd = openat(replace->dirfd, hidden.text, flags, creation_mode(replace));
        if (replace->fd >= 0) {
            replace->temp = hidden;
            return 0;
        }
        if (errno != EEXIST)
            return -errno;
    }
    return -EEXIST;
}

static int open_nameless(struct replace *replace)
{
    replace->fd = openat(replace->dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, creation_mode(replace));
    return replace->fd < 0 ? -errno : 0;
}

static int open_temporary(struct replace *replace)
{
    int r = open_nameless(replace);
    bool has_no_tmpfile = r == -EOPNOTSUPP || r == -EISDIR || r == -EINVAL || r == -ENOENT || r == -ENOSYS;
    return has_no_tmpfile && !protection_of(replace->dirfd, "") ? open_hidden(replace) : r;
}

static int copy_options(struct replace *replace, const char *name, const struct replace_options *options)
{
    replace->name = strdup(name);
    if (!replace->name)
        return -ENOMEM;
    if (options->backup_suffix && asprintf(&replace->backup, "%s%s", name, options->backup_suffix) < 0) {
        replace->backup = NULL;
        return -ENOMEM;
    }
    replace->has_keep = options->keep != NULL;
    if (options->keep)
        replace->keep = *options->keep;
    replace->keep_fd = options->keep_fd;
    replace->exclusive = options->exclusive;
    return 0;
}

static int check_names(const struct replace *replace, struct wfs_error *err)
{
    if (*replace->name == '\0' || strchr(replace->name, '/'))
        return fail(replace, err, EINVAL, "is no file name");
    if (strlen(replace->name) > NAME_MAX)
        return fail(replace, err, ENAMETOOLONG, "cannot be written");
    if (!replace->backup)
        return 0;
    if (strlen(replace->backup) > NAME_MAX)
        return fail(replace, err, ENAMETOOLONG, "the backup's name");
    if (strchr(replace->backup, '/') || strcmp(replace->backup, replace->name) == 0)
        return fail(replace, err, EINVAL, "the backup's suffix cannot be used");
    return 0;
}

int replace_begin(int dirfd, const char *name, const struct replace_options *options,
                  struct replace **ret_replace, struct wfs_error *err)
{
    auto_replace struct replace *replace = calloc(1, sizeof *replace);
    if (!replace)
        return error_no_memory(err);
    replace->fd = -1;
    replace->dirfd = fcntl(dirfd, F_DUPFD_CLOEXEC, 3);
    if (replace->dirfd < 0)
        return error_errno(err, errno, "%s: cannot use its directory", printable_string(name).text);
    if (copy_options(replace, name, options) < 0)
        return error_no_memory(err);
    int r = check_names(replace, err);
    r = r < 0 ? r : protection_check(replace->dirfd, replace->name, replace->exclusive, err);
    if (r < 0)
        return r;
    r = open_temporary(replace);
    if (r < 0)
        return fail(replace, err, -r, "cannot create a file beside it");
    *ret_replace = take_ptr(replace);
    return 0;
}

int replace_fd(const struct replace *replace)
{
    return replace->fd;
}

bool replace_is_named(const struct replace *replace)
{
    return *replace->temp.text != '\0';
}

struct file_identity replace_unfinished(const struct replace *replace)
{
    struct stat st = {0};

    (void)fstat(replace->fd, &st);
    return (struct file_identity){.size = SIZE_UNFINISHED, .inode = st.st_ino};
}

void replace_free(struct replace *replace)
{
    if (!replace)
        return;
    if (*replace->temp.text)
        remove_name(replace, replace->temp.text);
    if (replace->fd >= 0)
        close(replace->fd);
    if (replace->dirfd >= 0)
        close(replace->dirfd);
    free(replace->backup);
    free(replace->name);
    free(replace);
}

/* --- sync ------------------------------------------------------------------------------------- */

int replace_sync(struct replace *replace, struct wfs_error *err)
{
    if (replace->state != REPLACE_WRITING && replace->state != REPLACE_SYNCED)
        return fail(replace, err, EIO, "the new file was given up after an error");
    replace->state = REPLACE_CONDEMNED;
    bool keeps = replace->has_keep && !fault(FAULT_KEEP_OWNER);
    int r = keeps ? keep_attributes(replace->fd, &replace->keep, replace->keep_fd, err) : 0;
    if (r < 0) {
        error_prefix(err, "%s: ", printable_string(replace->name).text);
        return r;
    }
    r = fault(FAULT_TARGET_SYNC) ? 0 : io_sync(replace->fd);
    if (r < 0)
        return fail(replace, err, -r, "cannot sync the new file");
    replace->state = REPLACE_SYNCED;
    return 0;
}

/* --- commit ----------------------------------------------------------------------------------- */

static int refuse_existing(const struct replace *replace, struct wfs_error *err)
{
    return error_rule(err, WFS_CODE_TARGET_EXISTS, "%s: exists already, expected no file of that name",
                      printable_string(replace->name).text);
}

/* The hidden file gets its name unless there is one. RENAME_NOREPLACE is not known to every file system. */
static int rename_exclusive(const struct replace *replace)
{
    const char *temp = replace->temp.text;
    if (renameat2(replace->dirfd, temp, replace->dirfd, replace->name, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -errno;
    if (linkat(replace->dirfd, temp, replace->dirfd, replace->name, 0) < 0)
        return -errno;
    remove_name(replace, temp);
    return 0;
}

static int publish_exclusive(struct replace *replace, struct wfs_error *err)
{
    bool is_nameless = *replace->temp.text == '\0';
    int r = is_nameless ? link_nameless(replace, replace->name) : rename_exclusive(replace);
    if (r == -EEXIST)
        return refuse_existing(replace, err);
    if (r < 0)
        return fail(replace, err, -r, "cannot be created");
    *replace->temp.text = '\0';
    return 0;
}

/* Gives the nameless file a hidden name, from which it can be renamed over another. */
static int name_nameless(struct replace *replace)
{
    int r = -EEXIST;
    for (int i = 0; r == -EEXIST && i < ATTEMPTS; i++) {
        struct hidden_name hidden = hidden_name(replace->name);
        r = link_nameless(replace, hidden.text);
        if (r == 0)
            replace->temp = hidden;
    }
    return r;
}

/* Links the old file under a name that exists already, without a moment in which neither is there. */
static int link_over(const struct replace *replace, const char *name)
{
    struct hidden_name hidden = hidden_name(replace->name);
    if (linkat(replace->dirfd, replace->name, replace->dirfd, hidden.text, 0) < 0)
        return -errno;
    int r = renameat(replace->dirfd, hidden.text, replace->dirfd, name) < 0 ? -errno : 0;
    remove_name(replace, hidden.text); /* a rename between two links of one file does nothing at all */
    return r;
}

/* Links the old file as its backup. *ret_is_new: there was no backup before, it can be taken back. */
static int make_backup(const struct replace *replace, bool *ret_is_new)
{
    if (linkat(replace->dirfd, replace->name, replace->dirfd, replace->backup, 0) == 0) {
        *ret_is_new = true;
        return 0;
    }
    if (errno == ENOENT)
        return 0; /* nothing to back up */
    return errno == EEXIST ? link_over(replace, replace->backup) : -errno;
}

static int publish_over(struct replace *replace, struct wfs_error *err)
{
    if (*replace->temp.text == '\0') {
        int r = name_nameless(replace);
        if (r < 0)
            return fail(replace, err, -r, "cannot link the new file");
    }
    bool backup_is_new = false;
    bool backs_up = replace->backup && !fault(FAULT_BACKUP_ORDER);
    int r = backs_up ? make_backup(replace, &backup_is_new) : 0;
    if (r < 0)
        return fail(replace, err, -r, "cannot keep a backup");
    if (renameat(replace->dirfd, replace->temp.text, replace->dirfd, replace->name) < 0) {
        r = fail(replace, err, errno, "cannot be replaced");
        if (backup_is_new)
            remove_name(replace, replace->backup);
        return r;
    }
    *replace->temp.text = '\0';
    if (replace->backup && fault(FAULT_BACKUP_ORDER))
        (void)make_backup(replace, &backup_is_new);
    return 0;
}

/* A file system that cannot sync a directory has said all that can be known. */
static int sync_directory(const struct replace *replace)
{
    int r = io_sync(replace->dirfd);
    return r == -EINVAL || r == -EOPNOTSUPP || r == -ENOSYS ? 0 : r;
}

int replace_commit(struct replace *replace, struct wfs_error *err)
{
    if (replace->state != REPLACE_SYNCED)
        return fail(replace, err, EIO, "cannot be replaced by a file that was not synced");
    int early = fault(FAULT_DIRECTORY_SYNC_EARLY) ? sync_directory(replace) : 1;
    int r = replace->exclusive ? publish_exclusive(replace, err) : publish_over(replace, err);
    if (r < 0)
        return r;
    replace->state = REPLACE_DONE;
    r = early <= 0 || fault(FAULT_DIRECTORY_SYNC) ? 0 : sync_directory(replace);
    if (r == 0)
        return 0;
    fail(replace, err, -r,
         "was replaced, but its directory could not be synced: after a power loss the old file may be back");
    return 1;
}
