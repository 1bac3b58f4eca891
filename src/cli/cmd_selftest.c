/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/cleanup.h"
#include "cli/cmd.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <weightfs/weightfs.h>

#define BLOCK 4096u

/* What is written and read back: every width, a scalar, an empty tensor, one of several blocks. */
static const struct sample {
    const char *name;
    enum wfs_dtype dtype;
    size_t rank;
    uint64_t shape[2];
    size_t size;
} samples[] = {
    {"weights",              WFS_BF16, 2, {512, 100}, 102400},
    {"norm",                 WFS_F32,  1, {1000},     4000  },
    {"scalar",               WFS_F64,  0, {0},        8     },
    {"empty",                WFS_I64,  2, {0, 3},     0     },
    {"packed",               WFS_F4,   1, {6},        3     },
    {"flags",                WFS_BOOL, 1, {5},        5     },
    {"a name/with \xc3\xa9", WFS_U16,  1, {7},        14    },
};

#define SAMPLE_COUNT (sizeof samples / sizeof samples[0])

struct selftest {
    char path[PATH_MAX];
    struct wfs_error err;
    char block[BLOCK];
};

/* Bytes that differ from tensor to tensor and from place to place. */
static void fill(const struct sample *sample, size_t offset, char *data, size_t length)
{
    for (size_t i = 0; i < length; i++)
        data[i] = (char)((offset + i) * 167 + (size_t)(sample - samples) * 31 + (offset + i) / 256);
}

static int write_sample(struct selftest *test, struct wfs_writer *writer, const struct sample *sample)
{
    int r = 0;

    for (size_t at = 0; r == 0 && at < sample->size; at += BLOCK) {
        size_t length = sample->size - at < BLOCK ? sample->size - at : BLOCK;
        fill(sample, at, test->block, length);
        r = wfs_writer_append(writer, sample->name, test->block, length, &test->err);
    }
    return r;
}

static int write_model(struct selftest *test)
{
    struct wfs_writer_options options = {.crc = 1};
    struct wfs_writer *writer = NULL;

    int r = wfs_writer_create(test->path, &options, &writer, &test->err);
    if (r == 0)
        r = wfs_writer_metadata(writer, "format", "pt", &test->err);
    for (size_t i = 0; r == 0 && i < SAMPLE_COUNT; i++)
        r = wfs_writer_declare(writer, samples[i].name, samples[i].dtype, samples[i].rank, samples[i].shape,
                               &test->err);
    for (size_t i = SAMPLE_COUNT; r == 0 && i-- > 0;)
        r = write_sample(test, writer, &samples[i]);
    if (r == 0)
        r = wfs_writer_finish(writer, &test->err);
    wfs_writer_close(writer);
    return r;
}

static int read_sample(struct selftest *test, struct wfs_reader *reader, const struct sample *sample)
{
    struct wfs_tensor tensor;
    char expected[BLOCK];

    int r = wfs_reader_find(reader, sample->name, &tensor, &test->err);
    for (size_t at = 0; r == 0 && at < sample->size; at += BLOCK) {
        size_t length = sample->size - at < BLOCK ? sample->size - at : BLOCK;
        fill(sample, at, expected, length);
        r = wfs_reader_read(reader, &tensor, at, test->block, length, &test->err);
        if (r == 0 && memcmp(expected, test->block, length) != 0) {
            snprintf(test->err.text, sizeof test->err.text, "tensor '%s' came back changed", sample->name);
            return -EIO;
        }
    }
    return r;
}

static int read_model(struct selftest *test)
{
    struct wfs_reader *reader = NULL;
    int r = wfs_reader_open(test->path, 0, &reader, &test->err);

    for (size_t i = 0; r == 0 && i < SAMPLE_COUNT; i++)
        r = read_sample(test, reader, &samples[i]);
    wfs_reader_close(reader);
    return r;
}

static int verify_model(struct selftest *test)
{
    struct wfs_verify_options options = {.crc = 1};
    struct wfs_verdict verdict;
    int r = wfs_verify_path(test->path, &options, NULL, NULL, &verdict, &test->err);

    if (r < 0 || (verdict.is_valid && verdict.crc_count == SAMPLE_COUNT))
        return r;
    snprintf(test->err.text, sizeof test->err.text, "the file that was written is not valid");
    return -EIO;
}

/* A byte that was changed on the disk must be found. */
static int damage_model(struct selftest *test)
{
    struct wfs_verify_options options = {.crc = 1};
    struct wfs_verdict verdict;
    FILE *file = fopen(test->path, "r+e");

    if (!file)
        return -errno;
    fseek(file, -1, SEEK_END);
    int last = fgetc(file);
    fseek(file, -1, SEEK_END);
    fputc(last ^ 1, file);
    fclose(file);
    int r = wfs_verify_path(test->path, &options, NULL, NULL, &verdict, &test->err);
    if (r < 0 || !verdict.is_valid)
        return r;
    snprintf(test->err.text, sizeof test->err.text, "a damaged tensor was not noticed");
    return -EIO;
}

static int run(struct selftest *test)
{
    static const struct {
        const char *what;
        int (*step)(struct selftest *test);
    } steps[] = {
        {"write a model",               write_model },
        {"read it back",                read_model  },
        {"verify it and its checksums", verify_model},
        {"notice a changed byte",       damage_model},
    };

    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        int r = steps[i].step(test);
        printf("%-28s %s\n", steps[i].what, r == 0 ? "ok" : "FAILED");
        if (r != 0) {
            cmd_say("selftest: %s", *test->err.text ? test->err.text : strerrordesc_np(r < 0 ? -r : r));
            return EXIT_NO;
        }
    }
    return EXIT_DONE;
}

int cmd_selftest(int argc, char **argv)
{
    struct selftest test = {0};
    const char *temporary = getenv("TMPDIR"); // NOLINT(concurrency-mt-unsafe): nobody calls setenv()
    char directory[PATH_MAX - 32];

    if (argc > 1)
        return cmd_usage("selftest", "selftest takes no arguments, not '%s'", argv[1]);
    snprintf(directory, sizeof directory, "%s/weightfs-selftest-XXXXXX",
             temporary && *temporary ? temporary : "/tmp");
    if (!mkdtemp(directory)) {
        cmd_say("no temporary directory can be made: %s", strerrordesc_np(errno));
        return EXIT_SYSTEM;
    }
    snprintf(test.path, sizeof test.path, "%s/model.safetensors", directory);
    int code = run(&test);
    unlink(test.path);
    rmdir(directory);
    return cmd_finish(code);
}
