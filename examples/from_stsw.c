/* SPDX-License-Identifier: Apache-2.0
 *
 * The examples of stsw's README in C (docs/from-stsw.md): from_stsw DIRECTORY
 *
 * Writing two tensors with checksums, reading them with verification, and a whole state dict with checksums,
 * where stsw itself fails as soon as it has some tensors.
 */
#include <stdio.h>
#include <stdlib.h>

#include <weightfs/weightfs.h>

#define SIDE    1000
#define TENSORS 300

static const uint64_t square[] = {SIDE, SIDE};
static const uint64_t image_shape[] = {500, 500, 3};
static const uint64_t vector[] = {SIDE};

static float embeddings[SIDE * SIDE];
static unsigned char image[500 * 500 * 3];

static void make_data(void)
{
    for (size_t i = 0; i < SIDE * SIDE; i++)
        embeddings[i] = (float)rand() / (float)RAND_MAX; // NOLINT(concurrency-mt-unsafe,cert-msc30-c)
    for (size_t i = 0; i < sizeof image; i++)
        image[i] = (unsigned char)rand(); // NOLINT(concurrency-mt-unsafe,cert-msc30-c)
}

/* "Writing tensors": offsets are ours to compute, and are right. */
static int write_tensors(const char *path, struct wfs_error *err)
{
    static const struct wfs_writer_options options = {.crc = 1, .buffer_size = (size_t)4 << 20};
    struct wfs_writer *writer = NULL;
    int r = wfs_writer_create(path, &options, &writer, err);

    if (r == 0)
        r = wfs_writer_declare(writer, "embeddings", WFS_F32, 2, square, err);
    if (r == 0)
        r = wfs_writer_declare(writer, "image", WFS_U8, 3, image_shape, err);
    if (r == 0)
        r = wfs_writer_append(writer, "embeddings", embeddings, sizeof embeddings, err);
    if (r == 0)
        r = wfs_writer_append(writer, "image", image, sizeof image, err);
    if (r == 0)
        r = wfs_writer_finish(writer, err);
    if (r == 0) {
        struct wfs_writer_stats stats = wfs_writer_stats(writer);
        printf("wrote %llu of %llu bytes\n", (unsigned long long)stats.written,
               (unsigned long long)stats.total);
    }
    wfs_writer_close(writer);
    return r;
}

static int verify(const char *path, struct wfs_error *err)
{
    static const struct wfs_verify_options options = {.crc = 1};
    struct wfs_verdict verdict;
    int r = wfs_verify_path(path, &options, NULL, NULL, &verdict, err);

    if (r == 0)
        printf("%s: %zu checksums compared\n", verdict.is_valid ? "valid" : "NOT VALID", verdict.crc_count);
    return r;
}

/* "Reading tensors", without copying a byte. */
static int read_tensors(const char *path, struct wfs_error *err)
{
    struct wfs_reader *reader = NULL;
    struct wfs_tensor tensor;
    const void *bytes = NULL;
    int r = wfs_reader_open(path, 0, &reader, err);

    for (size_t i = 0; r == 0 && i < wfs_header_count(wfs_reader_header(reader)); i++)
        printf("%s\n", wfs_header_tensor(wfs_reader_header(reader), i).name);
    if (r == 0)
        r = wfs_reader_find(reader, "embeddings", &tensor, err);
    if (r == 0)
        r = wfs_reader_map(reader, &tensor, &bytes, err);
    if (r == 0)
        printf("%s\n", ((const float *)bytes)[4711] == embeddings[4711] ? "the same" : "DIFFERENT");
    wfs_reader_close(reader);
    return r;
}

static int for_each_of_the_dict(struct wfs_writer *writer, int is_data, struct wfs_error *err)
{
    char name[32];
    int r = 0;

    for (int i = 0; r == 0 && i < TENSORS; i++) {
        snprintf(name, sizeof name, "layer.%d.bias", i);
        r = is_data ? wfs_writer_append(writer, name, embeddings + i, SIDE * sizeof(float), err)
                    : wfs_writer_declare(writer, name, WFS_F32, 1, vector, err);
    }
    return r;
}

/* "High-level API": stsw.dump(state_dict, path, crc32=True). */
static int dump(const char *path, struct wfs_error *err)
{
    static const struct wfs_writer_options options = {.crc = 1};
    struct wfs_writer *writer = NULL;
    int r = wfs_writer_create(path, &options, &writer, err);

    if (r == 0)
        r = for_each_of_the_dict(writer, 0, err);
    if (r == 0)
        r = for_each_of_the_dict(writer, 1, err);
    if (r == 0)
        r = wfs_writer_finish(writer, err);
    wfs_writer_close(writer);
    return r;
}

int main(int argc, char **argv)
{
    struct wfs_error err = {0};
    char model[4096];
    char checkpoint[4096];

    snprintf(model, sizeof model, "%s/model.safetensors", argc > 1 ? argv[1] : ".");
    snprintf(checkpoint, sizeof checkpoint, "%s/checkpoint.safetensors", argc > 1 ? argv[1] : ".");
    make_data();
    if (write_tensors(model, &err) < 0 || verify(model, &err) < 0 || read_tensors(model, &err) < 0 ||
        dump(checkpoint, &err) < 0 || verify(checkpoint, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    return 0;
}
