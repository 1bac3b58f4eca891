/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "cli/cmd.h"
#include "cli/model.h"

#include <getopt.h>

int cmd_status(int argc, char **argv)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},
        {NULL,   0,           NULL, 0  }
    };
    struct wfs_error err = {0};
    bool json = false;

    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option != 'j')
            return EXIT_USAGE;
        json = true;
    }
    if (argc - optind > 1)
        return cmd_usage("status", "status: one mount or file at a time");

    auto_model model = MODEL_NONE;
    int code = model_open(optind < argc ? argv[optind] : ".", NULL, &model);
    if (code != EXIT_DONE)
        return code;
    int r = model_print_status(&model, json, &err);
    return cmd_finish(r < 0 ? cmd_fail(&err) : EXIT_DONE);
}
