/* SPDX-License-Identifier: Apache-2.0
 *
 * What the payloads of the journal say (docs/staging.md 7.3): a list of items that are applied together.
 *
 * Writing appends items to a struct bytes; reading tells them to a struct record_sink, after every length in
 * them was checked.
 */
#ifndef STAGE_RECORD_H
#define STAGE_RECORD_H

#include "stage/pending.h"

/* The model that the edits lie upon; the first item of a journal. */
struct record_base {
    struct base_identity identity;
    char boot_id[40];
    char target[256];
};

/* A state as the journal knows it: its spool file is a number, its source tensor a name. */
struct record_state {
    struct entry_state
        state;          /* content.generation and content.spool are NULL; owned by the reader of the record */
    const char *source; /* CONTENT_SOURCE: the tensor's name */
    size_t source_length;
};

/* What is remembered of a tensor of the model that an edit depends on. */
struct record_tensor {
    const char *name;
    size_t name_length;
    struct declaration declared;
    bool has_digest;
    uint64_t digest; /* of its bytes */
};

/* Whoever reads a journal. Items whose member is NULL are checked and told to nobody. */
struct record_sink {
    void *context;
    int (*base)(void *context, const struct record_base *base);
    int (*live)(void *context, struct key key, struct record_state *state); /* may take `state` apart */
    int (*removed)(void *context, struct key key, const struct declaration *last);
    int (*forget)(void *context, struct key key);
    int (*metadata)(void *context, bool staged, const struct metadata_map *map);
    int (*intent)(void *context,
                  const struct base_identity *identity); /* a commit is about to publish this file */
    int (*drop)(void *context);                          /* everything was discarded */
    int (*notes)(void *context); /* tensors and map of the model are noted with the edits that need them */
    int (*tensor)(void *context, const struct record_tensor *tensor);
    int (*map)(void *context, const struct metadata_map *map); /* __metadata__ of the model */
};

void record_put_base(struct bytes *out, const struct record_base *base);
void record_put_live(struct bytes *out, struct key key, const struct entry_state *state);
void record_put_removed(struct bytes *out, struct key key, const struct declaration *last);
void record_put_forget(struct bytes *out, struct key key);
void record_put_metadata(struct bytes *out, bool staged, const struct metadata_map *map);
void record_put_intent(struct bytes *out, const struct base_identity *identity);
void record_put_drop(struct bytes *out);
void record_put_notes(struct bytes *out);
void record_put_tensor(struct bytes *out, const struct record_tensor *tensor);
void record_put_map(struct bytes *out, const struct metadata_map *map);

/* 0, -EIO with JOURNAL_DAMAGED, -ENOMEM, or what the sink returned. */
int record_read(const unsigned char *payload, size_t length, const struct record_sink *sink,
                struct wfs_error *err);

#endif
