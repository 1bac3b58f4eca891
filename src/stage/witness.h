/* SPDX-License-Identifier: Apache-2.0
 *
 * What the journal remembers of the model under the edits, so that they can be taken over to another version
 * of it when this one is gone (docs/staging.md 7.4): with the first edit that depends on a tensor go its
 * dtype and shape, and a digest of its bytes. A small tensor's is made at once, a large one's by a thread
 * of low priority.
 */
#ifndef STAGE_WITNESS_H
#define STAGE_WITNESS_H

#include "stage/pending.h"

#define WITNESS_AT_ONCE (64u << 10) /* bytes of a tensor whose digest an edit waits for */

/* Adds to an edit what was not noted yet of the tensors that it depends on; stage->lock held. */
void witness_name(struct edit *edit, struct key key);
void witness_state(struct edit *edit, const struct entry_state *state);
void witness_map(struct edit *edit);

/* It goes into the journal that there is now. */
void witness_noted(struct edit *edit);

/* The edit failed: what came with it is not noted. With stage->lock held. */
void witness_undo(struct edit *edit);

/* Puts what is noted, for a journal that is written anew: the next tensor from *index on (false: there is
 * none), and the map. */
bool witness_put_next(struct stage *stage, size_t *index, struct bytes *out);
void witness_put_map(struct stage *stage, struct bytes *out);

/* A new journal notes nothing yet; the model is another one. With stage->lock held. */
void witness_forget_notes(struct stage *stage);
void witness_clear(struct stage *stage);

/* What a journal noted of this model's tensor. */
int witness_known(struct stage *stage, size_t index, bool has_digest, uint64_t digest);

/* Digests that are missing yet are made on a thread; stage->lock held. */
void witness_start(struct stage *stage);
/* Stops it, after it had up to `patience_ms` to end by itself; no lock held. */
void witness_stop(struct stage *stage, unsigned patience_ms);

/* The digest of a tensor's bytes: 0, -ECANCELED when *stop became true, or a negative errno. */
int witness_digest(struct generation *generation, size_t index, const atomic_bool *stop,
                   uint64_t *ret_digest);

#endif
