/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/paint.h"

#include <string.h>

#define RED    "\033[31m"
#define GREEN  "\033[32m"
#define YELLOW "\033[33m"
#define PLAIN  "\033[0m"

static const struct {
    const char *beginning;
    const char *color;
} colors[] = {
    {"  added ",       GREEN },
    {"  replaced ",    GREEN },
    {"  patched ",     GREEN },
    {"  renamed ",     GREEN },
    {"  declared ",    GREEN },
    {"  metadata ",    GREEN },
    {"  removed ",     RED   },
    {"problem: ",      RED   },
    {"warning: ",      YELLOW},
    {"last commit f",  RED   },
    {"last commit w",  RED   },
    {"last refusal: ", RED   },
};

static const char *color_of(const char *line, size_t length)
{
    for (size_t i = 0; i < sizeof(colors) / sizeof(colors[0]); i++) {
        size_t beginning = strlen(colors[i].beginning);
        if (length >= beginning && memcmp(line, colors[i].beginning, beginning) == 0)
            return colors[i].color;
    }
    return NULL;
}

void paint_status(struct bytes *text, bool color)
{
    auto_bytes painted = BYTES_EMPTY;

    if (!color || text->failed)
        return;
    for (size_t at = 0; at < text->length;) {
        const char *line = text->data + at;
        const char *end = memchr(line, '\n', text->length - at);
        size_t length = end ? (size_t)(end - line) : text->length - at;
        const char *paint = color_of(line, length);
        if (paint)
            bytes_string(&painted, paint);
        bytes_append(&painted, line, length);
        bytes_string(&painted, paint ? PLAIN "\n" : "\n");
        at += length + 1;
    }
    if (painted.failed)
        return; /* black and white, then */
    text->length = 0;
    bytes_append(text, painted.data, painted.length);
}
