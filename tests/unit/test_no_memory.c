/* SPDX-License-Identifier: Apache-2.0
 *
 * Every allocation of reading and writing a header fails once, and then it and all behind it: the answer is
 * -ENOMEM, or the right one where memory was not needed after all, and nothing is leaked. Linked with
 * --wrap=malloc and its family.
 */
#include "base/error.h"
#include "format/npy.h"
#include "unit/headers.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *pointer, size_t size);
void __real_free(void *pointer);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *pointer, size_t size);
void __wrap_free(void *pointer);

static size_t allocations;        /* since they were counted */
static size_t failing = SIZE_MAX; /* the one that fails */
static bool all_behind;           /* and those after it */
static long alive;                /* blocks not freed */

static bool fails(void)
{
    size_t number = allocations++;
    return number == failing || (all_behind && number > failing);
}

void *__wrap_malloc(size_t size)
{
    void *block = fails() ? NULL : __real_malloc(size);
    alive += block != NULL;
    return block;
}

void *__wrap_calloc(size_t count, size_t size)
{
    void *block = fails() ? NULL : __real_calloc(count, size);
    alive += block != NULL;
    return block;
}

void *__wrap_realloc(void *pointer, size_t size)
{
    void *block = fails() ? NULL : __real_realloc(pointer, size);
    alive += block != NULL && pointer == NULL;
    return block;
}

void __wrap_free(void *pointer)
{
    alive -= pointer != NULL;
    __real_free(pointer);
}

/* --- what is tried -------------------------------------------------------------------------------------- */

/* Many tensors, so that tables grow; metadata with a key twice; an order that must be sorted. */
static struct bytes make_text(void)
{
    struct bytes text = BYTES_EMPTY;
    bytes_string(&text, "{\"__metadata__\":{");
    for (unsigned i = 0; i < 100; i++)
        bytes_printf(&text, "%s\"k%u\":\"\"", i ? "," : "", i % 70);
    bytes_char(&text, '}');
    for (unsigned i = 300; i-- > 0;)
        bytes_printf(&text, ",\"t%u\":[\"U8\",[1],[%u,%u]]", i, i, i + 1);
    bytes_char(&text, '}');
    return text;
}

static struct bytes text;

static int try_decode(unsigned mode, uint64_t data, struct wfs_error *err)
{
    struct wfs_header *header = NULL;
    char *json = __real_malloc(text.length + 1);
    memcpy(json, text.data, text.length);
    alive++;
    int r = header_decode(json, text.length, HEADER_PREFIX + text.length + data, mode, &header, err);
    if ((r == 0) != (header != NULL))
        r = -EPROTO;
    wfs_header_free(header);
    return r;
}

static int try_right(struct wfs_error *err)
{
    return try_decode(HEADER_OFFICIAL, 300, err);
}

static int try_wrong(struct wfs_error *err)
{
    int r = try_decode(HEADER_OFFICIAL, 301, err);
    return r == -EINVAL ? 0 : r; /* which is right */
}

static int try_document(struct wfs_error *err)
{
    int r = try_decode(HEADER_DOCUMENT, 0, err);
    return r == -EINVAL ? 0 : r;
}

static int try_parse(struct wfs_error *err)
{
    static const char file[] =
        "\x36\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}  x";
    struct wfs_header *header = NULL;
    int r = wfs_header_parse(file, sizeof file - 1, sizeof file - 1, &header, err);
    wfs_header_free(header);
    return r;
}

static struct wfs_header *source;

static int try_encode(struct wfs_error *err)
{
    struct layout_item items[40];
    struct metadata_map metadata = {false, 0, NULL};
    struct bytes out = BYTES_EMPTY;
    struct layout used;
    struct layout_source origin = {source, wfs_header_data_offset(source)};
    for (size_t i = 0; i < 40; i++)
        items[i] =
            (struct layout_item){.tensor = wfs_header_tensor(source, i), .slot = i % 2 ? i : LAYOUT_NEW};
    int r = metadata_of_header(source, &metadata);
    if (r < 0)
        return error_no_memory(err);
    r = layout_place(items, 40, &origin, (struct layout){LAYOUT_KEEP, 0}, &used, err);
    if (r == 0)
        r = header_encode(items, 40, &metadata, &origin, used, &out, err);
    bytes_clear(&out);
    free(metadata.pairs);
    return r;
}

