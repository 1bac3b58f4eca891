/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "cli/cmd.h"
#include "cli/progress.h"
#include "format/encode.h"
#include "model/pack.h"

#include <getopt.h>

static int print_problem(void *context, const struct wfs_problem *problem)
{
    const char *directory = context;

    cmd_say("%s: %s%s", printable_string(directory).text, problem->is_warning ? "warning: " : "",
            problem->message);
    return 0;
}

static int on_progress(void *context, uint64_t written, uint64_t total)
{
    struct progress *progress = context;

    progress->total = total;
    progress_set(progress, written);
    return cancel_requested();
}

static int write_file(const struct folder *folder, const char *path, struct pack_options *options)
{
    struct progress progress;
    struct wfs_error err = {0};

    cancel_on_signal();
    progress_begin(&progress, "packing", 0);
    options->progress = on_progress;
    options->context = &progress;
    int r = pack_folder(folder, path, options, &err);
    progress_end(&progress);
    if (r == 1) {
        cmd_say("%s", err.text);
        return EXIT_DURABILITY;
    }
    return r < 0 ? cmd_fail(&err) : EXIT_DONE;
}

static int pack(char *directory, const char *path, struct pack_options *options)
{
    struct folder folder;
    struct wfs_error err = {0};
    int code = EXIT_NO;

    int r = folder_open(directory, print_problem, directory, &folder, &err);
    if (r < 0)
        code = cmd_fail_input(&err);
    else if (folder.error_count == 0)
        code = write_file(&folder, path, options);
    folder_close(&folder);
    return code;
}

int cmd_pack(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"layout", required_argument, NULL, 'l'},
        {"crc",    no_argument,       NULL, 'c'},
        {"force",  no_argument,       NULL, 'f'},
        {NULL,     0,                 NULL, 0  },
    };
    struct pack_options options = {0};
    struct layout layout;

    for (int option; (option = getopt_long(argc, argv, "f", long_options, NULL)) != -1;) {
        if (option == 'l')
            options.layout = optarg;
        else if (option == 'c')
            options.crc = true;
        else if (option == 'f')
            options.replace = true;
        else
            return EXIT_USAGE;
    }
    if (argc - optind != 2)
        return cmd_usage("pack", "pack wants a directory and the file to write");
    if (options.layout && layout_parse(options.layout, &layout) < 0)
        return cmd_usage("pack", "--layout knows keep, canonical and align=N (a power of two from 8 on)");
    return pack(argv[optind], argv[optind + 1], &options);
}
