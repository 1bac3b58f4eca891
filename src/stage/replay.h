/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal's records put back into the table of names, one after the other.
 */
#ifndef STAGE_REPLAY_H
#define STAGE_REPLAY_H

#include "stage/record.h"

/* A tensor of the model that the edits were made against. */
struct replay_witness {
    char *name;
    size_t name_length;
    struct declaration declared;
    bool has_digest;
    uint64_t digest;
    size_t order; /* the last word counts */
};

struct replay {
    struct stage *stage;
    bool has_base;
    struct record_base base;
    bool has_intent;
    struct base_identity intent;
    bool has_notes; /* the journal notes what edits depend on: */
    struct replay_witness *witnesses;
    size_t witness_count, witness_capacity;
    bool has_map;
    struct metadata_map map; /* __metadata__ of that model */
};

/* The index of a tensor that this model does not have, in a state that takes its bytes from there. */
#define INDEX_LOST SIZE_MAX

void replay_clear(struct replay *replay);
/* Sorts them by name; the last word on each stays. */
void replay_sort_witnesses(struct replay *replay);
const struct replay_witness *replay_find_witness(const struct replay *replay, const char *name,
                                                 size_t length);

/* A journal_replay: `context` is a struct replay whose stage is still empty. Spool files stay numbers. */
int replay_payload(void *context, const unsigned char *payload, size_t length, struct wfs_error *err);

#endif