static int try_show(struct wfs_error *err)
{
    struct wfs_tensor tensors[40];
    struct metadata_pair pairs[2] = {
        {"b", 1, "1", 1},
        {"a", 1, "2", 1}
    };
    struct metadata_map metadata = {true, 2, pairs};
    struct bytes out = BYTES_EMPTY;
    for (size_t i = 0; i < 40; i++)
        tensors[i] = wfs_header_tensor(source, i);
    document_encode(tensors, 40, &metadata, &out);
    int r = out.failed ? error_no_memory(err) : 0;
    bytes_clear(&out);
    return r;
}

static int try_npy(struct wfs_error *err)
{
    static const unsigned char shape[] = {2, 3};
    struct bytes out = BYTES_EMPTY;
    struct npy_header header;
    npy_encode(WFS_F32, 2, shape, &out);
    int r = out.failed ? error_no_memory(err)
                       : npy_decode((const unsigned char *)out.data, out.length, &header, err);
    if (r == 0)
        npy_header_clear(&header);
    bytes_clear(&out);
    return r;
}

static int try_shape(struct wfs_error *err)
{
    size_t rank;
    size_t size;
    unsigned char *shape = NULL;
    int r = shape_parse("[1,2]", 5, &rank, &shape, &size);
    free(shape);
    return r < 0 ? error_no_memory(err) : 0;
}

static int try_empty(struct wfs_error *err)
{
    struct wfs_header *header = NULL;
    int r = header_empty(&header);
    wfs_header_free(header);
    return r < 0 ? error_no_memory(err) : 0;
}

/* --- the attempts -----------------------------------------------------------------------------------------
 */

/* Assertions stand only outside of what is tried: libcheck allocates, too. */

static int (*const attempts[])(struct wfs_error *err) = {
    try_right, try_wrong, try_document, try_parse, try_encode, try_show, try_npy, try_shape, try_empty,
};

#define ATTEMPTS ((int)(sizeof attempts / sizeof attempts[0]))

static int run(int attempt, size_t fail_at, bool fail_behind)
{
    struct wfs_error err = {0};
    long before = alive;
    allocations = 0;
    failing = fail_at;
    all_behind = fail_behind;
    int r = attempts[attempt](&err);
    long left = alive - before;
    failing = SIZE_MAX;
    all_behind = false;
    ck_assert_msg(r == 0 || (r == -ENOMEM && err.errnum == ENOMEM), "attempt %d, allocation %zu: %d", attempt,
                  fail_at, r);
    ck_assert_msg(left == 0, "attempt %d, allocation %zu: %ld blocks leaked", attempt, fail_at, left);
    return r;
}

static size_t count_allocations(int attempt)
{
    struct wfs_error err = {0};
    allocations = 0;
    int r = attempts[attempt](&err);
    size_t count = allocations;
    ck_assert_int_eq(r, 0);
    ck_assert_uint_gt(count, 0);
    return count;
}

START_TEST(any_allocation_may_fail)
{
    size_t count = count_allocations(_i);
    bool some_failed = false;
    for (size_t at = 0; at < count; at++)
        some_failed |= run(_i, at, false) == -ENOMEM;
    ck_assert(some_failed);
}

END_TEST

START_TEST(all_allocations_from_one_on_may_fail)
{
    size_t count = count_allocations(_i);
    for (size_t at = 0; at < count; at++)
        ck_assert_msg(run(_i, at, true) == -ENOMEM, "attempt %d, allocation %zu", _i, at);
}

END_TEST

static void setup(void)
{
    text = make_text();
    source = decode_right(text.data, text.length, 300, HEADER_OFFICIAL);
}

static void teardown(void)
{
    bytes_clear(&text);
    wfs_header_free(source);
}

int main(void)
{
    const TTest *const tests[] = {
        any_allocation_may_fail,
        all_allocations_from_one_on_may_fail,
    };
    return RUN_TESTS_EACH("no_memory", tests, ATTEMPTS, setup, teardown);
}
