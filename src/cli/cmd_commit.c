/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "cli/cmd.h"
#include "cli/model.h"

#include <getopt.h>
#include <stdio.h>

enum {
    OPTION_JSON = 1,
    OPTION_REBASE,
    OPTION_KEPT, /* handed to the commit as it was given */
};

static const struct option options[] = {
    {"json",         no_argument,       NULL, OPTION_JSON  },
    {"rebase",       no_argument,       NULL, OPTION_REBASE},
    {"force",        no_argument,       NULL, OPTION_KEPT  },
    {"allow-empty",  no_argument,       NULL, OPTION_KEPT  },
    {"backup",       optional_argument, NULL, OPTION_KEPT  },
    {"follow",       no_argument,       NULL, OPTION_KEPT  },
    {"replace-link", no_argument,       NULL, OPTION_KEPT  },
    {"layout",       required_argument, NULL, OPTION_KEPT  },
    {NULL,           0,                 NULL, 0            },
};

/* The arguments of the command `commit`, in their full form. */
struct arguments {
    size_t count;
    char **argument; /* NULL-terminated */
};

static void arguments_clear(struct arguments *arguments)
{
    for (size_t i = 0; i < arguments->count; i++)
        free(arguments->argument[i]);
    free(arguments->argument);
}

static int keep(struct arguments *arguments, const char *name, const char *value)
{
    char *text;

    if (asprintf(&text, value ? "--%s=%s" : "--%s", name, value) < 0)
        return -ENOMEM;
    arguments->argument[arguments->count++] = text;
    return 0;
}

static int commit(const char *path, const struct model_edits *edits, const struct arguments *arguments,
                  bool json)
{
    auto_model model = MODEL_NONE;

    int code = model_open(path, edits, &model);
    return code == EXIT_DONE ? model_commit(&model, (const char *const *)arguments->argument, json) : code;
}

int cmd_commit(int argc, char **argv)
{
    __attribute__((cleanup(arguments_clear))) struct arguments arguments = {
        0, calloc((size_t)argc + 1, sizeof(char *))};
    struct model_edits edits = {0};
    bool json = false;
    int which;

    for (int option; (option = getopt_long(argc, argv, "", options, &which)) != -1;) {
        if (option == OPTION_JSON)
            json = true;
        else if (option == OPTION_REBASE)
            edits.rebase = true;
        else if (option != OPTION_KEPT)
            return EXIT_USAGE;
        else if (!arguments.argument || keep(&arguments, options[which].name, optarg) < 0)
            return EXIT_SYSTEM;
    }
    if (argc - optind != 1)
        return cmd_usage("commit", "commit: which mount or file?");
    return cmd_finish(commit(argv[optind], &edits, &arguments, json));
}
