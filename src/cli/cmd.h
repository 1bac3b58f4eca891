/* SPDX-License-Identifier: Apache-2.0
 *
 * What every verb of the command shares: its signature, the exit codes, and how it says that something went
 * wrong.
 *
 * A verb is `int cmd_VERB(int argc, char **argv)`: argv[0] is "weightfs: VERB", with which getopt_long()
 * begins its own sentences; the return value is the exit code. Sentences go to stderr as `weightfs:
 * SENTENCE`; stdout holds nothing but the answer.
 */
#ifndef CLI_CMD_H
#define CLI_CMD_H

#include <stdbool.h>
#include <stddef.h>

#include <weightfs/error.h>

/* docs/man/weightfs.1, EXIT STATUS */
enum exit_code {
    EXIT_DONE = 0,    /* done, or nothing to do */
    EXIT_NO = 1,      /* problems found; a "no" */
    EXIT_USAGE = 2,   /* usage, unknown command, unreadable or invalid input */
    EXIT_REFUSED = 3, /* busy, changed underneath, read-only, exists already: the circumstances forbid it */
    EXIT_SYSTEM = 4,  /* no space, I/O error, permission: nothing changed */
    EXIT_DURABILITY = 5, /* replaced, but a power loss may bring the old file back */
    EXIT_CANCELLED = 130,
};

struct verb {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *synopsis; /* what follows `weightfs NAME ` */
    const char *summary;  /* one line of `weightfs help` */
    const char *details;  /* further lines of `weightfs help NAME`: options and examples; "" for none */
};

/* verbs.c */
const struct verb *verb_find(const char *name); /* NULL: there is none */
const struct verb *verb_at(size_t index);       /* in the order of the help text; NULL after the last */
const char *verb_suggestion(const char *name);  /* the verb that was meant, or NULL */

int cmd_mount(int argc, char **argv);
int cmd_umount(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_diff(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_commit(int argc, char **argv);
int cmd_discard(int argc, char **argv);
int cmd_ls(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_cat(int argc, char **argv);
int cmd_extract(int argc, char **argv);
int cmd_pack(int argc, char **argv);
int cmd_verify(int argc, char **argv);
int cmd_repair(int argc, char **argv);
int cmd_selftest(int argc, char **argv);
int cmd_completion(int argc, char **argv);
int cmd_help(int argc, char **argv);
int cmd_version(int argc, char **argv);

/* Prints `weightfs: SENTENCE` on stderr. Arguments must be fit for a terminal: names and paths go through
 * printable(). */
void cmd_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints the sentence, and in its end where the verb is explained; EXIT_USAGE. */
int cmd_usage(const char *verb, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints err->text and returns the exit code that belongs to it. */
int cmd_fail(const struct wfs_error *err);

/* The same where the error came from opening or reading what the user named: EXIT_USAGE whatever the errno,
 * unless the machine is at fault (no memory, no descriptors, I/O error). */
int cmd_fail_input(const struct wfs_error *err);

/* The exit code of an error, and of the errno (positive) that a write to `control` answered. */
int cmd_exit_code(const struct wfs_error *err);
int cmd_exit_code_of_errno(int errnum);

/* After the last output: flushes stdout and tells when it could not be written (a closed pipe is nobody's
 * fault). Returns `code`, or EXIT_SYSTEM. */
int cmd_finish(int code);

#endif
