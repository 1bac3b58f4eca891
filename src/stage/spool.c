/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/spool.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/io.h"
#include "format/name.h"
#include "stage/lock.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define OPEN_FILES_MAX 256u /* docs/staging.md 7: 10,000 staged tensors work under `ulimit -n 512` */
#define DATA_NAME      "%08" PRIu32 ".bytes"
#define DATA_NAME_SIZE 24
#define LOCK_ATTEMPTS  8

struct spool {
    int parent;
    int dirfd;
    int lock_fd;
    char *name;
    struct journal *journal;
    struct file_pool *pool;
    pthread_mutex_t lock;
    uint32_t next_number;   /* lock */
    uint64_t names_added;   /* lock; how often names came to the directory */
    uint64_t names_durable; /* lock; up to which of these times they are on disk */
};

char *spool_directory_name(const char *target)
{
    static const uint64_t fixed_key[2] = {0, 0};
    char *name = NULL;
    size_t length = strlen(target);
    int r;

    if (length + strlen("..staging") <= 255)
        r = asprintf(&name, ".%s.staging", target);
    else
        r = asprintf(&name, ".%.200s~%016" PRIx64 ".staging", target, hash_bytes(fixed_key, target, length));
    return r < 0 ? NULL : name;
}

void spool_close(struct spool *spool)
{
    if (!spool)
        return;
    journal_close(spool->journal);
    file_pool_free(spool->pool);
    if (spool->lock_fd >= 0)
        close(spool->lock_fd);
    cleanup_close(&spool->dirfd);
    cleanup_close(&spool->parent);
    pthread_mutex_destroy(&spool->lock);
    free(spool->name);
    free(spool);
}

DEFINE_CLEANUP(struct spool, spool, spool_close)

static struct spool *spool_new(const struct spool_place *place)
{
    struct spool *spool = calloc(1, sizeof(*spool));
    if (!spool)
        return NULL;
    *spool = (struct spool){
        .parent = fcntl(place->dirfd, F_DUPFD_CLOEXEC, 3),
        .dirfd = -1,
        .lock_fd = -1,
        .name = strdup(place->name),
        .next_number = 1,
        .names_added = 1,
    };
    pthread_mutex_init(&spool->lock, NULL);
    if (!spool->name || spool->parent < 0) {
        int saved = errno;
        spool_close(spool);
        errno = saved;
        return NULL;
    }
    return spool;
}

static int refuse_busy(const struct spool_holder *holder, struct wfs_error *err)
{
    if (holder->mountpoint[0])
        return error_rule(err, WFS_CODE_BUSY, "somebody edits this model already: pid %ld, mounted at %s",
                          (long)holder->pid, printable_string(holder->mountpoint).text);
    return error_rule(err, WFS_CODE_BUSY, "somebody edits this model already: pid %ld", (long)holder->pid);
}

/* Half of what the process may have at all, the rest is for everything else. */
static unsigned open_files_max(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur / 2 >= OPEN_FILES_MAX)
        return OPEN_FILES_MAX;
    return limit.rlim_cur < 8 ? 4 : (unsigned)limit.rlim_cur / 2;
}

static int spool_lock(struct spool *spool, const char *mountpoint, struct wfs_error *err)
{
    struct spool_holder holder = {0};
    int r = lock_take(spool->dirfd, mountpoint, &spool->lock_fd, &holder);

    if (r == -EBUSY)
        return refuse_busy(&holder, err);
    if (r < 0)
        return error_errno(err, -r, "cannot lock the staging directory %s",
                           printable_string(spool->name).text);
    r = file_pool_new(spool->dirfd, open_files_max(), &spool->pool);
    if (r < 0)
        return error_no_memory(err);
    return 0;
}

/* The number of a data file, or 0. */
static uint32_t data_number(const char *name)
{
    char canonical[DATA_NAME_SIZE];
    uint32_t number;

    if (sscanf(name, "%" SCNu32, &number) != 1 || number == 0) // NOLINT(cert-err34-c): compared in full below
        return 0;
    (void)snprintf(canonical, sizeof(canonical), DATA_NAME, number);
    return strcmp(name, canonical) == 0 ? number : 0;
}

