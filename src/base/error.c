/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include "base/utf8.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* --- the table of rules.def ------------------------------------------------------------------- */

static const struct rule {
    const char *name;
    const char *sentence;
    const char *section;
    int errnum;
} rules[WFS_CODE_COUNT] = {

#define RULE(symbol, name, kind, errnum, sentence, section) \
    [WFS_CODE_##symbol] = {name, sentence, section, errnum},
#include <weightfs/rules.def>
#undef RULE
};

static const struct rule *rule_of(enum wfs_code code)
{
    static const struct rule none = {"", "", "", 0};
    return code > WFS_CODE_NONE && code < WFS_CODE_COUNT ? &rules[code] : &none;
}

const char *wfs_code_name(enum wfs_code code)
{
    return rule_of(code)->name;
}

const char *wfs_code_sentence(enum wfs_code code)
{
    return rule_of(code)->sentence;
}

const char *wfs_code_section(enum wfs_code code)
{
    return rule_of(code)->section;
}

enum wfs_code wfs_code_by_name(const char *name)
{
    for (unsigned code = WFS_CODE_NONE + 1; code < WFS_CODE_COUNT; code++)
        if (strcmp(rules[code].name, name) == 0)
            return (enum wfs_code)code;
    return WFS_CODE_NONE;
}

/* --- text that is safe on any terminal -------------------------------------------------------- */

#define ESCAPE_MAX 10u /* bytes of the longest escape, \U000e0001 */

/* Whether a terminal would obey the character instead of showing it, or show nothing or the rest in another
 * order. */
static bool is_unprintable(uint32_t character)
{
    static const struct {
        uint32_t first;
        uint32_t last;
    } ranges[] = {
        {0x0000,  0x001f }, /* C0 */
        {0x007f,  0x009f }, /* DEL, C1 */
        {0x061c,  0x061c }, /* Arabic letter mark */
        {0x200b,  0x200f }, /* zero width, direction marks */
        {0x2028,  0x202e }, /* line separators, bidirectional overrides */
        {0x2060,  0x206f }, /* invisible operators, bidirectional isolates */
        {0xfeff,  0xfeff }, /* byte order mark */
        {0xfff9,  0xfffb }, /* annotations */
        {0xe0000, 0xe007f}, /* tags */
    };

    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (character >= ranges[i].first && character <= ranges[i].last)
            return true;
    return false;
}

/* Writes an escape, returns its length. */
static size_t escape_character(uint32_t character, char escape[ESCAPE_MAX + 1])
{
    switch (character) {
    case '\n':
        return (size_t)snprintf(escape, ESCAPE_MAX + 1, "\\n");
    case '\r':
        return (size_t)snprintf(escape, ESCAPE_MAX + 1, "\\r");
    case '\t':
        return (size_t)snprintf(escape, ESCAPE_MAX + 1, "\\t");
    default:
        break;
    }
    if (character < 0x80)
        return (size_t)snprintf(escape, ESCAPE_MAX + 1, "\\x%02x", (unsigned)character);
    if (character < 0x10000)
        return (size_t)snprintf(escape, ESCAPE_MAX + 1, "\\u%04x", (unsigned)character);
    return (size_t)snprintf(escape, ESCAPE_MAX + 1, "\\U%08x", (unsigned)character);
}

/* The printable form of the character at `bytes`: writes it, returns its length, *ret_used the bytes that it
 * stands for. */
static size_t printable_character(const char *bytes, size_t length, const char *quoted,
                                  char out[ESCAPE_MAX + 1], size_t *ret_used)
{
    uint32_t character = 0;
    size_t used = utf8_character(bytes, length, &character);
    *ret_used = used ? used : 1;
    if (used == 0)
        return (size_t)snprintf(out, ESCAPE_MAX + 1, "\\x%02x", (unsigned)(unsigned char)bytes[0]);
    if (is_unprintable(character))
        return escape_character(character, out);
    size_t escaped = character < 0x80 && strchr(quoted, (int)character) ? 1 : 0;
    out[0] = '\\';
    memcpy(out + escaped, bytes, used);
    return escaped + used;
}

struct printable printable(const void *bytes, size_t length)
{
    static const char dots[] = "...";
    struct printable result;
    const char *input = bytes;
    size_t filled = 0;
    size_t cut = 0; /* where the dots go should there be no room for all */
    for (size_t at = 0, used; at < length; at += used) {
        char shown[ESCAPE_MAX + 1];
        size_t size = printable_character(input + at, length - at, "\\'", shown, &used);
        if (filled + size >= sizeof result.text) {
            memcpy(result.text + cut, dots, sizeof dots);
            return result;
        }
        memcpy(result.text + filled, shown, size);
        filled += size;
        if (filled + sizeof dots <= sizeof result.text)
            cut = filled;
    }
    result.text[filled] = '\0';
    return result;
}

struct printable printable_string(const char *string)
{
    return printable(string, strlen(string));
}

/* --- the finished sentence -------------------------------------------------------------------- */

#define TEXT_MAX (sizeof((struct wfs_error *)NULL)->text - 1)
#define RAW_SIZE 4096u

/* Cuts the middle out of a text that is too long: its beginning says where, its end says what. */
static void cut_middle(char *text, size_t limit)
{
    size_t length = strlen(text);
    if (length <= limit)
        return;
    size_t head = limit / 3;
    for (int i = 0; i < 3 && utf8_is_continuation(text[head]); i++)
        head--;
    size_t tail = length - (limit - head - 3);
    for (int i = 0; i < 3 && utf8_is_continuation(text[tail]); i++)
        tail++;
    memset(text + head, '.', 3);
    memmove(text + head + 3, text + tail, length - tail + 1);
}

/* Makes `raw` (which is changed) the error's text. */
static void set_text(struct wfs_error *err, char *raw)
{
    char clean[(TEXT_MAX + 1) * ESCAPE_MAX] = "";
    cut_middle(raw, TEXT_MAX);
    size_t length = strlen(raw);
    size_t filled = 0;
    for (size_t at = 0, used; at < length; at += used)
        filled += printable_character(raw + at, length - at, "", clean + filled, &used);
    clean[filled] = '\0';
    cut_middle(clean, TEXT_MAX);
    memcpy(err->text, clean, strlen(clean) + 1);
}

int error_rule(struct wfs_error *err, enum wfs_code code, const char *format, ...)
{
    int errnum = rule_of(code)->errnum;
    assert(errnum > 0);
    if (!err)
        return -errnum;
    char raw[RAW_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(raw, sizeof raw, format, arguments);
    va_end(arguments);
    err->errnum = errnum;
    err->code = code;
    set_text(err, raw);
    return -errnum;
}

static enum wfs_code code_of_errno(int errnum)
{
    switch (errnum) {
    case ENOSPC:
    case EDQUOT:
        return WFS_CODE_NO_SPACE;
    case EROFS:
        return WFS_CODE_READ_ONLY;
    case EBUSY:
        return WFS_CODE_BUSY;
    default:
        return WFS_CODE_IO_FAILED;
    }
}

int error_errno(struct wfs_error *err, int errnum, const char *format, ...)
{
    assert(errnum > 0);
    if (!err)
        return -errnum;
    char raw[RAW_SIZE + 128];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(raw, RAW_SIZE, format, arguments);
    va_end(arguments);
    const char *words = strerrordesc_np(errnum);
    size_t length = strlen(raw);
    if (words)
        snprintf(raw + length, sizeof raw - length, ": %s", words);
    else
        snprintf(raw + length, sizeof raw - length, ": error %d", errnum);
    err->errnum = errnum;
    err->code = code_of_errno(errnum);
    set_text(err, raw);
    return -errnum;
}

int error_no_memory(struct wfs_error *err)
{
    if (err)
        *err = (struct wfs_error){ENOMEM, WFS_CODE_IO_FAILED, "out of memory"};
    return -ENOMEM;
}

void error_prefix(struct wfs_error *err, const char *format, ...)
{
    if (!err)
        return;
    char raw[RAW_SIZE + sizeof err->text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(raw, RAW_SIZE, format, arguments);
    va_end(arguments);
    memcpy(raw + strlen(raw), err->text, strlen(err->text) + 1);
    set_text(err, raw);
}

void error_suffix(struct wfs_error *err, const char *words)
{
    if (!err)
        return;
    char raw[RAW_SIZE + sizeof err->text];
    snprintf(raw, sizeof raw, "%s%s", err->text, words);
    set_text(err, raw);
}
