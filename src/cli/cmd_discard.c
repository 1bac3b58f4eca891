/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd.h"
#include "cli/model.h"

#include <getopt.h>

int cmd_discard(int argc, char **argv)
{
    static const struct option options[] = {
        {NULL, 0, NULL, 0}
    };
    struct wfs_error err = {0};

    if (getopt_long(argc, argv, "", options, NULL) != -1)
        return EXIT_USAGE;
    if (argc - optind < 1)
        return cmd_usage("discard", "discard: which mount or file?");

    auto_model model = MODEL_NONE;
    int code = model_open(argv[optind], &(struct model_edits){.discard = argc - optind == 1}, &model);
    if (code != EXIT_DONE)
        return code;
    int r = model_discard(&model, argv + optind + 1, (size_t)(argc - optind - 1), &err);
    return r < 0 ? cmd_fail(&err) : EXIT_DONE;
}
