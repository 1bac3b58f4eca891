/* SPDX-License-Identifier: Apache-2.0 */
#include "format/sniff.h"

#include "format/utf8.h"

#include <stdbool.h>
#include <string.h>

struct magic {
    size_t offset;
    size_t length;
    const char *bytes;
    const char *kind;
};

#define MAGIC(offset, bytes, kind)             \
    {                                          \
        offset, sizeof(bytes) - 1, bytes, kind \
    }

static const struct magic magics[] = {
    MAGIC(0, "version https://git-lfs", "a Git LFS pointer: run 'git lfs pull'"),
    MAGIC(0, "version https://hawser", "a Git LFS pointer: run 'git lfs pull'"),
    MAGIC(0, "GGUF", "a GGUF file"),
    MAGIC(0, "ggml", "a GGML file"),
    MAGIC(0, "lmgg", "a GGML file"),
    MAGIC(0, "tjgg", "a GGML file"),
    MAGIC(0, "\x1f\x8b\x08", "gzip data: unpack it first"),
    MAGIC(0, "\x28\xb5\x2f\xfd", "zstd data: unpack it first"),
    MAGIC(0,
          "\xfd"
          "7zXZ\0",
          "xz data: unpack it first"),
    MAGIC(0, "BZh", "bzip2 data: unpack it first"),
    MAGIC(0, "7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it first"),
    MAGIC(257, "ustar", "a tar archive: unpack it first"),
    MAGIC(0, "\x89HDF\r\n\x1a\n", "an HDF5 file (Keras .h5)"),
    MAGIC(0, "\x93NUMPY", "a NumPy .npy file"),
    MAGIC(4, "TFL3", "a TensorFlow Lite model"),
    MAGIC(0, "%PDF-", "a PDF document"),
    MAGIC(0,
          "\x7f"
          "ELF",
          "a program"),
    MAGIC(0, "PAR1", "a Parquet file"),
    MAGIC(0, "ARROW1", "an Arrow file"),
    MAGIC(0, "Rar!", "a RAR archive: unpack it first"),
    MAGIC(0, "\x80\x8a\nl\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", "an old PyTorch .pt file (pickle)"),
};

static bool begins(const char *bytes, size_t size, const char *text)
{
    size_t length = strlen(text);
    return size >= length && memcmp(bytes, text, length) == 0;
}

static bool begins_ignoring_case(const char *bytes, size_t size, const char *text)
{
    size_t length = strlen(text);
    return size >= length && strncasecmp(bytes, text, length) == 0;
}

static bool contains(const char *bytes, size_t size, const char *text)
{
    return memmem(bytes, size, text, strlen(text)) != NULL;
}

/* A zip is what torch.save() and numpy.savez() write; the name of its first member tells them apart. */
static const char *sniff_zip(const char *bytes, size_t size)
{
    static const size_t name_at = 30;
    if (!begins(bytes, size, "PK\3\4") && !begins(bytes, size, "PK\5\6"))
        return NULL;
    if (size > name_at) {
        size_t length = (unsigned char)bytes[26] | (size_t)(unsigned char)bytes[27] << 8;
        const char *name = bytes + name_at;
        length = length < size - name_at ? length : size - name_at;
        if (length > 4 && memcmp(name + length - 4, ".npy", 4) == 0)
            return "a NumPy .npz file (zip)";
        if (contains(name, length, "data.pkl") || contains(name, length, "/version") ||
            contains(name, length, ".format_version"))
            return "a PyTorch .pt file (zip)";
        if (contains(name, length, "metadata.json"))
            return "a Keras .keras file (zip)";
    }
    return "a zip archive, perhaps a PyTorch .pt file";
}

/* Protocol 2 to 5: PROTO, the version, then an opcode that begins an object. */
static bool is_pickle(const char *bytes, size_t size)
{
    return size >= 4 && bytes[0] == '\x80' && bytes[1] >= 2 && bytes[1] <= 5 && bytes[2] &&
           strchr("}]()ceXU\x95\x8c\x8d\x8e\x8a", bytes[2]);
}

/* A protobuf that begins with ir_version (field 1) and producer_name (field 2). */
static bool is_onnx(const char *bytes, size_t size)
{
    return size >= 5 && bytes[0] == 8 && bytes[1] > 0 && bytes[1] < 32 && bytes[2] == 0x12 && bytes[3] > 0 &&
           bytes[3] < 64 &&
           (contains(bytes, size, "pytorch") || contains(bytes, size, "onnx") ||
            contains(bytes, size, "tf2onnx") || contains(bytes, size, "skl2onnx"));
}

static const char *sniff_markup(const char *bytes, size_t size)
{
    if (begins(bytes, size, "\xef\xbb\xbf")) {
        bytes += 3;
        size -= 3;
    }
    while (size > 0 && strchr(" \t\r\n", *bytes) && *bytes) {
        bytes++;
        size--;
    }
    if (begins_ignoring_case(bytes, size, "<!doctype html") || begins_ignoring_case(bytes, size, "<html") ||
        begins_ignoring_case(bytes, size, "<head") || begins_ignoring_case(bytes, size, "<body"))
        return "an HTML page, perhaps the answer to a failed download";
    if (begins(bytes, size, "<?xml"))
        return "an XML document, perhaps the answer to a failed download";
    if (begins(bytes, size, "{\"") || begins(bytes, size, "{}") || begins(bytes, size, "{\n") ||
        begins(bytes, size, "{ "))
        return "a JSON document (the 8 bytes of a header's length are missing)";
    return NULL;
}

static bool is_text(const char *bytes, size_t size)
{
    size_t valid = utf8_valid_prefix(bytes, size);
    if (size == 0 || size - valid > 3) /* the last character may be cut */
        return false;
    for (size_t i = 0; i < valid; i++)
        if ((unsigned char)bytes[i] < 0x20 && (bytes[i] == '\0' || !strchr("\t\n\r\f\x1b", bytes[i])))
            return false;
    return true;
}

static bool is_zero(const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i])
            return false;
    return size > 0;
}

/* A length below 2^32 and a '{' behind it: whatever the length reads like, this is meant to be safetensors.
 */
static bool is_safetensors(const char *bytes, size_t size)
{
    static const char zeros[4] = "";
    if (size < 9 || memcmp(bytes + 4, zeros, sizeof zeros) != 0)
        return false;
    size_t blanks = 0;
    while (blanks < size - 8 && strchr(" \t\r\n", bytes[8 + blanks]) && bytes[8 + blanks])
        blanks++;
    return blanks < size - 8 && bytes[8 + blanks] == '{';
}

const char *sniff(const unsigned char *bytes, size_t size)
{
    const char *text = (const char *)bytes;
    if (is_safetensors(text, size))
        return NULL;
    for (size_t i = 0; i < sizeof magics / sizeof magics[0]; i++) {
        const struct magic *magic = &magics[i];
        if (size >= magic->offset + magic->length &&
            memcmp(text + magic->offset, magic->bytes, magic->length) == 0)
            return magic->kind;
    }
    const char *kind = sniff_zip(text, size);
    if (!kind && is_pickle(text, size))
        kind = "a Python pickle";
    if (!kind && is_onnx(text, size))
        kind = "an ONNX model";
    if (!kind)
        kind = sniff_markup(text, size);
    if (!kind && is_text(text, size))
        kind = "plain text";
    if (!kind && is_zero(text, size))
        kind = "nothing but zero bytes";
    return kind;
}
