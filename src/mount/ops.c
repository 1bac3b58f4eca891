/* SPDX-License-Identifier: Apache-2.0 */
#include "mount/ops.h"

#include "mount/passthrough.h"

#define MAX_BACKGROUND 64u

const struct fuse_lowlevel_ops mount_operations = {
    .init = op_init,
    .statfs = op_statfs,
    .lookup = op_lookup,
    .forget = op_forget,
    .forget_multi = op_forget_multi,
    .getattr = op_getattr,
    .setattr = op_setattr,
    .opendir = op_opendir,
    .readdir = op_readdir,
    .readdirplus = op_readdirplus,
    .releasedir = op_releasedir,
    .fsyncdir = op_fsyncdir,
    .open = op_open,
    .read = op_read,
    .flush = op_flush,
    .release = op_release,
    .write = op_write,
    .copy_file_range = op_copy_file_range,
    .fallocate = op_fallocate,
    .fsync = op_fsync,
    .create = op_create,
    .unlink = op_unlink,
    .rmdir = op_rmdir,
    .rename = op_rename,
    .mkdir = op_mkdir,
    .mknod = op_mknod,
    .symlink = op_symlink,
    .link = op_link,
    .getxattr = op_getxattr,
    .listxattr = op_listxattr,
    .setxattr = op_setxattr,
    .removexattr = op_removexattr,
};

static void want(struct fuse_conn_info *connection, unsigned capability, bool wanted)
{
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
    if (wanted)
        fuse_set_feature_flag(connection, capability);
    else
        fuse_unset_feature_flag(connection, capability);
#else
    if (wanted)
        connection->want |= connection->capable & capability;
    else
        connection->want &= ~capability;
#endif
}

/* Why each: docs/performance.md, and the coherence rules of docs/staging.md 1. */
void op_init(void *userdata, struct fuse_conn_info *connection)
{
    const struct session *session = userdata;

    want(connection, FUSE_CAP_SPLICE_WRITE, true); /* replies go from the page cache to the kernel */
    want(connection, FUSE_CAP_SPLICE_MOVE, false);
    want(connection, FUSE_CAP_AUTO_INVAL_DATA,
         true); /* a write through one view is read through the others */
    want(connection, FUSE_CAP_WRITEBACK_CACHE, false); /* a killed daemon must not lose what write() took */
    want(connection, FUSE_CAP_ATOMIC_O_TRUNC, true);
    want(connection, FUSE_CAP_READDIRPLUS, true);
    want(connection, FUSE_CAP_READDIRPLUS_AUTO,
         false); /* it makes `find` and `ls -l` look names up one by one */
    want(connection, FUSE_CAP_PARALLEL_DIROPS, true);
    passthrough_ask(session->passthrough, connection);
    connection->max_read = MAX_READ;
    connection->max_readahead = MAX_READ_AHEAD;
    connection->max_background = MAX_BACKGROUND;
    connection->congestion_threshold = MAX_BACKGROUND * 3 / 4;
}

void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
    struct statvfs st;

    (void)ino;
    session_statvfs(session_of(req), &st);
    fuse_reply_statfs(req, &st);
}
