/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/target.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int join(const char *directory, const char *name, char **ret_path)
{
    const char *separator = strcmp(directory, "/") == 0 ? "" : "/";
    return asprintf(ret_path, "%s%s%s", directory, separator, name) < 0 ? -ENOMEM : 0;
}

static int fail(const char *path, int errnum, struct wfs_error *err)
{
    return error_errno(err, errnum, "%s", printable_string(path).text);
}

/* The directory of a path, resolved, and its last component; what the last component is does not matter. */
static int split_path(const char *path, char **ret_directory, char **ret_name, struct wfs_error *err)
{
    auto_free char *copy = strdup(path);
    if (!copy)
        return error_no_memory(err);
    size_t length = strlen(copy);
    while (length > 1 && copy[length - 1] == '/')
        copy[--length] = '\0';

    char *slash = strrchr(copy, '/');
    const char *base = slash ? slash + 1 : copy;
    if (*base == '\0' || strcmp(base, ".") == 0 || strcmp(base, "..") == 0)
        return fail(path, EISDIR, err);
    auto_free char *name = strdup(base);
    if (slash)
        slash[slash == copy ? 1 : 0] = '\0';
    auto_free char *directory = realpath(slash ? copy : ".", NULL);
    if (!name)
        return error_no_memory(err);
    if (!directory)
        return fail(path, errno, err);
    *ret_directory = take_ptr(directory);
    *ret_name = take_ptr(name);
    return 0;
}

/* Splits an absolute path and opens its directory. */
static int open_place(const char *path, int *ret_dirfd, char **ret_name, struct wfs_error *err)
{
    auto_free char *directory = NULL;
    auto_free char *name = NULL;
    int r = split_path(path, &directory, &name, err);
    if (!directory || !name)
        return r;
    int fd = open(directory, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(directory, errno, err);
    *ret_dirfd = fd;
    *ret_name = take_ptr(name);
    return 0;
}

/* Where the last component is not resolved: a file to create or an output. */
static int resolve_new(const char *path, char **ret_path, struct wfs_error *err)
{
    auto_free char *directory = NULL;
    auto_free char *name = NULL;
    int r = split_path(path, &directory, &name, err);
    if (!directory || !name)
        return r;
    return join(directory, name, ret_path) < 0 ? error_no_memory(err) : 0;
}

static int resolve_source(const struct stage_target_request *request, struct stage_target *target,
                          struct wfs_error *err)
{
    struct stat st;

    if (request->create) {
        if (lstat(request->source, &st) == 0)
            return error_rule(err, WFS_CODE_TARGET_EXISTS, "%s: exists already; mount it without --create",
                              printable_string(request->source).text);
        return resolve_new(request->source, &target->source, err);
    }
    target->source = realpath(request->source, NULL);
    return target->source ? 0 : fail(request->source, errno, err);
}

static int resolve_link(const char *source, struct stage_target *target, struct wfs_error *err)
{
    struct stat st;

    if (lstat(source, &st) < 0)
        return fail(source, errno, err);
    if (!S_ISLNK(st.st_mode))
        return 0;
    int r = resolve_new(source, &target->link, err);
    return !target->link ? r : open_place(target->link, &target->link_dirfd, &target->link_name, err);
}

/* A directory that need not be there yet. */
static int resolve_staging(const char *given, struct stage_target *target, struct wfs_error *err)
{
    struct stat st;

    target->staging = realpath(given, NULL);
    if (target->staging && strcmp(target->staging, "/") == 0)
        return error_rule(err, WFS_CODE_USAGE, "the root directory cannot be a staging directory");
    if (target->staging)
        return 0;
    if (errno == ENOENT && lstat(given, &st) == 0)
        return error_rule(err, WFS_CODE_USAGE, "the staging directory %s is a link to nothing",
                          printable_string(given).text);
    return errno == ENOENT ? resolve_new(given, &target->staging, err) : fail(given, errno, err);
}

static int resolve(const struct stage_target_request *request, struct stage_target *target,
                   struct wfs_error *err)
{
    int r = resolve_source(request, target, err);
    if (target->source && request->staging)
        r = resolve_staging(request->staging, target, err);
    if (!target->source || r < 0)
        return r;
    if (request->output) {
        target->is_output = true;
        r = resolve_new(request->output, &target->path, err);
    } else {
        target->path = strdup(target->source);
        if (!target->path)
            return error_no_memory(err);
        if (!request->create)
            r = resolve_link(request->source, target, err);
    }
    return r < 0 || !target->path ? r : open_place(target->path, &target->dirfd, &target->name, err);
}

int stage_target_resolve(const struct stage_target_request *request, struct stage_target *ret_target,
                         struct wfs_error *err)
{
    struct stage_target target = STAGE_TARGET_NONE;

    int r = resolve(request, &target, err);
    if (r < 0)
        stage_target_clear(&target);
    else
        *ret_target = target;
    return r;
}

void stage_target_clear(struct stage_target *target)
{
    cleanup_close(&target->dirfd);
    cleanup_close(&target->link_dirfd);
    free(target->source);
    free(target->name);
    free(target->path);
    free(target->link);
    free(target->link_name);
    free(target->staging);
    *target = STAGE_TARGET_NONE;
}

void stage_target_describe(const struct stage_target *target, struct stage_options *options)
{
    options->path = target->path;
    options->link = target->link;
    options->link_dirfd = target->link_dirfd;
    options->link_name = target->link_name;
    options->output = target->is_output;
    options->staging = target->staging;
}
