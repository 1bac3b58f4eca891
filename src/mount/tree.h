/* SPDX-License-Identifier: Apache-2.0
 *
 * The tree as a kernel sees it: names to nodes, nodes to attributes. Knows no FUSE.
 */
#ifndef MOUNT_TREE_H
#define MOUNT_TREE_H

#include "mount/handle.h"

#include <sys/stat.h>

/* What a name leads to. */
struct tree_node {
    uint64_t number;
    struct stat attr;
    bool lasting_name;   /* the name may be remembered for long */
    bool lasting_attr;   /* the attributes may be */
    struct entry *entry; /* of staging/: counted for the caller; else NULL */
};

/* 0; -ENOENT; -ENOTDIR; -ESTALE when the directory is not known any more. */
int tree_lookup(struct session *session, uint64_t directory, const char *name, struct tree_node *ret_node);

/* Whether "there is no such name" may be remembered for long in that directory. */
bool tree_absence_lasts(uint64_t directory);

/* The preview's number as long as nothing is changed. */
uint64_t preview_number(const struct session *session);

/* Attributes of a node that was looked up before; `handle` (may be NULL): an open file of it. */
int tree_attr(struct session *session, uint64_t number, const struct handle *handle, struct stat *ret_attr,
              bool *ret_lasting);

/* --- attr.c ----------------------------------------------------------------------------------- */

/* A tensor of the read-only tree, as raw bytes or .npy file. */
void attr_tensor(const struct session *session, const struct generation *generation, size_t index,
                 enum view view, struct stat *ret_attr);

/* metadata.json or the whole-file view of a generation. */
void attr_model_file(const struct session *session, const struct current *current, enum view view,
                     struct stat *ret_attr);

/* One of enum fixed_node. */
int attr_fixed(struct session *session, enum fixed_node node, struct stat *ret_attr);

int attr_entry(struct session *session, uint64_t number, struct entry *entry, struct stat *ret_attr);
void attr_preview(struct session *session, uint64_t number, struct stat *ret_attr);
void attr_control(const struct session *session, uint64_t number, struct stat *ret_attr);

#endif
