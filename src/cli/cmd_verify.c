/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/error.h"
#include "cli/cmd.h"
#include "cli/progress.h"
#include "cli/source.h"
#include "cli/text.h"

#include <getopt.h>
#include <string.h>
#include <sys/stat.h>

#include <weightfs/reader.h>
#include <weightfs/verify.h>

struct verification {
    struct wfs_verify_options options;
    bool json;
    const char *file;
    struct bytes out; /* the line of a file; goes out in pieces, its problems may be millions */
    bool has_problem; /* one stands in it */
};

#define OUT_PIECE 65536u

static void add_problem(struct verification *verification, const struct wfs_problem *problem)
{
    if (verification->has_problem)
        bytes_char(&verification->out, ',');
    verification->has_problem = true;
    json_problem(&verification->out, problem);
    if (verification->out.length >= OUT_PIECE)
        text_flush(&verification->out);
}

static int print_problem(void *context, const struct wfs_problem *problem)
{
    struct verification *verification = context;

    if (verification->json) {
        add_problem(verification, problem);
        return 0;
    }
    cmd_say("%s: %s%s", printable_string(verification->file).text, problem->is_warning ? "warning: " : "",
            problem->message);
    return 0;
}

static void begin_json(struct verification *verification)
{
    verification->has_problem = false;
    bytes_char(&verification->out, '{');
    json_path(&verification->out, "file", verification->file);
    json_key(&verification->out, "problems");
    bytes_char(&verification->out, '[');
}

static void end_json(struct verification *verification, const struct wfs_verdict *verdict,
                     const struct wfs_error *err)
{
    struct bytes *out = &verification->out;

    if (err) {
        struct wfs_problem unreadable = {.code = err->code, .offset = -1, .message = err->text};
        add_problem(verification, &unreadable);
    }
    bytes_char(out, ']');
    json_boolean(out, "valid", verdict->is_valid);
    json_string(out, "error", verdict->official ? wfs_code_name(verdict->official) : NULL);
    json_string(out, "kind", verdict->kind);
    json_u64(out, "tensor_count", verdict->tensor_count);
    json_u64(out, "checksums", verdict->crc_count);
    bytes_string(out, "}\n");
    text_flush(out);
}

static void print_verdict(const struct verification *verification, const struct wfs_verdict *verdict)
{
    struct printable file = printable_string(verification->file);

    if (verdict->kind)
        cmd_say("%s: this is %s", file.text, verdict->kind);
    if (!verdict->is_valid)
        return;
    printf("%s: ok, %zu tensor%s", file.text, verdict->tensor_count, verdict->tensor_count == 1 ? "" : "s");
    if (verdict->crc_count > 0)
        printf(", %zu checksum%s compared", verdict->crc_count, verdict->crc_count == 1 ? "" : "s");
    putchar('\n');
}

static int on_progress(void *context, uint64_t done, uint64_t total)
{
    struct progress *progress = context;

    progress->total = total;
    progress_set(progress, done);
    return cancel_requested();
}

static int verify_file(struct verification *verification)
{
    struct wfs_verdict verdict = {0};
    struct wfs_error err = {0};
    struct progress progress;

    if (verification->json)
        begin_json(verification);
    progress_begin(&progress, "verifying", 0);
    verification->options.progress = on_progress;
    verification->options.context = &progress;
    int r = wfs_verify_path(verification->file, &verification->options, print_problem, verification, &verdict,
                            &err);
    progress_end(&progress);
    if (verification->json && r != -ECANCELED)
        end_json(verification, &verdict, r < 0 ? &err : NULL);
    bytes_clear(&verification->out);
    if (r < 0)
        return r == -ECANCELED ? cmd_fail(&err) : cmd_fail_input(&err);
    if (!verification->json)
        print_verdict(verification, &verdict);
    return verdict.is_valid ? EXIT_DONE : EXIT_NO;
}

/* A directory stands for the model in it; whatever else is wrong with the path is for the verdict to say. */
static int verify_named(struct verification *verification, const char *given)
{
    auto_free char *path = NULL;
    struct wfs_error err = {0};
    struct stat st;

    verification->file = given;
    if (stat(given, &st) == 0 && S_ISDIR(st.st_mode)) {
        if (source_path(given, &path, &err) < 0)
            return cmd_fail_input(&err);
        verification->file = path;
    }
    return verify_file(verification);
}

int cmd_verify(int argc, char **argv)
{
    static const struct option options[] = {
        {"strict",   no_argument,       NULL, 's'},
        {"crc",      no_argument,       NULL, 'c'},
        {"tolerate", required_argument, NULL, 't'},
        {"json",     no_argument,       NULL, 'j'},
        {NULL,       0,                 NULL, 0  },
    };
    struct verification verification = {.out = BYTES_EMPTY};
    int worst = EXIT_DONE;

    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 's')
            verification.options.flags |= WFS_READ_STRICT;
        else if (option == 'c')
            verification.options.crc = 1;
        else if (option == 'j')
            verification.json = true;
        else if (option == 't' && strcmp(optarg, "stsw") == 0)
            verification.options.flags |= WFS_READ_STSW;
        else if (option == 't')
            return cmd_usage("verify", "--tolerate knows 'stsw' only");
        else
            return EXIT_USAGE;
    }
    if (optind == argc)
        return cmd_usage("verify", "which file?");
    cancel_on_signal();
    for (int i = optind; i < argc && worst != EXIT_CANCELLED; i++) {
        int code = verify_named(&verification, argv[i]);
        worst = code > worst ? code : worst;
    }
    return cmd_finish(worst);
}
