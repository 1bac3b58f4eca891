/* SPDX-License-Identifier: Apache-2.0
 *
 * Progress on stderr: one line redrawn on a terminal, else a line per 10 percent. Work that ends within a
 * second shows nothing. Also Ctrl-C as a question that long work asks.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct progress {
    const char *what; /* "copying"; may change between calls */
    uint64_t total;   /* bytes; 0: not known */
    uint64_t done;
    struct timespec begun;
    struct timespec shown;
    unsigned tenths; /* lines printed so far, when stderr is no terminal */
    bool is_terminal;
    bool is_drawn; /* a line on the terminal waits to be cleared */
};

void progress_begin(struct progress *progress, const char *what, uint64_t total);
void progress_set(struct progress *progress, uint64_t done);

/* A wfs_writer, image or clone callback: adds `done` to the struct progress; -ECANCELED after Ctrl-C. */
int progress_add(void *context, uint64_t done);

void progress_end(struct progress *progress);

/* From here on SIGINT, SIGTERM and SIGHUP only set a flag. */
void cancel_on_signal(void);
bool cancel_requested(void);

#endif
