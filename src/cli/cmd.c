/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void say(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));

static void say(const char *format, va_list arguments)
{
    fflush(stdout);
    fputs("weightfs: ", stderr);
    vfprintf(stderr, format, arguments);
}

void cmd_say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

int cmd_usage(const char *verb, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
    fprintf(stderr, " ('weightfs help %s' explains)\n", verb);
    return EXIT_USAGE;
}

int cmd_exit_code_of_errno(int errnum)
{
    switch (errnum) {
    case 0:
        return EXIT_DONE;
    case EINVAL:
        return EXIT_NO;
    case EOPNOTSUPP:
        return EXIT_USAGE;
    case EBUSY:
    case ESTALE:
    case EROFS:
    case EPERM:
    case EEXIST:
        return EXIT_REFUSED;
    case ECANCELED:
    case EINTR:
        return EXIT_CANCELLED;
    default:
        return EXIT_SYSTEM;
    }
}

static bool is_format_rule(enum wfs_code code)
{
    return code >= WFS_CODE_HEADER_TOO_SMALL && code <= WFS_CODE_STRICT_NULL_METADATA;
}

int cmd_exit_code(const struct wfs_error *err)
{
    if (is_format_rule(err->code) || err->code == WFS_CODE_USAGE || err->code == WFS_CODE_WRITER_MISUSE)
        return EXIT_USAGE;
    if (err->code == WFS_CODE_NOT_FOUND)
        return EXIT_NO;
    switch (err->errnum) {
    case EPERM: /* the kernel's own EPERM is no rule of ours */
        return err->code == WFS_CODE_NOT_PERMITTED ? EXIT_REFUSED : EXIT_SYSTEM;
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
        return EXIT_USAGE;
    default:
        return cmd_exit_code_of_errno(err->errnum);
    }
}

int cmd_fail(const struct wfs_error *err)
{
    cmd_say("%s", err->text);
    return cmd_exit_code(err);
}

int cmd_fail_input(const struct wfs_error *err)
{
    cmd_say("%s", err->text);
    switch (err->errnum) {
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case EIO:
        return EXIT_SYSTEM;
    case ESTALE:
        return EXIT_REFUSED;
    default:
        return EXIT_USAGE;
    }
}

int cmd_finish(int code)
{
    errno = 0;
    bool failed = fflush(stdout) != 0;
    int errnum = errno;

    if (!failed && !ferror(stdout))
        return code;
    if (errnum == EPIPE)
        return code;
    cmd_say("cannot write to standard output: %s",
            errnum ? strerrordesc_np(errnum) : "an earlier write failed");
    return code == EXIT_DONE ? EXIT_SYSTEM : code;
}
