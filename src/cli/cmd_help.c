/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "cli/cmd.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static int help_all(void)
{
    printf("weightfs: the tensors of a safetensors model as files\n\n"
           "  weightfs VERB ...\n"
           "  weightfs SRC DIR [-o OPTIONS]    mount, as mount(8) does\n\n");
    for (size_t i = 0; verb_at(i); i++)
        printf("  %-10s  %s\n", verb_at(i)->name, verb_at(i)->summary);
    printf("\n'weightfs help VERB' explains a verb, 'weightfs help CODE' a problem (InvalidOffset).\n"
           "Exit: 0 done, 1 a problem or a no, 2 usage or bad input, 3 refused, 4 system error,\n"
           "5 replaced but perhaps not durable, 130 cancelled.\n");
    return cmd_finish(EXIT_DONE);
}

static int help_verb(const struct verb *verb)
{
    printf("weightfs %s%s%s\n\n%s.\n", verb->name, *verb->synopsis ? " " : "", verb->synopsis, verb->summary);
    if (*verb->details)
        printf("\n%s", verb->details);
    return cmd_finish(EXIT_DONE);
}

/* "F 2.6" is a section of docs/format.md, "S 4" one of docs/staging.md. */
static int help_code(enum wfs_code code)
{
    const char *section = wfs_code_section(code);

    printf("%s: %s.\n", wfs_code_name(code), wfs_code_sentence(code));
    if (*section)
        printf("docs/%s.md, section %s\n", *section == 'F' ? "format" : "staging", section + 2);
    return cmd_finish(EXIT_DONE);
}

static enum wfs_code find_code(const char *name)
{
    for (int code = WFS_CODE_NONE + 1; code < WFS_CODE_COUNT; code++)
        if (strcasecmp(wfs_code_name((enum wfs_code)code), name) == 0)
            return (enum wfs_code)code;
    return WFS_CODE_NONE;
}

static int help_unknown(const char *topic)
{
    const char *suggestion = verb_suggestion(topic);
    struct printable shown = printable_string(topic);

    if (suggestion)
        cmd_say("'%s' is neither a verb nor a code. Did you mean 'weightfs help %s'?", shown.text,
                suggestion);
    else
        cmd_say("'%s' is neither a verb nor a code. 'weightfs help' lists the verbs.", shown.text);
    return EXIT_USAGE;
}

int cmd_help(int argc, char **argv)
{
    if (argc < 2 || argv[1][0] == '-')
        return help_all();

    const struct verb *verb = verb_find(argv[1]);
    if (verb)
        return help_verb(verb);
    enum wfs_code code = find_code(argv[1]);
    return code != WFS_CODE_NONE ? help_code(code) : help_unknown(argv[1]);
}
