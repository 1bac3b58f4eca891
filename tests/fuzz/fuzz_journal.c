/* SPDX-License-Identifier: Apache-2.0
 *
 * The input is a journal of staged edits. Whatever it holds, it is replayed as far as it is good, or refused
 * with a sentence; what is kept is replayed the same way again. A checksum stops nearly every change of the
 * input, so that the input's own bytes are read as a record's payload, too.
 */
#include "base/cleanup.h"
#include "fuzz/fuzz.h"
#include "stage/record.h"

#include <errno.h>

static void must_be_key(struct key key)
{
    MUST(key.name || key.length == 0);
    MUST(strchr("thrnsm", (int)key.space));
}

static void must_be_declaration(const struct declaration *declaration)
{
    auto_bytes out = BYTES_EMPTY;
    MUST(declaration->dtype <= WFS_DTYPE_COUNT);
    declaration_print(&out, declaration);
    MUST(out.length > 0);
}

static int see_base(void *context, const struct record_base *base)
{
    ++*(size_t *)context;
    MUST(strlen(base->boot_id) < sizeof base->boot_id && strlen(base->target) < sizeof base->target);
    return 0;
}

static int see_live(void *context, struct key key, struct record_state *record)
{
    ++*(size_t *)context;
    must_be_key(key);
    must_be_declaration(&record->state.declared);
    must_be_declaration(&record->state.by_xattr);
    MUST(record->state.content.kind <= CONTENT_SPOOL && !record->state.content.generation);
    MUST(!record->state.origin || record->state.origin[record->state.origin_length] == '\0');
    return 0;
}

static int see_removed(void *context, struct key key, const struct declaration *last)
{
    ++*(size_t *)context;
    must_be_key(key);
    must_be_declaration(last);
    return 0;
}

static int see_forget(void *context, struct key key)
{
    ++*(size_t *)context;
    must_be_key(key);
    return 0;
}

static int see_metadata(void *context, bool staged, const struct metadata_map *map)
{
    struct metadata_map copy = {0};
    ++*(size_t *)context;
    (void)staged;
    MUST(metadata_copy(&copy, map) == 0 && metadata_same(&copy, map));
    metadata_clear(&copy);
    return 0;
}

static int see_intent(void *context, const struct base_identity *identity)
{
    ++*(size_t *)context;
    MUST(base_identity_equal(identity, identity));
    return 0;
}

static int see_drop(void *context)
{
    ++*(size_t *)context;
    return 0;
}

static int see_notes(void *context)
{
    ++*(size_t *)context;
    return 0;
}

static int see_tensor(void *context, const struct record_tensor *tensor)
{
    ++*(size_t *)context;
    MUST(tensor->name || tensor->name_length == 0);
    must_be_declaration(&tensor->declared);
    return 0;
}

static int see_map(void *context, const struct metadata_map *map)
{
    return see_metadata(context, false, map);
}

static int see_record(void *context, const unsigned char *payload, size_t length, struct wfs_error *err)
{
    const struct record_sink sink = {context,    see_base, see_live,  see_removed, see_forget, see_metadata,
                                     see_intent, see_drop, see_notes, see_tensor,  see_map};
    int r = record_read(payload, length, &sink, err);
    MUST(r == 0 || (r == -EIO && err->code == WFS_CODE_JOURNAL_DAMAGED));
    return r;
}

static int scan(const uint8_t *bytes, size_t size, size_t *items, size_t *ret_good)
{
    struct wfs_error err = {0, WFS_CODE_NONE, ""};
    auto_free unsigned char *copy = fuzz_copy(bytes, size, 0);
    *items = 0;
    int r = journal_scan(copy, size, see_record, items, ret_good, &err);
    MUST(r == 0 || (r == -EIO && err.code == WFS_CODE_JOURNAL_DAMAGED && err.text[0]));
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    size_t items;
    size_t again;
    size_t good;
    size_t good_again;
    struct wfs_error err;
    if (scan(bytes, size, &items, &good) == 0) {
        MUST(good <= size);
        MUST(scan(bytes, good, &again, &good_again) == 0 && again == items && good_again == good);
    }
    auto_free unsigned char *payload = fuzz_copy(bytes, size, 0);
    (void)see_record(&items, payload, size, &err);
    return 0;
}
