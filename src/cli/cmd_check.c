/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "cli/cmd.h"
#include "cli/model.h"
#include "cli/outcome.h"
#include "cli/text.h"

#include <getopt.h>
#include <stdio.h>

/* "ext4": what the model lies on, and the new file will. */
static const char *file_system_of(struct json_object *status, struct mountinfo *mount)
{
    const char *source = outcome_source(status);

    return source && mountinfo_find(source, false, mount) == 0 ? mount->type : "this file system";
}

static void print_cost(struct json_object *status)
{
    auto_mountinfo mount = MOUNTINFO_NONE;
    uint64_t cloned;
    uint64_t written;

    outcome_cost(status, &cloned, &written);
    if (cloned > 0)
        printf("ok: a commit would write %s and share %s\n", text_size(written).text, text_size(cloned).text);
    else if (outcome_clonable(status) > 0)
        printf("ok: a commit would write %s: %s cannot clone; on XFS or btrfs %s\n", text_size(written).text,
               file_system_of(status, &mount), text_size(written - outcome_clonable(status)).text);
    else
        printf("ok: a commit would write %s\n", text_size(written).text);
}

static int check(struct model *model, bool json)
{
    struct json_object *status = NULL;
    struct wfs_error err = {0};

    int checked = model_check(model, &err);
    if (checked < 0 && checked != -EINVAL && checked != -EIO)
        return cmd_fail(&err);
    int r = model_status(model, &status, &err);
    if (r < 0)
        return cmd_fail(&err);
    outcome_print_problems(status);
    if (json)
        outcome_print_json(status);
    else if (checked == 0)
        print_cost(status);
    int code = checked == 0 ? EXIT_DONE : outcome_of_problems(status);
    outcome_free(status);
    return code;
}

int cmd_check(int argc, char **argv)
{
    static const struct option options[] = {
        {"json",   no_argument, NULL, 'j'},
        {"rebase", no_argument, NULL, 'r'},
        {NULL,     0,           NULL, 0  }
    };
    struct model_edits edits = {0};
    bool json = false;

    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == '?')
            return EXIT_USAGE;
        json |= option == 'j';
        edits.rebase |= option == 'r';
    }
    if (argc - optind != 1)
        return cmd_usage("check", "check: which mount or file?");

    auto_model model = MODEL_NONE;
    int code = model_open(argv[optind], &edits, &model);
    return cmd_finish(code == EXIT_DONE ? check(&model, json) : code);
}
