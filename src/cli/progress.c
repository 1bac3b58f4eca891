/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include "base/clock.h"
#include "cli/text.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define QUIET_SECONDS  1.0
#define REDRAW_SECONDS 0.1

/* The one thing that a signal handler may touch. */
static volatile sig_atomic_t cancelled;

void progress_begin(struct progress *progress, const char *what, uint64_t total)
{
    *progress = (struct progress){.what = what, .total = total, .is_terminal = isatty(STDERR_FILENO)};
    progress->begun = clock_now();
    progress->shown = progress->begun;
}

static unsigned tenths_done(const struct progress *progress)
{
    return progress->total ? (unsigned)((double)progress->done / (double)progress->total * 10) : 0;
}

static void draw(struct progress *progress, double elapsed)
{
    if (progress->done >= progress->total) { /* nothing is copied yet, or any more */
        fprintf(stderr, "\r%s\033[K", progress->what);
        fflush(stderr);
        progress->is_drawn = true;
        return;
    }
    double rate = elapsed > 0 ? (double)progress->done / elapsed : 0;
    struct text_size done = text_size(progress->done);
    struct text_size total = text_size(progress->total);
    struct text_size speed = text_size((uint64_t)rate);

    fprintf(stderr, "\r%s %s of %s, %s/s\033[K", progress->what, done.text, total.text, speed.text);
    fflush(stderr);
    progress->is_drawn = true;
}

static void print_tenths(struct progress *progress)
{
    unsigned tenths = tenths_done(progress);
    if (tenths <= progress->tenths)
        return;

    struct text_size done = text_size(progress->done);
    struct text_size total = text_size(progress->total);
    fprintf(stderr, "%s %u%% (%s of %s)\n", progress->what, tenths * 10, done.text, total.text);
    progress->tenths = tenths;
}

void progress_set(struct progress *progress, uint64_t done)
{
    const struct timespec now = clock_now();
    double elapsed = clock_seconds(&progress->begun, &now);

    progress->done = done;
    if (elapsed < QUIET_SECONDS)
        return;
    if (!progress->is_terminal) {
        print_tenths(progress);
    } else if (clock_seconds(&progress->shown, &now) >= REDRAW_SECONDS) {
        draw(progress, elapsed);
        progress->shown = now;
    }
}

int progress_add(void *context, uint64_t done)
{
    struct progress *progress = context;

    progress_set(progress, progress->done + done);
    return cancel_requested() ? -ECANCELED : 0;
}

void progress_end(struct progress *progress)
{
    if (progress->is_drawn)
        fputs("\r\033[K", stderr);
    progress->is_drawn = false;
}

static void on_signal(int number)
{
    (void)number;
    cancelled = 1;
}

void cancel_on_signal(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

bool cancel_requested(void)
{
    return cancelled != 0;
}
