/* SPDX-License-Identifier: Apache-2.0
 *
 * The command that mends a problem.
 */
#include "format/name.h"
#include "stage/report.h"

#include <string.h>

/* In a command: %m the model as verbs take it, %s the source file, %t and %n the tensor's file in tensors/
 * and npy/, %g its name, %d the document. Quoted for a shell where that is needed. */
static const struct {
    enum wfs_code code;
    const char *command;
} remedies[] = {
    {WFS_CODE_DTYPE_UNDECLARED,
     "setfattr -n user.safetensors.dtype -v DTYPE %t; setfattr -n user.safetensors.shape -v '[N]' %t"            },
    {WFS_CODE_DTYPE_UNKNOWN,       "setfattr -n user.safetensors.dtype -v DTYPE %t"                              },
    {WFS_CODE_SIZE_MISMATCH,       "setfattr -n user.safetensors.shape -v '[N]' %t, or: weightfs discard %m %g"  },
    {WFS_CODE_VALIDATION_OVERFLOW, "setfattr -n user.safetensors.shape -v '[N]' %t"                              },
    {WFS_CODE_MISALIGNED_SLICE,    "setfattr -n user.safetensors.shape -v '[N]' %t"                              },
    {WFS_CODE_HEADER_TOO_LARGE,    "weightfs discard %m"                                                         },
    {WFS_CODE_NPY_INVALID,         "weightfs discard %m %g"                                                      },
    {WFS_CODE_NPY_INCOMPLETE,      "cp FILE.npy %n, or: weightfs discard %m %g"                                  },
    {WFS_CODE_NPY_IN_TENSORS,      "mv %t /tmp/x.npy; mv /tmp/x.npy %n"                                          },
    {WFS_CODE_NPY_CONFLICT,        "setfattr -x user.safetensors.dtype %t; setfattr -x user.safetensors.shape %t"},
    {WFS_CODE_DOCUMENT_INVALID,    "rm %d"                                                                       },
    {WFS_CODE_NAME_UNKNOWN,        "setfattr -n user.safetensors.name -v NAME %t"                                },
    {WFS_CODE_NAME_RESERVED,       "weightfs discard %m %g"                                                      },
    {WFS_CODE_UNSYNCED_DATA,       "weightfs discard %m %g"                                                      },
    {WFS_CODE_SPOOL_DAMAGED,       "rm %t"                                                                       },
    {WFS_CODE_NO_TENSORS,          "weightfs commit --allow-empty %m"                                            },
    {WFS_CODE_DTYPE_CHANGED,       "weightfs discard %m %g"                                                      },
    {WFS_CODE_SCRATCH_FILE,        "weightfs discard %m %g"                                                      },
    {WFS_CODE_LAYOUT_CHANGED,      "weightfs commit --layout canonical %m"                                       },
    {WFS_CODE_TENSOR_MISSING,      "cp FILE %t"                                                                  },
    {WFS_CODE_FORMAT_KEY_MISSING,  "jq '.__metadata__.format=\"pt\"' %d | sponge %d"                             },
    {WFS_CODE_BUSY,                "weightfs status %m"                                                          },
    {WFS_CODE_SOURCE_CHANGED,      "weightfs umount %m; weightfs mount --rebase %s DIR"                          },
    {WFS_CODE_READ_ONLY,           "weightfs mount -o staging=DIR %s DIR"                                        },
    {WFS_CODE_TARGET_EXISTS,       "weightfs commit --force %m"                                                  },
    {WFS_CODE_NOT_PERMITTED,       "weightfs mount -o output=PATH %s DIR"                                        },
    {WFS_CODE_NO_SPACE,            "df -h %s"                                                                    },
    {WFS_CODE_IO_FAILED,           "weightfs commit %m"                                                          },
    {WFS_CODE_CANCELLED,           "weightfs commit %m"                                                          },
    {WFS_CODE_JOURNAL_DAMAGED,     "weightfs mount --discard-staging %s DIR"                                     },
};

static bool is_plain(const char *text)
{
    return text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+./:%@=,")] ==
               '\0' &&
           text[0] != '-';
}

static bool is_harmless(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7f || *text == '\'' || *text == '\\')
            return false;
    return true;
}

/* As a shell reads it; what a terminal would obey is shown escaped, as bash's $'...' takes it. */
static void put_word(struct bytes *out, const char *text)
{
    if (text[0] && is_plain(text)) {
        bytes_string(out, text);
        return;
    }
    if (is_harmless(text)) {
        bytes_printf(out, "'%s'", text);
        return;
    }
    bytes_string(out, "$'");
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte < 0x20 || byte >= 0x7f)
            bytes_printf(out, "\\x%02x", byte);
        else if (byte == '\'' || byte == '\\')
            bytes_printf(out, "\\%c", byte);
        else
            bytes_char(out, (char)byte);
    }
    bytes_char(out, '\'');
}

struct subject {
    const struct problem *problem;
    const char *mountpoint, *source;
};

static void put_path(struct bytes *out, const struct subject *subject, const char *directory,
                     const char *ending)
{
    char file_name[FILE_NAME_BUFFER] = "NAME";
    auto_bytes path = BYTES_EMPTY;

    if (subject->problem->code == WFS_CODE_NAME_UNKNOWN &&
        subject->problem->tensor) /* known by its file name */
        memcpy(file_name, subject->problem->tensor, subject->problem->tensor_length + 1);
    else if (subject->problem->tensor)
        name_encode(subject->problem->tensor, subject->problem->tensor_length, file_name);
    bytes_string(&path, subject->mountpoint ? subject->mountpoint : "DIR");
    bytes_string(&path, directory);
    if (*ending != '/')
        bytes_string(&path, file_name);
    bytes_string(&path, ending + (*ending == '/'));
    bytes_char(&path, '\0');
    put_word(out, path.failed ? "" : path.data);
}

static void put_part(struct bytes *out, const struct subject *subject, char part)
{
    const char *model = subject->mountpoint ? subject->mountpoint : subject->source;

    switch (part) {
    case 'm':
        put_word(out, model ? model : "DIR");
        break;
    case 's':
        put_word(out, subject->source ? subject->source : "SRC");
        break;
    case 't':
        put_path(out, subject, "/staging/tensors/", "");
        break;
    case 'n':
        put_path(out, subject, "/staging/npy/", ".npy");
        break;
    case 'd':
        put_path(out, subject, "/staging/", "/metadata.json");
        break;
    case 'g':
    default:
        put_word(out, subject->problem->tensor ? subject->problem->tensor : "NAME");
        break;
    }
}

void remedy_print(struct bytes *out, const struct problem *problem, const char *mountpoint,
                  const char *source)
{
    const struct subject subject = {problem, mountpoint, source};
    const char *command = NULL;

    for (size_t i = 0; i < sizeof(remedies) / sizeof(remedies[0]); i++)
        if (remedies[i].code == problem->code)
            command = remedies[i].command;
    for (; command && *command; command++) {
        if (*command == '%')
            put_part(out, &subject, *++command);
        else
            bytes_char(out, *command);
    }
}
