/* SPDX-License-Identifier: Apache-2.0
 *
 * Points in time: compared, and counted on from.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <time.h>

/* For durations and deadlines: nobody sets this clock. */
static inline struct timespec clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now;
}

/* Whether `a` is after `b`. */
static inline bool clock_is_later(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

/* `seconds` after `time`; not negative. */
static inline struct timespec clock_after(struct timespec time, double seconds)
{
    time_t whole = (time_t)seconds;
    long nanoseconds = time.tv_nsec + (long)((seconds - (double)whole) * 1e9);

    time.tv_sec += whole + nanoseconds / 1000000000;
    time.tv_nsec = nanoseconds % 1000000000;
    return time;
}

static inline double clock_seconds(const struct timespec *from, const struct timespec *to)
{
    return (double)(to->tv_sec - from->tv_sec) + (double)(to->tv_nsec - from->tv_nsec) / 1e9;
}

#endif
