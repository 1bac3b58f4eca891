/* SPDX-License-Identifier: Apache-2.0
 *
 * Ownership of locals: what is declared with an auto_ macro is released at the end of its scope, take_ptr()
 * and take_fd() hand it over. errno survives a release.
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *pointer)
{
    free(*(void **)pointer);
}

static inline void cleanup_close(const int *fd)
{
    if (*fd < 0)
        return;
    int saved = errno;
    close(*fd);
    errno = saved;
}

static inline void cleanup_unlock(pthread_mutex_t *const *mutex)
{
    if (*mutex)
        pthread_mutex_unlock(*mutex);
}

static inline pthread_mutex_t *lock_mutex(pthread_mutex_t *mutex)
{
    pthread_mutex_lock(mutex);
    return mutex;
}

static inline int take_fd(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

#define auto_free  __attribute__((cleanup(cleanup_free)))
#define auto_close __attribute__((cleanup(cleanup_close)))

/* Holds `mutex` until the end of the scope. */
#define auto_lock(mutex)                auto_lock_on_line_(mutex, __LINE__)
#define auto_lock_on_line_(mutex, line) auto_lock_named_(mutex, line)
#define auto_lock_named_(mutex, line)                                                            \
    __attribute__((cleanup(cleanup_unlock), unused)) pthread_mutex_t *const scoped_lock_##line = \
        lock_mutex(mutex)

#define take_ptr(pointer)                              \
    __extension__({                                    \
        __typeof__(pointer) *taken_from_ = &(pointer); \
        __typeof__(pointer) taken_ = *taken_from_;     \
        *taken_from_ = NULL;                           \
        taken_;                                        \
    })

/* Defines cleanup_NAME for `auto_NAME`, releasing with `release` when not NULL. */
#define DEFINE_CLEANUP(type, name, release)                                                    \
    static inline void cleanup_##name(type **pointer) /* NOLINT(bugprone-macro-parentheses) */ \
    {                                                                                          \
        if (*pointer)                                                                          \
            release(*pointer);                                                                 \
    }

#endif
