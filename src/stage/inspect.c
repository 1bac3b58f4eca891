/* SPDX-License-Identifier: Apache-2.0
 *
 * What keeps one staged entry from being committed.
 */
#include "stage/inspect.h"

#include "base/error.h"
#include "format/npy.h"
#include "format/shape.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NPY_MAGIC_SIZE 6

static bool begins_like_npy(const struct entry *entry)
{
    unsigned char magic[NPY_MAGIC_SIZE];
    struct image *image;

    if (entry->state.content.kind != CONTENT_SPOOL || entry->state.from_npy ||
        entry->state.content.size < sizeof(magic))
        return false;
    image = content_image(entry, 0, sizeof(magic));
    ssize_t count = image ? image_read(image, magic, sizeof(magic), 0) : -1;
    image_unref(image);
    return count == (ssize_t)sizeof(magic) && npy_magic(magic, sizeof(magic));
}

static void inspect_trust(const struct entry *entry, struct problem_list *problems)
{
    struct key key = slot_key(entry->slot);
    int error = -content_error(entry);

    if (error == ENOENT)
        problem_add(problems, WFS_CODE_SPOOL_DAMAGED, false, key, NULL, NULL,
                    "its bytes are missing from the staging directory; remove it and write it again");
    else if (error)
        problem_add(problems, WFS_CODE_SPOOL_DAMAGED, false, key, NULL, NULL,
                    "a write of its bytes failed (%s); remove it and write it again",
                    strerrordesc_np(error)); // NOLINT(concurrency-mt-unsafe)
    if (entry->state.unsynced_lost)
        problem_add(problems, WFS_CODE_UNSYNCED_DATA, false, key, NULL, NULL,
                    "was written but not synced before the machine went down; write it again, discard it, or "
                    "take it as it "
                    "is with --accept-unsynced");
}

bool name_is_reserved(struct key key)
{
    return key.length == strlen("__metadata__") && memcmp(key.name, "__metadata__", key.length) == 0;
}

static void inspect_name(const struct entry *entry, struct problem_list *problems)
{
    struct key key = slot_key(entry->slot);

    if (key.space == SPACE_HASHED)
        problem_add(
            problems, WFS_CODE_NAME_UNKNOWN, false, key, NULL, NULL,
            "this is a shortened file name; set the attribute user.safetensors.name to the tensor's name");
    if (name_is_reserved(key))
        problem_add(problems, WFS_CODE_NAME_RESERVED, false, key, NULL, NULL,
                    "this name is reserved for the file's metadata; rename the tensor");
}

static void inspect_draft(const struct entry *entry, struct problem_list *problems)
{
    struct wfs_error why;

    draft_explain(entry, &why);
    problem_add(problems, why.code, false, slot_key(entry->slot), NULL, NULL,
                "the .npy file cannot be taken: %s", error_sentence(&why));
}

static void inspect_undeclared(const struct entry *entry, struct problem_list *problems)
{
    const struct declaration *declared = &entry->state.declared;
    struct key key = slot_key(entry->slot);

    if (begins_like_npy(entry)) {
        problem_add(problems, WFS_CODE_NPY_IN_TENSORS, false, key, NULL, NULL,
                    "is an .npy file, not raw bytes: move it to npy/");
        return;
    }
    const char *missing = declared->dtype != WFS_DTYPE_COUNT ? "shape"
                          : declared->has_shape              ? "dtype"
                                                             : "dtype and shape";
    problem_add(problems, WFS_CODE_DTYPE_UNDECLARED, false, key, NULL, NULL,
                "has no %s yet: declare it in metadata.json, with extended attributes, or copy an .npy file",
                missing);
}

