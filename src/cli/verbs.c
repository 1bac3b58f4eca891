/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of verbs, and the guess at the one that was meant.
 */
#include "cli/cmd.h"

#include <stdint.h>
#include <string.h>

#define LENGTH_OF(array) (sizeof(array) / sizeof((array)[0]))

#ifndef WFS_MOUNT
int cmd_mount(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    cmd_say("this build has no mount: it was made with WEIGHTFS_MOUNT=OFF");
    return EXIT_USAGE;
}
#endif

static const struct verb verbs[] = {
#define VERB(name, synopsis, summary, details) {#name, cmd_##name, synopsis, summary, details},
#include "cli/verbs.def"
#undef VERB
};

/* What people call it elsewhere. */
static const struct {
    const char *said;
    const char *meant;
} synonyms[] = {
    {"list",     "ls"     },
    {"dir",      "ls"     },
    {"keys",     "ls"     },
    {"tensors",  "ls"     },
    {"info",     "inspect"},
    {"stat",     "inspect"},
    {"show",     "inspect"},
    {"header",   "inspect"},
    {"metadata", "inspect"},
    {"dump",     "cat"    },
    {"get",      "cat"    },
    {"read",     "cat"    },
    {"unpack",   "extract"},
    {"export",   "extract"},
    {"split",    "extract"},
    {"create",   "pack"   },
    {"import",   "pack"   },
    {"save",     "commit" },
    {"apply",    "commit" },
    {"write",    "commit" },
    {"validate", "verify" },
    {"lint",     "verify" },
    {"test",     "verify" },
    {"fsck",     "verify" },
    {"fix",      "repair" },
    {"convert",  "repair" },
    {"unmount",  "umount" },
    {"stop",     "umount" },
    {"start",    "mount"  },
    {"open",     "mount"  },
    {"revert",   "discard"},
    {"reset",    "discard"},
    {"undo",     "discard"},
    {"compare",  "diff"   },
    {"cmp",      "diff"   },
};

const struct verb *verb_at(size_t index)
{
    return index < LENGTH_OF(verbs) ? &verbs[index] : NULL;
}

const struct verb *verb_find(const char *name)
{
    for (size_t i = 0; i < LENGTH_OF(verbs); i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

#define WORD_MAX 16u

static unsigned least_of(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;
    return least < c ? least : c;
}

/* How many letters must be changed, put in, left out or swapped with their neighbour. */
static unsigned typing_distance(const char *a, const char *b)
{
    unsigned distance[WORD_MAX + 1][WORD_MAX + 1];
    size_t rows = strlen(a);
    size_t columns = strlen(b);

    if (rows > WORD_MAX || columns > WORD_MAX)
        return WORD_MAX;
    for (size_t i = 0; i <= rows; i++) {
        for (size_t j = 0; j <= columns; j++) {
            if (i == 0 || j == 0) {
                distance[i][j] = (unsigned)(i + j);
                continue;
            }
            distance[i][j] = least_of(distance[i - 1][j] + 1, distance[i][j - 1] + 1,
                                      distance[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                distance[i][j] = least_of(distance[i][j], distance[i - 2][j - 2] + 1, WORD_MAX);
        }
    }
    return distance[rows][columns];
}

const char *verb_suggestion(const char *name)
{
    const char *best = NULL;
    unsigned best_distance = strlen(name) > 3 ? 3 : 2; /* a distance below this is a typing error */

    for (size_t i = 0; i < LENGTH_OF(synonyms); i++)
        if (strcmp(synonyms[i].said, name) == 0)
            return synonyms[i].meant;
    for (size_t i = 0; i < LENGTH_OF(verbs); i++) {
        unsigned distance = typing_distance(name, verbs[i].name);
        if (distance < best_distance) {
            best_distance = distance;
            best = verbs[i].name;
        }
    }
    return best;
}
