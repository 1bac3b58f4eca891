/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/error.h"
#include "cli/cmd.h"
#include "cli/progress.h"
#include "cli/source.h"
#include "model/extract.h"

#include <fcntl.h>
#include <getopt.h>

DEFINE_CLEANUP(struct generation, generation, generation_unref)
#define auto_generation __attribute__((cleanup(cleanup_generation)))

static uint64_t bytes_of(const struct wfs_header *header, const struct selection *selection)
{
    uint64_t total = 0;

    for (size_t i = 0; i < selection->count; i++) {
        struct wfs_tensor tensor = wfs_header_tensor(header, selection->indices[i]);
        total += tensor.end - tensor.begin;
    }
    return total;
}

static int write_out(struct generation *generation, const char *directory, const struct selection *selection,
                     bool npy)
{
    struct progress progress;
    struct wfs_error err = {0};
    struct extract_options options = {
        .npy = npy,
        .indices = selection->indices,
        .count = selection->count,
        .observer = {.context = &progress, .progress = progress_add},
    };

    cancel_on_signal();
    progress_begin(&progress, "extracting", bytes_of(generation_header(generation), selection));
    int r = extract_model(generation, directory, &options, &err);
    progress_end(&progress);
    return r < 0 ? cmd_fail(&err) : EXIT_DONE;
}

static int extract(const char *directory, char *const *arguments, size_t count, bool npy)
{
    auto_free char *path = NULL;
    auto_generation struct generation *generation = NULL;
    struct selection selection = {0, NULL};
    struct wfs_error err = {0};

    if (source_path(arguments[0], &path, &err) < 0 ||
        generation_open(AT_FDCWD, path, HEADER_OFFICIAL, 0, &generation, &err) < 0)
        return cmd_fail_input(&err);
    int code = select_tensors(generation_header(generation), path, arguments + 1, count - 1, &selection);
    if (code == EXIT_DONE)
        code = write_out(generation, directory, &selection, npy);
    free(selection.indices);
    return code;
}

int cmd_extract(int argc, char **argv)
{
    static const struct option options[] = {
        {"directory", required_argument, NULL, 'C'},
        {"npy",       no_argument,       NULL, 'n'},
        {NULL,        0,                 NULL, 0  },
    };
    const char *directory = NULL;
    bool npy = false;

    for (int option; (option = getopt_long(argc, argv, "C:", options, NULL)) != -1;) {
        if (option == 'C')
            directory = optarg;
        else if (option == 'n')
            npy = true;
        else
            return EXIT_USAGE;
    }
    if (optind == argc || !directory)
        return cmd_usage("extract", "extract wants a file, and a directory after -C");
    return extract(directory, argv + optind, (size_t)(argc - optind), npy);
}