/* Bytes against dtype and shape. False: the declaration has no size at all. */
static bool inspect_size(const struct entry *entry, struct problem_list *problems)
{
    const struct declaration *declared = &entry->state.declared;
    struct key key = slot_key(entry->slot);
    uint64_t expected;
    enum wfs_code code = shape_byte_size(declared->dtype, declared->rank, declared->shape, &expected);
    auto_bytes what = BYTES_EMPTY;

    declaration_print(&what, declared);
    if (code != WFS_CODE_NONE) {
        problem_add(problems, code, false, key, NULL, NULL, "%s: %s", what.data ? what.data : "",
                    wfs_code_sentence(code));
        return false;
    }
    if (begins_like_npy(entry)) {
        problem_add(problems, WFS_CODE_NPY_IN_TENSORS, false, key, NULL, NULL,
                    "is an .npy file, not raw bytes: move it to npy/");
    } else if (entry->state.content.size != expected) {
        char wanted[32];
        char found[32];
        (void)snprintf(wanted, sizeof(wanted), "%" PRIu64, expected);
        (void)snprintf(found, sizeof(found), "%" PRIu64, entry->state.content.size);
        problem_add(problems, WFS_CODE_SIZE_MISMATCH, false, key, wanted, found,
                    "has %s bytes, expected %s for %s", found, wanted, what.data ? what.data : "");
    }
    return true;
}

static void inspect_conflict(const struct entry *entry, struct problem_list *problems)
{
    const struct declaration *by_xattr = &entry->state.by_xattr;
    const struct declaration *declared = &entry->state.declared;
    struct declaration merged = *declared;
    auto_bytes said = BYTES_EMPTY;
    auto_bytes is = BYTES_EMPTY;

    if (!entry->state.from_npy)
        return;
    if (by_xattr->dtype != WFS_DTYPE_COUNT)
        merged.dtype = by_xattr->dtype;
    if (by_xattr->has_shape) {
        merged.rank = by_xattr->rank;
        merged.shape = by_xattr->shape;
        merged.shape_size = by_xattr->shape_size;
    }
    if (declaration_same(&merged, declared))
        return;
    declaration_print(&said, &merged);
    declaration_print(&is, declared);
    if (said.data && is.data)
        problem_add(problems, WFS_CODE_NPY_CONFLICT, false, slot_key(entry->slot), is.data, said.data,
                    "its extended attributes say %s, its .npy header says %s", said.data, is.data);
}

static const char *source_of(const struct declaration *declared)
{
    switch (declared->by) {
    case DECLARED_BY_NPY:
        return "from .npy";
    case DECLARED_BY_XATTR:
        return "from extended attributes";
    case DECLARED_BY_DOCUMENT:
        return "from metadata.json";
    case DECLARED_BY_COPY:
        return "from a copy";
    case DECLARED_BY_MODEL:
    case DECLARED_BY_NOBODY:
    default:
        return "from a rename";
    }
}

static void inspect_dtype_change(const struct entry *entry, struct problem_list *problems)
{
    const struct stage *stage = entry->stage;
    struct key key = slot_key(entry->slot);
    size_t index;

    if (!base_find(stage, key, &index))
        return;
    enum wfs_dtype before = generation_tensor(stage->generation, index).dtype;
    enum wfs_dtype after = entry->state.declared.dtype;
    if (before != after)
        problem_add(problems, WFS_CODE_DTYPE_CHANGED, true, key, wfs_dtype_name(before),
                    wfs_dtype_name(after), "%s -> %s, %s", wfs_dtype_name(before), wfs_dtype_name(after),
                    source_of(&entry->state.declared));
}

bool entry_inspect(const struct entry *entry, struct problem_list *problems)
{
    inspect_trust(entry, problems);
    inspect_name(entry, problems);
    if (entry->state.draft) {
        if (content_error(entry) == 0)
            inspect_draft(entry, problems);
        return false;
    }
    if (!declaration_complete(&entry->state.declared)) {
        inspect_undeclared(entry, problems);
        return false;
    }
    inspect_conflict(entry, problems);
    inspect_dtype_change(entry, problems);
    return inspect_size(entry, problems);
}

int document_trust(const struct entry *document, struct wfs_error *err)
{
    if (content_error(document) < 0)
        return error_rule(err, WFS_CODE_SPOOL_DAMAGED,
                          "a write of its bytes failed; remove it and write it again");
    if (document->state.unsynced_lost && document->state.content.size > 0)
        return error_rule(
            err, WFS_CODE_UNSYNCED_DATA,
            "it was written but not synced before the machine went down; write it again or discard it");
    return 0;
}
