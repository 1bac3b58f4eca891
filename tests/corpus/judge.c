/* SPDX-License-Identifier: Apache-2.0
 *
 * judge FILE...: a line for each: the first error, all errors, all errors under --strict; names separated by
 * commas, "ok" for none.
 */
#include "base/cleanup.h"
#include "format/header.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct seen {
    bool codes[WFS_CODE_COUNT];
};

static int note(void *context, const struct wfs_problem *problem)
{
    struct seen *seen = context;
    seen->codes[problem->code] = true;
    return 0;
}

static void print(const struct seen *seen)
{
    const char *separator = " ";
    for (unsigned code = WFS_CODE_NONE + 1; code < WFS_CODE_COUNT; code++) {
        if (!seen->codes[code])
            continue;
        printf("%s%s", separator, wfs_code_name((enum wfs_code)code));
        separator = ",";
    }
    if (*separator == ' ')
        printf(" ok");
}

/* All problems; those of the first eight bytes are the only ones where there are any. */
static void check(const unsigned char *bytes, size_t size, unsigned mode)
{
    struct seen seen = {{false}};
    struct wfs_error err = {0, WFS_CODE_NONE, ""};
    auto_header struct wfs_header *header = NULL;
    uint64_t length = 0;
    if (header_length(bytes, size, size, &length, &err) < 0) {
        seen.codes[err.code] = true;
    } else {
        char *json = malloc(length + 1);
        if (!json)
            abort();
        memcpy(json, bytes + HEADER_PREFIX, length);
        int r = header_check(json, length, size, mode, note, &seen, &header);
        if ((r == 0) != (header != NULL))
            abort();
    }
    print(&seen);
}

static void judge(const char *path)
{
    static unsigned char bytes[1 << 16];
    FILE *file = fopen(path, "rb");
    if (!file)
        exit(1);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    struct wfs_error err = {0, WFS_CODE_NONE, ""};
    auto_header struct wfs_header *header = NULL;
    int r = wfs_header_parse(bytes, size, size, &header, &err);
    printf("%s", r == 0 ? "ok" : wfs_code_name(err.code));
    check(bytes, size, HEADER_OFFICIAL);
    check(bytes, size, HEADER_STRICT);
    printf(" %s\n", err.text);
}

int main(int count, char **paths)
{
    for (int i = 1; i < count; i++)
        judge(paths[i]);
    return 0;
}
