/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/words.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <string.h>

#define BACKUP_SUFFIX "~"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Unquotes the word at *from into `to` and moves both behind it. False: the quote is not closed. */
static bool take_word(const char **from, const char *end, char **to)
{
    bool quoted = false;

    for (; *from < end && (quoted || !is_blank(**from)); (*from)++) {
        if (**from == '"')
            quoted = !quoted;
        else if (quoted && **from == '\\' && *from + 1 < end)
            *(*to)++ = *++*from;
        else
            *(*to)++ = **from;
    }
    *(*to)++ = '\0';
    return !quoted;
}

static int split(const char *line, size_t length, struct words *words, struct wfs_error *err)
{
    const char *end = line + length;

    if (memchr(line, '\0', length))
        return error_rule(err, WFS_CODE_USAGE, "a command has a NUL in it");
    words->storage = malloc(2 * length + 2); /* a word needs its bytes and a NUL */
    words->word = calloc(length / 2 + 2, sizeof(char *));
    if (!words->storage || !words->word)
        return error_no_memory(err);

    char *to = words->storage;
    for (const char *from = line; from < end;) {
        if (is_blank(*from)) {
            from++;
            continue;
        }
        words->word[words->count++] = to;
        if (!take_word(&from, end, &to))
            return error_rule(err, WFS_CODE_USAGE, "a command has a quote that is not closed");
    }
    return 0;
}

int words_split(const char *line, size_t length, struct words *ret_words, struct wfs_error *err)
{
    struct words words = WORDS_NONE;

    int r = split(line, length, &words, err);
    if (r < 0)
        words_clear(&words);
    else
        *ret_words = words;
    return r;
}

void words_clear(struct words *words)
{
    free(words->storage);
    free(words->word);
    *words = WORDS_NONE;
}

static int set_layout(const char *text, struct commit_options *options, struct wfs_error *err)
{
    if (!text || layout_parse(text, &options->layout) < 0)
        return error_rule(err, WFS_CODE_USAGE, "commit: --layout takes keep, canonical or align=N");
    options->has_layout = true;
    return 0;
}

static int take_option(const char *const **word, struct commit_options *options, struct wfs_error *err)
{
    static const char backup[] = "--backup=";
    static const char layout[] = "--layout=";
    const char *text = **word;

    if (strcmp(text, "--force") == 0)
        options->force = true;
    else if (strcmp(text, "--allow-empty") == 0)
        options->allow_empty = true;
    else if (strcmp(text, "--follow") == 0)
        options->follow = true;
    else if (strcmp(text, "--replace-link") == 0)
        options->replace_link = true;
    else if (strcmp(text, "--backup") == 0)
        options->backup_suffix = BACKUP_SUFFIX;
    else if (strncmp(text, backup, strlen(backup)) == 0 && text[strlen(backup)])
        options->backup_suffix = text + strlen(backup);
    else if (strcmp(text, "--layout") == 0)
        return set_layout(*++*word, options, err); /* a NULL, the list's end, is refused there */
    else if (strncmp(text, layout, strlen(layout)) == 0)
        return set_layout(text + strlen(layout), options, err);
    else
        return error_rule(err, WFS_CODE_USAGE, "commit: there is no option '%s'",
                          printable_string(text).text);
    return 0;
}

int words_commit_options(const char *const *arguments, struct commit_options *ret_options,
                         struct wfs_error *err)
{
    *ret_options = (struct commit_options){.force = false};
    for (const char *const *word = arguments; *word; word++) {
        int r = take_option(&word, ret_options, err);
        if (r < 0)
            return r;
    }
    if (ret_options->backup_suffix && strchr(ret_options->backup_suffix, '/'))
        return error_rule(err, WFS_CODE_USAGE, "commit: a backup suffix has no '/'");
    return 0;
}
