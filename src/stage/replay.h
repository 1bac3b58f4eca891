/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal's records put back into the table of names, one after the other.
 */
#ifndef STAGE_REPLAY_H
#define STAGE_REPLAY_H

#include "stage/record.h"

struct replay {
    struct stage *stage;
    bool has_base;
    struct record_base base;
    bool has_intent;
    struct base_identity intent;
    bool has_lost_source; /* a state refers to a tensor that this model does not have */
};

/* A journal_replay: `context` is a struct replay whose stage is still empty. Spool files stay numbers. */
int replay_payload(void *context, const unsigned char *payload, size_t length, struct wfs_error *err);

#endif
