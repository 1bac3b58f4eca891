/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/error.h"
#include "cli/cmd.h"
#include "cli/diff.h"
#include "cli/object.h"
#include "cli/paint.h"
#include "cli/source.h"
#include "cli/text.h"

#include <getopt.h>

/* Takes the diff over. */
static int show(struct json_object *diff, bool json)
{
    auto_bytes out = BYTES_EMPTY;
    bool differs = diff_differs(diff);

    if (json) {
        object_line(&out, diff);
    } else {
        diff_print(diff, &out);
        paint_status(&out, text_color(stdout));
    }
    json_object_put(diff);
    text_flush(&out);
    return differs ? EXIT_NO : EXIT_DONE;
}

static int diff_of_staging(const char *path, bool json)
{
    auto_model model = MODEL_NONE;
    struct json_object *diff = NULL;
    struct wfs_error err = {0};
    int code = model_open(path, NULL, &model);

    if (code != EXIT_DONE)
        return code;
    return diff_staged(&model, &diff, &err) < 0 ? cmd_fail(&err) : show(diff, json);
}

static int diff_of_files(char *const *paths, bool json)
{
    auto_source before = SOURCE_NONE;
    auto_source after = SOURCE_NONE;
    struct json_object *diff = NULL;
    struct wfs_error err = {0};

    if (source_open(paths[0], &before, &err) < 0 || source_open(paths[1], &after, &err) < 0)
        return cmd_fail_input(&err);
    return diff_files(before.reader, after.reader, &diff, &err) < 0 ? cmd_fail(&err) : show(diff, json);
}

int cmd_diff(int argc, char **argv)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},
        {NULL,   0,           NULL, 0  }
    };
    bool json = false;

    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option != 'j')
            return EXIT_USAGE;
        json = true;
    }
    switch (argc - optind) {
    case 1:
        return cmd_finish(diff_of_staging(argv[optind], json));
    case 2:
        return cmd_finish(diff_of_files(argv + optind, json));
    default:
        return cmd_usage("diff", "diff: which mount or file, or which two files?");
    }
}
