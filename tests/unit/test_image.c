/* SPDX-License-Identifier: Apache-2.0 */
#include "base/io.h"
#include "image/image.h"
#include "unit/scratch.h"

static struct scratch scratch;

static void setup(void)
{
    scratch = scratch_open();
}

static void teardown(void)
{
    scratch_close(&scratch);
}

static struct file *source_of(const char *name, const char *bytes)
{
    struct file *file = NULL;
    scratch_write(&scratch, name, bytes, strlen(bytes));
    ck_assert_int_eq(file_open(scratch.fd, name, 0, &file, NULL), 0);
    return file;
}

static void add_memory(struct image *image, const char *text)
{
    ck_assert_int_eq(image_add_memory(image, strdup(text), strlen(text)), 0);
}

/* "head|bcdefg|tail|23456" */
static struct image *mixed_image(void)
{
    struct image *image = image_new();
    struct file *letters = source_of("letters", "abcdefghij");
    struct file *digits = source_of("digits", "0123456789");
    add_memory(image, "head");
    ck_assert_int_eq(image_add_file(image, letters, 1, 6), 0);
    add_memory(image, "tail");
    ck_assert_int_eq(image_add_file(image, digits, 2, 5), 0);
    file_unref(letters);
    file_unref(digits);
    return image;
}

static const char mixed_bytes[] = "headbcdefgtail23456";
#define MIXED_LENGTH (sizeof mixed_bytes - 1)

START_TEST(an_empty_image_has_no_bytes)
{
    struct image *image = image_new();
    char byte = 0;
    struct image_slice slice;
    ck_assert_uint_eq(image_length(image), 0);
    ck_assert_int_eq(image_read(image, &byte, 1, 0), 0);
    ck_assert_int_eq(image_slice(image, 0, 1, &slice), 0);
    ck_assert_uint_eq(slice.count, 0);
    ck_assert_int_eq(image_write(image, -1, 0, NULL, NULL, NULL), 0);
    image_unref(image);
    image_unref(NULL);
}

END_TEST

START_TEST(parts_without_bytes_are_left_out)
{
    struct image *image = image_new();
    struct file *file = source_of("a", "abc");
    ck_assert_int_eq(image_add_memory(image, malloc(1), 0), 0);
    ck_assert_int_eq(image_add_memory(image, NULL, 0), 0);
    ck_assert_int_eq(image_add_file(image, file, 1, 0), 0);
    ck_assert_uint_eq(image_part_count(image), 0);
    file_unref(file);
    image_unref(image);
}

END_TEST

START_TEST(neighbouring_ranges_of_a_file_are_one_part)
{
    struct image *image = image_new();
    struct file *file = source_of("a", "abcdefghij");
    struct file *other = source_of("b", "abcdefghij");
    image_add_file(image, file, 1, 2);
    image_add_file(image, file, 3, 4); /* goes on */
    ck_assert_uint_eq(image_part_count(image), 1);
    ck_assert_uint_eq(image_part(image, 0)->offset, 1);
    ck_assert_uint_eq(image_part(image, 0)->length, 6);
    image_add_file(image, file, 8, 1); /* a hole */
    image_add_file(image, file, 8, 1); /* the same again */
    image_add_file(image, other, 9, 1);
    add_memory(image, "x");
    image_add_file(image, other, 10, 0);
    ck_assert_uint_eq(image_part_count(image), 5);
    ck_assert_uint_eq(image_length(image), 10);
    char bytes[11] = "";
    ck_assert_int_eq(image_read(image, bytes, 10, 0), 10);
    ck_assert_str_eq(bytes, "bcdefgiijx");
    file_unref(file);
    file_unref(other);
    image_unref(image);
}

END_TEST

START_TEST(every_range_is_read)
{
    struct image *image = mixed_image();
    ck_assert_uint_eq(image_length(image), MIXED_LENGTH);
    for (size_t offset = 0; offset <= MIXED_LENGTH + 2; offset++)
        for (size_t length = 0; length <= MIXED_LENGTH + 2; length++) {
            char bytes[MIXED_LENGTH + 2];
            size_t there = offset < MIXED_LENGTH ? MIXED_LENGTH - offset : 0;
            size_t expected = length < there ? length : there;
            ck_assert_int_eq(image_read(image, bytes, length, offset), (ssize_t)expected);
            ck_assert_mem_eq(bytes, mixed_bytes + (expected ? offset : 0), expected);
        }
    ck_assert_int_eq(image_read(image, NULL, 0, UINT64_MAX), 0);
    image_unref(image);
}

END_TEST

