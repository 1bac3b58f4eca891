/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/error.h"
#include "mount/mount.h"

#include <stdio.h>
#include <string.h>

#define THREADS_MAX 64u

/* What mount(8) and fstab say to every file system, or to the tools that read it, and means nothing here. */
static const char *const ignored[] = {"rw",
                                      "defaults",
                                      "_netdev",
                                      "auto",
                                      "noauto",
                                      "user",
                                      "nouser",
                                      "users",
                                      "owner",
                                      "group",
                                      "nofail",
                                      "relatime",
                                      "norelatime",
                                      "strictatime",
                                      "nostrictatime",
                                      "nodiratime",
                                      "diratime",
                                      "lazytime",
                                      "nolazytime",
                                      "silent",
                                      "loud",
                                      "nonempty",
                                      "default_permissions",
                                      "atime",
                                      NULL};
static const char *const ignored_prefixes[] = {
    "x-", "X-", "comment=", "user=", "subtype=", "max_read=", NULL};

/* Handed to libfuse as they are. */
static const char *const passed[] = {"allow_other", "allow_root", "auto_unmount", "suid",   "nosuid",
                                     "dev",         "nodev",      "exec",         "noexec", "sync",
                                     "async",       "dirsync",    "noatime",      NULL};

static const struct {
    const char *name;
    size_t member; /* a bool of struct mount_options */
} switches[] = {
    {"ro",              offsetof(struct mount_options, read_only)      },
    {"create",          offsetof(struct mount_options, create)         },
    {"follow",          offsetof(struct mount_options, follow)         },
    {"replace_link",    offsetof(struct mount_options, replace_link)   },
    {"discard_staging", offsetof(struct mount_options, discard_staging)},
    {"rebase",          offsetof(struct mount_options, rebase)         },
    {"accept_unsynced", offsetof(struct mount_options, accept_unsynced)},
    {"no_passthrough",  offsetof(struct mount_options, no_passthrough) },
    {"drop_behind",     offsetof(struct mount_options, drop_behind)    },
    {"debug",           offsetof(struct mount_options, debug)          },
};

static bool is_in(const char *const *list, const char *text)
{
    for (; *list; list++)
        if (strcmp(*list, text) == 0)
            return true;
    return false;
}

static bool begins_with_one_of(const char *const *list, const char *text)
{
    for (; *list; list++)
        if (strncmp(*list, text, strlen(*list)) == 0)
            return true;
    return false;
}

static bool set_switch(const char *text, struct mount_options *options)
{
    for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++) {
        if (strcmp(switches[i].name, text) != 0)
            continue;
        *(bool *)((char *)options + switches[i].member) = true;
        return true;
    }
    return false;
}

/* A number of that base, all of the text; false when it is none or above `limit`. */
static bool read_number(const char *text, int base, unsigned limit, unsigned *ret_number)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    unsigned long value = strtoul(text, &end, base);
    if (errno || *end || value > limit)
        return false;
    *ret_number = (unsigned)value;
    return true;
}

static int set_value(const char *name, const char *value, struct mount_options *options,
                     struct wfs_error *err)
{
    if (strcmp(name, "staging") == 0 && *value) {
        options->staging = value;
        return 1;
    }
    if (strcmp(name, "output") == 0 && *value) {
        options->output = value;
        return 1;
    }
    if (strcmp(name, "tolerate") == 0) {
        options->tolerate_stsw = strcmp(value, "stsw") == 0;
        return options->tolerate_stsw ? 1 : error_rule(err, WFS_CODE_USAGE, "-o tolerate= takes stsw");
    }
    if (strcmp(name, "max_threads") == 0) {
        bool good = read_number(value, 10, THREADS_MAX, &options->max_threads) && options->max_threads > 0;
        return good ? 1
                    : error_rule(err, WFS_CODE_USAGE, "-o max_threads= takes a number from 1 to %u",
                                 THREADS_MAX);
    }
    if (strcmp(name, "staging_mode") == 0) {
        bool good = read_number(value, 8, 0777, &options->staging_mode);
        return good
                   ? 1
                   : error_rule(err, WFS_CODE_USAGE, "-o staging_mode= takes octal permission bits, as 0770");
    }
    return 0;
}

/* Appends to the list for libfuse, in `end`, escaped again. */
static void pass(const char *text, char **end)
{
    *(*end)++ = ',';
    for (; *text; text++) {
        if (*text == ',' || *text == '\\')
            *(*end)++ = '\\';
        *(*end)++ = *text;
    }
    **end = '\0';
}

static int take(char *text, struct mount_options *options, char **passed_end, struct wfs_error *err)
{
    if (*text == '\0' || is_in(ignored, text) || begins_with_one_of(ignored_prefixes, text) ||
        set_switch(text, options))
        return 0;
    if (is_in(passed, text) || strncmp(text, "fsname=", strlen("fsname=")) == 0) {
        pass(text, passed_end);
        return 0;
    }
    char *equals = strchr(text, '=');
    if (equals) {
        *equals = '\0';
        int r = set_value(text, equals + 1, options, err);
        if (r != 0)
            return r < 0 ? r : 0;
        *equals = '=';
    }
    return error_rule(err, WFS_CODE_USAGE, "there is no mount option '%s'", printable_string(text).text);
}

/* Cuts the next option off at a comma that has no backslash before it, and unescapes it in place. NULL at the
 * end. */
static char *next_option(char **rest)
{
    char *from = *rest;
    char *option = from;
    char *to = from;

    if (!from)
        return NULL;
    for (; *from && *from != ','; from++) {
        if (from[0] == '\\' && (from[1] == ',' || from[1] == '\\'))
            from++;
        *to++ = *from;
    }
    *rest = *from ? from + 1 : NULL;
    *to = '\0';
    return option;
}

int mount_options_parse(const char *list, struct mount_options *options, struct wfs_error *err)
{
    size_t length = strlen(list);
    char *option;

    /* the options, and behind them what libfuse is to get: never longer than twice the list */
    char *storage = malloc(3 * length + 4);
    if (!storage)
        return error_no_memory(err);
    memcpy(storage, list, length + 1);
    options->storage = storage;

    char *passed_begin = storage + length + 1;
    char *passed_end = passed_begin;
    char *rest = storage;
    while ((option = next_option(&rest))) {
        int r = take(option, options, &passed_end, err);
        if (r < 0)
            return r;
    }
    if (passed_end > passed_begin)
        options->fuse_options = passed_begin + 1;
    return 0;
}

void mount_options_clear(struct mount_options *options)
{
    free(options->storage);
    options->storage = NULL;
}
