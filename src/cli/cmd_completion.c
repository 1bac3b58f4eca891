/* SPDX-License-Identifier: Apache-2.0
 *
 * Completion scripts: verbs first, then their long options, files, and after the file of a verb that reads
 * one, its tensors.
 */
#include "base/error.h"
#include "cli/cmd.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* The long options that a verb's texts mention: "--json --strict". */
static void print_options(const char *text, const char *separator)
{
    for (const char *at = strstr(text, "--"); at; at = strstr(at, "--")) {
        size_t length = 2;
        while (isalpha((unsigned char)at[length]) || at[length] == '-')
            length++;
        if (length > 2)
            printf("%s%.*s", separator, (int)length, at);
        at += length;
    }
}

/* Names come from a file: compgen -W would run a command that stands in one. */
static void print_bash(void)
{
    printf("_weightfs() {\n"
           "    local word=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]} options=\n"
           "    COMPREPLY=()\n"
           "    if [ \"$COMP_CWORD\" = 1 ]; then\n"
           "        COMPREPLY=($(compgen -W '");
    for (size_t i = 0; verb_at(i); i++)
        printf("%s%s", i ? " " : "", verb_at(i)->name);
    printf("' -- \"$word\"))\n"
           "        return\n"
           "    fi\n"
           "    case $verb in\n");
    for (size_t i = 0; verb_at(i); i++) {
        printf("        %s) options='", verb_at(i)->name);
        print_options(verb_at(i)->synopsis, " ");
        print_options(verb_at(i)->details, " ");
        printf("' ;;\n");
    }
    printf("    esac\n"
           "    case $verb:$COMP_CWORD:$word in\n"
           "        *:-*) COMPREPLY=($(compgen -W \"$options\" -- \"$word\")) ;;\n"
           "        cat:3:* | ls:[3-9]:*)\n"
           "            local name\n"
           "            while IFS=' ' read -r _ _ _ name; do\n"
           "                if [[ $name == \"$word\"* ]]; then COMPREPLY+=(\"$name\"); fi\n"
           "            done < <(weightfs ls -b -- \"${COMP_WORDS[2]}\" 2>/dev/null)\n"
           "            ;;\n"
           "        *) mapfile -t COMPREPLY < <(compgen -f -- \"$word\") ;;\n"
           "    esac\n"
           "}\n"
           "complete -o filenames -F _weightfs weightfs\n");
}

static void print_fish(void)
{
    printf("complete -c weightfs -n __fish_use_subcommand -f\n");
    for (size_t i = 0; verb_at(i); i++)
        printf("complete -c weightfs -n __fish_use_subcommand -a %s -d '%s'\n", verb_at(i)->name,
               verb_at(i)->summary);
}

static void print_zsh(void)
{
    printf("#compdef weightfs\n_weightfs() {\n    local -a verbs=(\n");
    for (size_t i = 0; verb_at(i); i++)
        printf("        '%s:%s'\n", verb_at(i)->name, verb_at(i)->summary);
    printf("    )\n"
           "    if (( CURRENT == 2 )); then _describe verb verbs; else _files; fi\n"
           "}\n"
           "compdef _weightfs weightfs\n");
}

int cmd_completion(int argc, char **argv)
{
    static const struct {
        const char *shell;
        void (*print)(void);
    } shells[] = {
        {"bash", print_bash},
        {"fish", print_fish},
        {"zsh",  print_zsh }
    };

    if (argc != 2)
        return cmd_usage("completion", "completion wants the name of a shell: bash, fish or zsh");
    for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++) {
        if (strcmp(shells[i].shell, argv[1]) == 0) {
            shells[i].print();
            return cmd_finish(EXIT_DONE);
        }
    }
    return cmd_usage("completion", "there is no completion for '%s'", printable_string(argv[1]).text);
}