/* Whether a file of the directory is one that a spool makes. */
static bool is_ours(const char *name)
{
    static const char *const names[] = {".", "..", LOCK_NAME, JOURNAL_NAME, JOURNAL_NEW_NAME, ".gitignore"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return data_number(name) != 0;
}

static int refuse_foreign_files(int dirfd, const char *name, struct wfs_error *err)
{
    const struct dirent *item;
    bool is_in_use = faccessat(dirfd, LOCK_NAME, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    DIR *listing = is_in_use ? NULL : io_list(dirfd);
    int r = 0;

    while (listing && r == 0 && (item = readdir(listing)) != NULL) { // NOLINT(concurrency-mt-unsafe): our own
        if (!is_ours(item->d_name))
            r = error_rule(
                err, WFS_CODE_NOT_PERMITTED,
                "the staging directory %s holds '%s', which is no file of weightfs: choose one that is "
                "empty or not there",
                printable_string(name).text, printable_string(item->d_name).text);
    }
    if (listing)
        (void)closedir(listing);
    return r;
}

/* Nobody else may write there, and no file in it is somebody's. One of our own that is open to others is
 * closed to them. */
static int make_private(int dirfd, const char *name, struct wfs_error *err)
{
    struct stat st;

    if (fstat(dirfd, &st) < 0)
        return error_errno(err, errno, "cannot look at the staging directory %s",
                           printable_string(name).text);
    bool is_open = (st.st_mode & 077) != 0;
    if (st.st_uid != geteuid() && (geteuid() != 0 || is_open))
        return error_rule(err, WFS_CODE_NOT_PERMITTED, "the staging directory %s belongs to user %ld",
                          printable_string(name).text, (long)st.st_uid);
    int r = refuse_foreign_files(dirfd, name, err);
    if (r == 0 && is_open && fchmod(dirfd, 0700) < 0)
        r = error_errno(err, errno, "cannot make the staging directory %s private",
                        printable_string(name).text);
    return r;
}

static int open_once(const struct spool_place *place, const char *mountpoint, struct spool **ret_spool,
                     struct wfs_error *err)
{
    __attribute__((cleanup(cleanup_spool))) struct spool *spool = spool_new(place);
    if (!spool)
        return error_errno(err, errno, "cannot open the staging directory %s",
                           printable_string(place->name).text);
    spool->dirfd = openat(place->dirfd, place->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (spool->dirfd < 0 && errno == ENOENT)
        return -ENOENT;
    if (spool->dirfd < 0)
        return error_errno(err, errno, "cannot open the staging directory %s",
                           printable_string(place->name).text);
    int r = make_private(spool->dirfd, place->name, err);
    r = r < 0 ? r : spool_lock(spool, mountpoint, err);
    if (r < 0)
        return r;
    *ret_spool = take_ptr(spool);
    return 0;
}

int spool_open(const struct spool_place *place, const char *mountpoint, struct spool **ret_spool,
               struct wfs_error *err)
{
    int r = -ESTALE; /* who held the lock may have removed it at the end, and the directory, too */

    for (int i = 0; r == -ESTALE && i < LOCK_ATTEMPTS; i++)
        r = open_once(place, mountpoint, ret_spool, err);
    return r;
}

/* So that a model's repository never takes staged bytes for files of its own. */
static int write_gitignore(int dirfd)
{
    auto_close int fd =
        openat(dirfd, ".gitignore", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    return io_write_at(fd, "*\n", 2, 0);
}

int spool_create(const struct spool_place *place, const char *mountpoint, struct spool **ret_spool,
                 struct wfs_error *err)
{
    if (mkdirat(place->dirfd, place->name, 0700) < 0 && errno != EEXIST)
        return error_errno(err, errno, "cannot make the staging directory %s",
                           printable_string(place->name).text);
    __attribute__((cleanup(cleanup_spool))) struct spool *spool = NULL;
    int r = spool_open(place, mountpoint, &spool, err);
    if (r == -ENOENT || r == -ESTALE)
        return error_rule(err, WFS_CODE_BUSY, "the staging directory was removed by somebody else just now");
    if (r < 0)
        return r;
    r = spool ? write_gitignore(spool->dirfd) : -EIO;
    if (r < 0)
        return error_errno(err, -r, "cannot write into the staging directory %s",
                           printable_string(place->name).text);
    *ret_spool = take_ptr(spool);
    return 0;
}

int spool_dirfd(const struct spool *spool)
{
    return spool->dirfd;
}

struct journal *spool_journal(struct spool *spool)
{
    return spool->journal;
}

void spool_set_journal(struct spool *spool, struct journal *journal)
{
    journal_close(spool->journal);
    spool->journal = journal;
}

int spool_new_file(struct spool *spool, struct file **ret_file, uint32_t *ret_number, struct wfs_error *err)
{
    char name[DATA_NAME_SIZE];
    uint32_t number;
    {
        auto_lock(&spool->lock);
        number = spool->next_number++;
    }
    (void)snprintf(name, sizeof(name), DATA_NAME, number);
    int r = file_pool_open(spool->pool, name, true, ret_file, err);
    if (r < 0)
        return r;
    *ret_number = number;
    auto_lock(&spool->lock);
    spool->names_added++;
    return 0;
}

int spool_open_file(struct spool *spool, uint32_t number, struct file **ret_file, struct wfs_error *err)
{
    char name[DATA_NAME_SIZE];
    (void)snprintf(name, sizeof(name), DATA_NAME, number);
    return file_pool_open(spool->pool, name, false, ret_file, err);
}

int spool_sync_names(struct spool *spool)
{
    uint64_t added;
    {
        auto_lock(&spool->lock);
        added = spool->names_added;
        if (spool->names_durable >= added)
            return 0;
    }
    if (!fault(FAULT_SPOOL_NAMES_SYNC)) {
        int r = io_sync(spool->dirfd);
        r = r < 0 ? r : io_sync(spool->parent);
        if (r < 0)
            return r;
    }
    auto_lock(&spool->lock);
    if (spool->names_durable < added)
        spool->names_durable = added;
    return 0;
}

void spool_keep_number(struct spool *spool, uint32_t number)
{
    auto_lock(&spool->lock);
    if (number >= spool->next_number)
        spool->next_number = number + 1;
}

void spool_sweep(struct spool *spool, bool (*is_used)(void *context, uint32_t number), void *context)
{
    const struct dirent *item;
    DIR *listing = io_list(spool->dirfd);
    if (!listing)
        return;
    auto_lock(&spool->lock);
    while ((item = readdir(listing)) != NULL) { // NOLINT(concurrency-mt-unsafe): a stream of our own
        uint32_t number = data_number(item->d_name);
        if (number == 0)
            continue;
        if (number >= spool->next_number)
            spool->next_number = number + 1;
        if (!is_used(context, number))
            (void)unlinkat(spool->dirfd, item->d_name, 0);
    }
    (void)closedir(listing);
}

static bool has_data_files(const struct spool *spool)
{
    const struct dirent *item;
    bool found = false;
    DIR *listing = io_list(spool->dirfd);
    if (!listing)
        return true;
    while (!found && (item = readdir(listing)) != NULL) // NOLINT(concurrency-mt-unsafe): a stream of our own
        found = data_number(item->d_name) != 0;
    (void)closedir(listing);
    return found;
}

bool spool_remove(struct spool *spool)
{
    if (has_data_files(spool))
        return false;
    (void)unlinkat(spool->dirfd, JOURNAL_NAME, 0);
    (void)unlinkat(spool->dirfd, ".gitignore", 0);
    (void)unlinkat(spool->dirfd, LOCK_NAME, 0);
    (void)unlinkat(spool->parent, spool->name, AT_REMOVEDIR);
    return true;
}

struct boot_id boot_id_now(void)
{
    struct boot_id id = {""};
    auto_close int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t count = fd < 0 ? 0 : io_read_some(fd, id.text, sizeof(id.text) - 1, 0);

    id.text[count > 0 ? count : 0] = '\0';
    id.text[strcspn(id.text, "\n")] = '\0';
    return id;
}
