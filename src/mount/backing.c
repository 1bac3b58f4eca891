/* SPDX-License-Identifier: Apache-2.0 */
#include "mount/backing.h"

#include "base/cleanup.h"
#include "mount/node.h"

#include <linux/fuse.h>
#include <sys/ioctl.h>
#include <sys/queue.h>

struct record {
    struct backing backing; /* first: both have the same address */
    struct backing_table *table;
    unsigned references; /* with the table locked: the node table's, and what node_get() gave */
    bool is_kept;
    TAILQ_ENTRY(record) link;
};

struct backing_table {
    pthread_mutex_t lock;
    int fuse_fd;
    struct node_table *nodes;              /* an open file is one lookup, being kept another */
    TAILQ_HEAD(kept_records, record) kept; /* the one used last is first */
    unsigned kept_count;
    unsigned kept_limit;
};

static struct record *record_of(struct backing *backing)
{
    return (struct record *)backing;
}

/* --- the kernel ------------------------------------------------------------------------------- */

#ifdef FUSE_DEV_IOC_BACKING_OPEN

/* libfuse has a function for this, which would write a refusal to stderr. */
static int tell_open(int fuse_fd, int fd)
{
    struct fuse_backing_map map = {.fd = fd};
    int id = ioctl(fuse_fd, FUSE_DEV_IOC_BACKING_OPEN, &map);

    return id > 0 ? id : id < 0 ? -errno : -EIO;
}

static void tell_close(int fuse_fd, int id)
{
    uint32_t number = (uint32_t)id;
    (void)ioctl(fuse_fd, FUSE_DEV_IOC_BACKING_CLOSE, &number);
}

#else

static int tell_open(int fuse_fd, int fd)
{
    (void)fuse_fd;
    (void)fd;
    return -ENOSYS;
}

static void tell_close(int fuse_fd, int id)
{
    (void)fuse_fd;
    (void)id;
}

#endif

/* With the table locked. */
static void drop(const struct backing_table *table, int id)
{
    if (id > 0 && table->fuse_fd >= 0)
        tell_close(table->fuse_fd, id);
}

void backing_attach(struct backing_table *table, int fuse_fd)
{
    auto_lock(&table->lock);
    table->fuse_fd = fuse_fd;
}

int backing_make(struct backing_table *table, int fd)
{
    auto_lock(&table->lock);
    return table->fuse_fd < 0 ? -ENOTCONN : tell_open(table->fuse_fd, fd);
}

void backing_drop(struct backing_table *table, int id)
{
    auto_lock(&table->lock);
    drop(table, id);
}

/* --- inodes ----------------------------------------------------------------------------------- */

static void *ref_record(void *object)
{
    struct record *record = object;
    record->references++;
    return record;
}

static void unref_record(void *object)
{
    struct record *record = object;
    if (--record->references > 0)
        return;
    drop(record->table, record->backing.id);
    pthread_mutex_destroy(&record->backing.lock);
    free(record);
}

static const struct node_class record_class = {ref_record, unref_record};

int backing_table_new(unsigned kept, struct backing_table **ret_table)
{
    struct backing_table *table = calloc(1, sizeof(*table));
    if (!table)
        return -ENOMEM;
    if (node_table_new(&record_class, &table->nodes) < 0) {
        free(table);
        return -ENOMEM;
    }
    pthread_mutex_init(&table->lock, NULL);
    TAILQ_INIT(&table->kept);
    table->fuse_fd = -1;
    table->kept_limit = kept;
    *ret_table = table;
    return 0;
}

void backing_table_free(struct backing_table *table)
{
    if (!table)
        return;
    node_table_free(table->nodes);
    pthread_mutex_destroy(&table->lock);
    free(table);
}

static struct record *record_new(struct backing_table *table, uint64_t number)
{
    struct record *record = calloc(1, sizeof(*record));
    if (!record)
        return NULL;
    record->backing.number = number;
    pthread_mutex_init(&record->backing.lock, NULL);
    record->table = table;
    record->references = 1;
    return record;
}

struct backing *backing_open(struct backing_table *table, uint64_t number)
{
    auto_lock(&table->lock);
    struct record *record = node_get(table->nodes, number);
    if (!record)
        record = record_new(table, number);
    if (!record)
        return NULL;
    int r = node_remember(table->nodes, number, record);
    unref_record(record); /* the table has a reference of its own */
    return r < 0 ? NULL : &record->backing;
}

void backing_close(struct backing_table *table, uint64_t number)
{
    auto_lock(&table->lock);
    node_forget(table->nodes, number, 1);
}

/* --- keeping ---------------------------------------------------------------------------------- */

static void give_up(struct backing_table *table, struct record *record)
{
    TAILQ_REMOVE(&table->kept, record, link);
    table->kept_count--;
    record->is_kept = false;
    node_forget(table->nodes, record->backing.number, 1);
}

void backing_keep(struct backing_table *table, struct backing *backing, const struct backing_judge *judge)
{
    struct record *record = record_of(backing);

    auto_lock(&table->lock);
    if (record->is_kept || !judge->is_wanted(judge->context, backing->number) ||
        node_remember(table->nodes, backing->number, record) < 0)
        return;
    TAILQ_INSERT_HEAD(&table->kept, record, link);
    record->is_kept = true;
    if (++table->kept_count > table->kept_limit)
        give_up(table, TAILQ_LAST(&table->kept, kept_records));
}

void backing_used(struct backing_table *table, struct backing *backing)
{
    struct record *record = record_of(backing);

    auto_lock(&table->lock);
    if (!record->is_kept)
        return;
    TAILQ_REMOVE(&table->kept, record, link);
    TAILQ_INSERT_HEAD(&table->kept, record, link);
}

void backing_sift(struct backing_table *table, const struct backing_judge *judge)
{
    struct record *next;

    auto_lock(&table->lock);
    for (struct record *record = TAILQ_FIRST(&table->kept); record; record = next) {
        next = TAILQ_NEXT(record, link);
        if (!judge->is_wanted(judge->context, record->backing.number))
            give_up(table, record);
    }
}