START_TEST(every_range_is_sliced)
{
    struct image *image = mixed_image();
    for (size_t offset = 0; offset <= MIXED_LENGTH; offset++)
        for (size_t length = 0; length <= MIXED_LENGTH + 1; length++) {
            struct image_slice slice;
            ck_assert_int_eq(image_slice(image, offset, length, &slice), 0);
            size_t at = offset;
            for (size_t i = 0; i < slice.count; i++) {
                const struct image_slice_part *part = &slice.parts[i];
                char bytes[MIXED_LENGTH];
                ck_assert_uint_gt(part->length, 0);
                if (part->fd >= 0)
                    ck_assert_int_eq(io_read_at(part->fd, bytes, part->length, part->offset), 0);
                else
                    memcpy(bytes, part->memory, part->length);
                ck_assert_mem_eq(bytes, mixed_bytes + at, part->length);
                at += part->length;
            }
            size_t there = MIXED_LENGTH - offset;
            ck_assert_uint_eq(at - offset, length < there ? length : there);
            ck_assert_uint_eq(slice.length, at - offset);
            image_slice_done(&slice);
        }
    image_unref(image);
}

END_TEST

START_TEST(a_slice_of_too_many_parts_is_short)
{
    struct image *image = image_new();
    for (int i = 0; i < 500; i++)
        add_memory(image, "ab");
    struct image_slice slice;
    ck_assert_int_eq(image_slice(image, 1, 999, &slice), 0);
    ck_assert_uint_eq(slice.count, IMAGE_SLICE_PARTS);
    ck_assert_uint_eq(slice.length, 2 * IMAGE_SLICE_PARTS - 1);
    image_slice_done(&slice);
    image_unref(image);
}

END_TEST

START_TEST(a_slice_holds_descriptors_of_a_pool_until_it_is_done)
{
    struct file_pool *pool = NULL;
    struct file *files[3] = {NULL};
    struct image *image = image_new();
    ck_assert_int_eq(file_pool_new(scratch.fd, 1, &pool), 0);
    for (int i = 0; i < 3; i++) {
        char name[2] = {(char)('a' + i), '\0'};
        scratch_write(&scratch, name, name, 1);
        ck_assert_int_eq(file_pool_open(pool, name, false, &files[i], NULL), 0);
        ck_assert_int_eq(image_add_file(image, files[i], 0, 1), 0);
        file_unref(files[i]);
    }
    struct image_slice slice;
    char byte = 0;
    ck_assert_int_eq(image_slice(image, 0, 3, &slice), 0);
    ck_assert_int_eq(slice.parts[0].fd == slice.parts[1].fd || slice.parts[1].fd == slice.parts[2].fd, 0);
    ck_assert_int_eq(io_read_at(slice.parts[0].fd, &byte, 1, 0), 0);
    ck_assert_int_eq(byte, 'a');
    image_slice_done(&slice);

    ck_assert_int_eq(unlinkat(scratch.fd, "b", 0), 0);
    ck_assert_int_eq(image_slice(image, 0, 3, &slice), -ENOENT); /* b was closed */
    ck_assert_uint_eq(slice.count, 0);
    image_unref(image);
    file_pool_free(pool); /* no descriptor is held any more */
}

END_TEST

START_TEST(a_source_that_became_shorter_is_stale)
{
    struct image *image = mixed_image();
    int fd = openat(scratch.fd, "letters", O_WRONLY);
    ck_assert_int_eq(ftruncate(fd, 3), 0);
    char bytes[MIXED_LENGTH];
    ck_assert_int_eq(image_read(image, bytes, MIXED_LENGTH, 0), -ESTALE);
    ck_assert_int_eq(image_read(image, bytes, 6, 0), 6);
    ck_assert_int_eq(image_read(image, bytes, 7, 0), -ESTALE);
    struct wfs_error err = {0};
    int to = scratch_open_file(&scratch, "out");
    ck_assert_int_eq(image_write(image, to, 0, NULL, NULL, &err), -ESTALE);
    ck_assert_int_eq(err.code, WFS_CODE_SOURCE_CHANGED);
    close(to);
    close(fd);
    image_unref(image);
}

END_TEST

START_TEST(an_image_that_cannot_be_is_refused)
{
    struct image *image = image_new();
    struct file *file = source_of("a", "abc");
    ck_assert_int_eq(image_add_file(image, file, 2, UINT64_MAX), -EOVERFLOW);
    ck_assert_int_eq(image_add_file(image, file, 0, UINT64_MAX), 0);
    ck_assert_int_eq(image_add_file(image, file, 0, 1), -EOVERFLOW);
    ck_assert_int_eq(image_add_memory(image, strdup("x"), 1), -EOVERFLOW);
    ck_assert_uint_eq(image_length(image), UINT64_MAX);
    file_unref(file);
    image_unref(image);
}

END_TEST

/* --- writing --- */

struct watcher {
    uint64_t done;
    uint64_t stop_at;
    int stop_with;
    char seen[64];
    size_t seen_length;
};

static int watch_progress(void *context, uint64_t done)
{
    struct watcher *watcher = context;
    watcher->done += done;
    return watcher->stop_at && watcher->done >= watcher->stop_at ? watcher->stop_with : 0;
}

static void watch_block(void *context, const void *data, size_t length)
{
    struct watcher *watcher = context;
    memcpy(watcher->seen + watcher->seen_length, data, length);
    watcher->seen_length += length;
}

