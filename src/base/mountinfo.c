/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mountinfo.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>

/* The fields of a line: ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAG...] - TYPE SOURCE SUPER */
struct line {
    unsigned major, minor;
    char *point;
    char *type;
    char *source;
};

/* Blanks and backslashes are written \ooo. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from; to++) {
        if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] && from[3]) {
            *to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

/* "0:41" */
static bool read_device(const char *text, struct line *line)
{
    char *end;

    line->major = (unsigned)strtoul(text, &end, 10);
    if (end == text || *end != ':')
        return false;
    const char *minor = end + 1;
    line->minor = (unsigned)strtoul(minor, &end, 10);
    return end != minor && *end == '\0';
}

static bool line_split(char *text, struct line *line)
{
    char *rest = text;
    char *field[5] = {NULL};

    for (size_t i = 0; i < 5; i++)
        field[i] = strsep(&rest, " ");
    if (!field[4] || !rest)
        return false;
    char *tail = strstr(rest, " - ");
    if (!tail || !read_device(field[2], line))
        return false;
    tail += 3;
    line->point = field[4];
    line->type = strsep(&tail, " ");
    line->source = strsep(&tail, " ");
    if (!line->source)
        return false;
    unescape(line->point);
    unescape(line->source);
    return true;
}

static bool covers(const char *point, const char *path, bool exact)
{
    if (exact)
        return strcmp(point, path) == 0;
    size_t length = strlen(point);
    if (length == 1)
        return true;
    return strncmp(point, path, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static int keep(struct mountinfo *mount, const struct line *line)
{
    mountinfo_clear(mount);
    mount->major = line->major;
    mount->minor = line->minor;
    mount->point = strdup(line->point);
    mount->type = strdup(line->type);
    mount->source = strdup(line->source);
    return mount->point && mount->type && mount->source ? 0 : -ENOMEM;
}

static int find_in(FILE *file, const char *path, bool exact, struct mountinfo *mount)
{
    auto_free char *text = NULL;
    size_t capacity = 0;
    int r = -ENOENT;

    while (getline(&text, &capacity, file) > 0) {
        struct line line;
        text[strcspn(text, "\n")] = '\0';
        if (!line_split(text, &line) || !covers(line.point, path, exact))
            continue;
        if (mount->point && strlen(line.point) < strlen(mount->point))
            continue;
        r = keep(mount, &line);
        if (r < 0)
            return r;
    }
    return r;
}

int mountinfo_find(const char *path, bool exact, struct mountinfo *ret_mount)
{
    struct mountinfo mount = MOUNTINFO_NONE;
    FILE *file = fopen("/proc/self/mountinfo", "re");
    if (!file)
        return -errno;

    int r = find_in(file, path, exact, &mount);
    fclose(file);
    if (r < 0)
        mountinfo_clear(&mount);
    else
        *ret_mount = mount;
    return r;
}

void mountinfo_clear(struct mountinfo *mount)
{
    free(mount->point);
    free(mount->type);
    free(mount->source);
    *mount = MOUNTINFO_NONE;
}
