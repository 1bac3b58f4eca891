/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/source.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "cli/cmd.h"
#include "cli/mounted.h"
#include "cli/outcome.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define EXTENSION       ".safetensors"
#define INDEX_EXTENSION ".safetensors.index.json"

static char *join_path(const char *directory, const char *name)
{
    char *path = NULL;

    return asprintf(&path, "%s/%s", directory, name) < 0 ? NULL : path;
}

/* --- a mounted directory ------------------------------------------------------------------------------ */

static char *source_of_status(struct bytes *text)
{
    struct json_object *status = outcome_parse(text);
    const char *source = outcome_source(status);
    char *path = source ? strdup(source) : NULL;

    outcome_free(status);
    return path;
}

static bool is_same_directory(const char *a, const char *b)
{
    struct stat a_stat;
    struct stat b_stat;

    return stat(a, &a_stat) == 0 && stat(b, &b_stat) == 0 && a_stat.st_dev == b_stat.st_dev &&
           a_stat.st_ino == b_stat.st_ino;
}

/* The source of the mount whose mount point `given` is, malloc'd; NULL in *ret_path: it is none. The status
 * is read before the path is touched: it is what gives a daemon up that does not answer. */
static int mounted_source(const char *given, char **ret_path, struct wfs_error *err)
{
    auto_mountinfo mount = MOUNTINFO_NONE;
    auto_bytes status = BYTES_EMPTY;

    if (mounted_find(given, &mount) < 0)
        return 0;
    int r = mounted_read(&mount, "status.json", &status, err);
    if (r == 0 && is_same_directory(given, mount.point))
        *ret_path = source_of_status(&status);
    return r;
}

/* --- a directory that holds a model ------------------------------------------------------------------- */

static bool ends_in(const char *name, const char *ending)
{
    size_t length = strlen(name);
    size_t ending_length = strlen(ending);

    return length > ending_length && strcmp(name + length - ending_length, ending) == 0;
}

struct found_models {
    char *name; /* of the first one, malloc'd */
    size_t count;
    bool has_index;
};

static int find_models(const char *directory, struct found_models *found)
{
    DIR *stream = opendir(directory);

    if (!stream)
        return -errno;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is our own
    for (struct dirent *entry = readdir(stream); entry; entry = readdir(stream)) {
        if (entry->d_name[0] == '.')
            continue;
        found->has_index = found->has_index || ends_in(entry->d_name, INDEX_EXTENSION);
        if (ends_in(entry->d_name, EXTENSION) && found->count++ == 0)
            found->name = strdup(entry->d_name);
    }
    closedir(stream);
    return found->count > 0 && !found->name ? -ENOMEM : 0;
}

static int model_in_directory(const char *directory, char **ret_path, struct wfs_error *err)
{
    struct found_models found = {NULL, 0, false};
    struct printable shown = printable_string(directory);

    int r = find_models(directory, &found);
    auto_free char *name = found.name;
    if (r < 0)
        return error_errno(err, -r, "%s: cannot be read", shown.text);
    if (found.has_index)
        return error_rule(err, WFS_CODE_USAGE, "%s: is a sharded model: name one of its files", shown.text);
    if (found.count != 1)
        return error_rule(err, WFS_CODE_USAGE, "%s: is a directory with %s: name a file", shown.text,
                          found.count ? "several safetensors files" : "no safetensors file");
    *ret_path = join_path(directory, name);
    return *ret_path ? 0 : error_no_memory(err);
}

int source_path(const char *given, char **ret_path, struct wfs_error *err)
{
    auto_free char *path = NULL;
    struct stat st;

    int r = mounted_source(given, &path, err);
    if (r < 0)
        return r;
    if (!path && stat(given, &st) != 0)
        return error_errno(err, errno, "%s: cannot be opened", printable_string(given).text);
    bool is_itself = !path && !S_ISDIR(st.st_mode);
    if (is_itself)
        path = strdup(given);
    else if (!path)
        r = model_in_directory(given, &path, err);
    if (r == 0 && !path)
        return error_no_memory(err);
    if (r == 0 && !is_itself)
        cmd_say("%s stands for %s", printable_string(given).text, printable_string(path).text);
    if (r == 0)
        *ret_path = take_ptr(path);
    return r;
}

int source_open(const char *given, struct source *ret_source, struct wfs_error *err)
{
    struct source source = SOURCE_NONE;
    int r = source_path(given, &source.path, err);

    if (r == 0)
        r = wfs_reader_open(source.path, 0, &source.reader, err);
    if (r < 0)
        source_close(&source);
    else
        *ret_source = source;
    return r;
}

void source_close(struct source *source)
{
    wfs_reader_close(source->reader);
    free(source->path);
    *source = SOURCE_NONE;
}
