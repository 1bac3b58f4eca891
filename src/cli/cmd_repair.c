/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "cli/cmd.h"
#include "cli/progress.h"
#include "model/repair.h"

#include <getopt.h>
#include <stdio.h>

struct account {
    struct printable file;
    size_t mended;
};

static void print_mended(void *context, const char *sentence)
{
    struct account *account = context;

    account->mended++;
    printf("%s: mended: %s\n", account->file.text, sentence);
}

static int on_progress(void *context, uint64_t written, uint64_t total)
{
    struct progress *progress = context;

    progress->total = total;
    progress_set(progress, written);
    return cancel_requested();
}

static int repair(const char *from, const char *to, bool replace)
{
    struct account account = {.file = printable_string(from)};
    struct progress progress;
    struct repair_options options = {
        .replace = replace,
        .report = print_mended,
        .context = &account,
        .progress = on_progress,
        .progress_context = &progress,
    };
    struct wfs_error err = {0};

    cancel_on_signal();
    progress_begin(&progress, "repairing", 0);
    int r = repair_file(from, to, &options, &err);
    progress_end(&progress);
    if (r < 0)
        return cmd_fail(&err);
    if (account.mended == 0)
        printf("%s: nothing to mend\n", account.file.text);
    if (r == 1)
        cmd_say("%s", err.text);
    return cmd_finish(r == 1 ? EXIT_DURABILITY : EXIT_DONE);
}

int cmd_repair(int argc, char **argv)
{
    static const struct option options[] = {
        {"force", no_argument, NULL, 'f'},
        {NULL,    0,           NULL, 0  },
    };
    bool replace = false;

    for (int option; (option = getopt_long(argc, argv, "f", options, NULL)) != -1;) {
        if (option != 'f')
            return EXIT_USAGE;
        replace = true;
    }
    if (argc - optind != 2)
        return cmd_usage("repair", "repair wants the file to read and the file to write");
    return repair(argv[optind], argv[optind + 1], replace);
}
