/* SPDX-License-Identifier: Apache-2.0
 *
 * What status.json says of the check, commit or discard that ran last, turned into sentences, an object and
 * an exit code. The same whether a daemon wrote the object or this process did.
 */
#ifndef CLI_OUTCOME_H
#define CLI_OUTCOME_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_object;

/* From the text of status.json, which is used up; NULL: it is none. Paths in it are the bytes that they are.
 */
struct json_object *outcome_parse(struct bytes *json);
void outcome_free(struct json_object *status); /* NULL allowed */

/* "idle", "running", "failed", "cancelled", "done". Never NULL. */
const char *outcome_state(struct json_object *status);

/* Of a commit that runs: "planning", "copying", ... Never NULL. */
const char *outcome_phase(struct json_object *status);
uint64_t outcome_bytes_done(struct json_object *status);
uint64_t outcome_bytes_total(struct json_object *status);

/* Each problem on a line of stderr. Returns how many errors (no warnings) there were. */
size_t outcome_print_problems(struct json_object *status);

/* The object of `check --json` and `commit --json`, on stdout. */
void outcome_print_json(struct json_object *status);

/* Of the bytes that it would copy and share, those that a file system which shares blocks would not copy. */
uint64_t outcome_clonable(struct json_object *status);

/* What the commit that was checked would cost, in bytes. */
void outcome_cost(struct json_object *status, uint64_t *ret_cloned, uint64_t *ret_written);

/* How a commit ended: EXIT_DONE, EXIT_NO, ... */
int outcome_of_commit(struct json_object *status);

/* The exit code that belongs to the first error among the problems; EXIT_NO when there is none. */
int outcome_of_problems(struct json_object *status);

/* Whether anything ran yet. */
bool outcome_has_last(struct json_object *status);

/* Other members; NULL or 0 when they are not there. */
const char *outcome_source(struct json_object *status);
const char *outcome_staging_directory(struct json_object *status);
size_t outcome_change_count(struct json_object *status);
int outcome_pid(struct json_object *status);

#endif