START_TEST(what_is_written_is_what_is_read)
{
    struct image *image = mixed_image();
    struct watcher watcher = {0};
    const struct image_observer observer = {.context = &watcher, .progress = watch_progress};
    struct clone_cost cost = {0, 0};
    int to = scratch_open_file(&scratch, "out");
    ck_assert_int_eq(io_write_at(to, "--", 2, 0), 0);
    ck_assert_int_eq(image_write(image, to, 2, &observer, &cost, NULL), 0);
    ck_assert(scratch_holds(&scratch, "out", "--headbcdefgtail23456", MIXED_LENGTH + 2));
    ck_assert_uint_eq(watcher.done, MIXED_LENGTH);
    ck_assert_uint_eq(cost.cloned + cost.copied, MIXED_LENGTH);
    close(to);
    image_unref(image);
}

END_TEST

START_TEST(an_observer_sees_every_byte_in_order)
{
    struct image *image = mixed_image();
    struct watcher watcher = {0};
    const struct image_observer observer = {.context = &watcher, .block = watch_block};
    int to = scratch_open_file(&scratch, "out");
    ck_assert_int_eq(image_write(image, to, 0, &observer, NULL, NULL), 0);
    ck_assert(scratch_holds(&scratch, "out", mixed_bytes, MIXED_LENGTH));
    ck_assert_uint_eq(watcher.seen_length, MIXED_LENGTH);
    ck_assert_mem_eq(watcher.seen, mixed_bytes, MIXED_LENGTH);
    close(to);
    image_unref(image);
}

END_TEST

START_TEST(cancelling_returns_the_observers_value)
{
    struct image *image = mixed_image();
    for (int with_blocks = 0; with_blocks < 2; with_blocks++) {
        struct watcher watcher = {.stop_at = 5, .stop_with = -ECANCELED};
        const struct image_observer observer = {&watcher, watch_progress, with_blocks ? watch_block : NULL};
        struct wfs_error err = {0};
        int to = scratch_open_file(&scratch, "out");
        ck_assert_int_eq(image_write(image, to, 0, &observer, NULL, &err), -ECANCELED);
        ck_assert_int_eq(err.code, WFS_CODE_CANCELLED);
        ck_assert_uint_eq(watcher.done, 10); /* the two parts that hold byte 5 and those before */
        close(to);
    }
    image_unref(image);
}

END_TEST

START_TEST(big_parts_are_written_in_pieces)
{
    size_t length = (3u << 20) + 17;
    char *bytes = malloc(length);
    for (size_t i = 0; i < length; i++)
        bytes[i] = (char)(i * 31 >> 3);
    scratch_write(&scratch, "big", bytes, length);
    struct file *file = NULL;
    ck_assert_int_eq(file_open(scratch.fd, "big", 0, &file, NULL), 0);
    struct image *image = image_new();
    ck_assert_int_eq(image_add_file(image, file, 5, length - 5), 0);
    ck_assert_int_eq(image_add_memory(image, bytes, length), 0);
    file_unref(file);
    int to = scratch_open_file(&scratch, "out");
    ck_assert_int_eq(image_write(image, to, 0, NULL, NULL, NULL), 0);
    char *found = malloc(2 * length);
    ck_assert_int_eq(io_read_some(to, found, 2 * length, 0), (ssize_t)(2 * length - 5));
    ck_assert_mem_eq(found, bytes + 5, length - 5);
    ck_assert_mem_eq(found + length - 5, bytes, length);
    free(found);
    close(to);
    image_unref(image);
}

END_TEST

START_TEST(a_failed_write_is_explained)
{
    struct image *image = mixed_image();
    struct wfs_error err = {0};
    int to = open("/dev/full", O_WRONLY);
    ck_assert_int_eq(image_write(image, to, 0, NULL, NULL, &err), -ENOSPC);
    ck_assert_int_eq(err.code, WFS_CODE_NO_SPACE);
    ck_assert_str_eq(err.text, "writing byte 0: No space left on device");
    close(to);
    image_unref(image);
}

END_TEST

START_TEST(a_counted_image_lives_until_its_last_reader)
{
    struct image *image = mixed_image();
    ck_assert_ptr_eq(image_ref(image), image);
    image_unref(image);
    char byte = 0;
    ck_assert_int_eq(image_read(image, &byte, 1, 0), 1);
    ck_assert_int_eq(byte, 'h');
    image_unref(image);
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        an_empty_image_has_no_bytes,
        parts_without_bytes_are_left_out,
        neighbouring_ranges_of_a_file_are_one_part,
        every_range_is_read,
        every_range_is_sliced,
        a_slice_of_too_many_parts_is_short,
        a_slice_holds_descriptors_of_a_pool_until_it_is_done,
        a_source_that_became_shorter_is_stale,
        an_image_that_cannot_be_is_refused,
        what_is_written_is_what_is_read,
        an_observer_sees_every_byte_in_order,
        cancelling_returns_the_observers_value,
        big_parts_are_written_in_pieces,
        a_failed_write_is_explained,
        a_counted_image_lives_until_its_last_reader,
    };
    return RUN_TESTS_WITH("image", tests, setup, teardown);
}
