/* SPDX-License-Identifier: Apache-2.0
 *
 * The command: finds the verb and runs it. Called as mount(8) calls a helper (`weightfs SRC DIR -o OPTIONS`,
 * or by the name mount.weightfs) it mounts.
 */
#include "base/error.h"
#include "cli/cmd.h"

#include <getopt.h>
#include <locale.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LARGE_BLOCK (1 << 20) /* above the size of a request */

/* Blocks as large as a header go back to the system when they are freed. Otherwise glibc raises that limit
 * with the first one and keeps the later ones: a daemon would hold several headers for nothing, and each of
 * its threads the largest document that it ever made. */
static void keep_no_large_blocks(void)
{
#ifdef M_MMAP_THRESHOLD
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK); // NOLINT(concurrency-mt-unsafe): before any thread
#endif
}

static bool is_mount_helper(const char *program)
{
    const char *slash = strrchr(program, '/');
    const char *name = slash ? slash + 1 : program;
    return strcmp(name, "mount.weightfs") == 0 || strcmp(name, "mount.fuse.weightfs") == 0 ||
           strcmp(name, "mount.fuse3.weightfs") == 0;
}

/* SRC and DIR with options in any order. A misspelled verb with a file looks alike, so SRC must look like a
 * path. */
static bool looks_like_a_mount(int argc, char **argv)
{
    const char *first = NULL;
    int positional = 0;
    bool has_options = false;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-o") == 0) {
            has_options = true;
            i++;
        } else if (argv[i][0] != '-') {
            first = first ? first : argv[i];
            positional++;
        }
    }
    return positional == 2 && (has_options || strchr(first, '/') || access(first, F_OK) == 0);
}

static bool asks_for_help(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        return true;
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0)
            return true;
    return false;
}

static int run_verb(const struct verb *verb, int argc, char **argv)
{
    char called[64]; /* what getopt_long() begins its sentences with */
    snprintf(called, sizeof called, "weightfs: %s", verb->name);
    if (asks_for_help(argc, argv)) {
        char *help[] = {called, argv[0], NULL};
        return cmd_help(2, help);
    }
    argv[0] = called;
    return verb->run(argc, argv);
}

static int unknown_verb(const char *name)
{
    const char *suggestion = verb_suggestion(name);
    struct printable shown = printable_string(name);

    if (suggestion)
        cmd_say("'%s' is no verb. Did you mean 'weightfs %s'?", shown.text, suggestion);
    else
        cmd_say("'%s' is no verb. 'weightfs help' lists them.", shown.text);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "C.UTF-8"); /* so that `?` in a glob is a character, whatever the user's locale */
    optind = 0;
    keep_no_large_blocks();
    signal(SIGXFSZ, SIG_IGN); /* a limit of the size of files is an error like a full disk, no sudden end */

    if (argc > 0 && is_mount_helper(argv[0]))
        return cmd_mount(argc, argv);
    if (argc < 2) {
        cmd_say("which verb? 'weightfs help' lists them.");
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return cmd_help(argc - 1, argv + 1);
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
        return cmd_version(1, argv);

    const struct verb *verb = verb_find(argv[1]);
    if (verb)
        return run_verb(verb, argc - 1, argv + 1);
    if (looks_like_a_mount(argc, argv))
        return cmd_mount(argc, argv);
    return unknown_verb(argv[1]);
}
