/* SPDX-License-Identifier: Apache-2.0 */
#include "format/npy.h"
#include "unit/headers.h"

static struct bytes encode(enum wfs_dtype dtype, const char *shape)
{
    unsigned char *packed = NULL;
    size_t rank = 0;
    size_t size = 0;
    struct bytes out = BYTES_EMPTY;
    ck_assert_int_eq(shape_parse(shape, strlen(shape), &rank, &packed, &size), 0);
    npy_encode(dtype, rank, packed, &out);
    free(packed);
    return out;
}

/* The dictionary, blanks at its end cut off, and the size of the whole header. */
static void ck_assert_written(enum wfs_dtype dtype, const char *shape, const char *dictionary, size_t size)
{
    struct bytes out = encode(dtype, shape);
    ck_assert_uint_eq(out.length, size);
    ck_assert_mem_eq(out.data, "\x93NUMPY\1\0", 8);
    ck_assert_uint_eq((unsigned char)out.data[8] + 256u * (unsigned char)out.data[9], size - 10);
    ck_assert_int_eq(out.data[size - 1], '\n');
    ck_assert_mem_eq(out.data + 10, dictionary, strlen(dictionary));
    ck_assert_uint_eq(strspn(out.data + 10 + strlen(dictionary), " "), size - 11 - strlen(dictionary));
    bytes_clear(&out);
}

START_TEST(headers_are_those_of_numpy)
{
    ck_assert_written(WFS_F32, "[2,3]", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 128);
    ck_assert_written(WFS_BOOL, "[]", "{'descr': '|b1', 'fortran_order': False, 'shape': (), }", 128);
    ck_assert_written(WFS_U16, "[5]", "{'descr': '<u2', 'fortran_order': False, 'shape': (5,), }", 128);
    ck_assert_written(WFS_BF16, "[0]", "{'descr': '<V2', 'fortran_order': False, 'shape': (0,), }", 128);
    ck_assert_written(WFS_F8_E5M2, "[1]", "{'descr': '|V1', 'fortran_order': False, 'shape': (1,), }", 128);
    ck_assert_written(WFS_C64, "[18446744073709551615]",
                      "{'descr': '<c8', 'fortran_order': False, 'shape': (18446744073709551615,), }", 128);
    ck_assert_written(WFS_U8, "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]",
                      "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, "
                      "1, 1, 1, 1, 1, 1), }",
                      192);
}

END_TEST

START_TEST(sub_byte_dtypes_and_more_than_64_dimensions_have_no_file)
{
    ck_assert(npy_can_show(WFS_BF16, 64));
    ck_assert(!npy_can_show(WFS_BF16, 65));
    ck_assert(!npy_can_show(WFS_F4, 1));
    ck_assert(!npy_can_show(WFS_F6_E2M3, 1));
    ck_assert(!npy_can_show(WFS_F6_E3M2, 1));
    ck_assert(!npy_can_show(WFS_DTYPE_COUNT, 0));
}

END_TEST

static int decode(const char *bytes, size_t size, struct npy_header *header, struct wfs_error *err)
{
    unsigned char *copy = malloc(size + 1); /* so that a sanitizer sees the end */
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, size);
    unsigned char *exact = realloc(copy, size ? size : 1);
    int r = npy_decode(exact, size, header, err);
    free(exact);
    return r;
}

/* A file of that version with that dictionary. */
static struct bytes file_of(unsigned version, const char *dictionary)
{
    struct bytes file = BYTES_EMPTY;
    size_t length = strlen(dictionary);
    bytes_append(&file, "\x93NUMPY", 6);
    bytes_char(&file, (char)version);
    bytes_char(&file, '\0');
    bytes_char(&file, (char)(length & 0xff));
    bytes_char(&file, (char)(length >> 8));
    if (version > 1)
        bytes_append(&file, "\0\0", 2);
    bytes_string(&file, dictionary);
    return file;
}

static struct npy_header read_right(unsigned version, const char *dictionary)
{
    struct npy_header header;
    struct wfs_error err = {0};
    struct bytes file = file_of(version, dictionary);
    int r = decode(file.data, file.length, &header, &err);
    ck_assert_msg(r == 0, "%s: %s", dictionary, err.text);
    ck_assert_uint_eq(header.data_offset, file.length);
    bytes_clear(&file);
    return header;
}

static void ck_assert_no_npy(const char *dictionary, const char *reason)
{
    struct npy_header header;
    struct wfs_error err = {0};
    struct bytes file = file_of(1, dictionary);
    ck_assert_msg(decode(file.data, file.length, &header, &err) == -EINVAL, "%s", dictionary);
    ck_assert_int_eq(err.code, WFS_CODE_NPY_INVALID);
    ck_assert_msg(strstr(err.text, reason) != NULL, "%s: %s", dictionary, err.text);
    bytes_clear(&file);
}

START_TEST(what_is_written_reads_back)
{
    for (int dtype = 0; dtype < WFS_DTYPE_COUNT; dtype++) {
        if (!npy_can_show((enum wfs_dtype)dtype, 2))
            continue;
        struct npy_header header;
        struct wfs_error err = {0};
        struct bytes file = encode((enum wfs_dtype)dtype, "[3,500]");
        ck_assert_int_eq(decode(file.data, file.length, &header, &err), 0);
        bool is_byte = wfs_dtype_bits((enum wfs_dtype)dtype) == 8;
        ck_assert_int_eq(header.dtype, header.is_void && is_byte ? WFS_DTYPE_COUNT : dtype);
        ck_assert_uint_eq(header.item_size * 8, wfs_dtype_bits((enum wfs_dtype)dtype));
        ck_assert_uint_eq(header.data_size, 1500 * header.item_size);
        ck_assert_uint_eq(header.data_offset, 128);
        ck_assert_uint_eq(header.rank, 2);
        ck_assert_mem_eq(header.shape, "\x03\xf4\x03", 3);
        ck_assert(!header.big_endian && !header.fortran_order);
        npy_header_clear(&header);
        bytes_clear(&file);
    }
}

END_TEST

START_TEST(descriptions_mean_what_numpy_means_by_them)
{
    static const struct {
        const char *descr;
        enum wfs_dtype dtype;
        unsigned item_size, swap_size;
        bool is_void, is_u2, big_endian;
    } cases[] = {
        {"'<f2'",   WFS_F16,         2, 2, false, false, false},
        {"'|b1'",   WFS_BOOL,        1, 1, false, false, false},
        {"'?'",     WFS_BOOL,        1, 1, false, false, false},
        {"'<c8'",   WFS_C64,         8, 4, false, false, false},
        {"'>c8'",   WFS_C64,         8, 4, false, false, true },
        {"'>f4'",   WFS_F32,         4, 4, false, false, true },
        {"'=f8'",   WFS_F64,         8, 8, false, false, false},
        {"'|i8'",   WFS_I64,         8, 8, false, false, false},
        {"'i4'",    WFS_I32,         4, 4, false, false, false},
        {"'>u1'",   WFS_U8,          1, 1, false, false, false},
        {"'|i1'",   WFS_I8,          1, 1, false, false, false},
        {"'<u2'",   WFS_U16,         2, 2, false, true,  false},
        {"'>u2'",   WFS_U16,         2, 2, false, true,  true },
        {"'<u4'",   WFS_U32,         4, 4, false, false, false},
        {"\"<u8\"", WFS_U64,         8, 8, false, false, false},
        {"'<i2'",   WFS_I16,         2, 2, false, false, false},
        {"'<V2'",   WFS_BF16,        2, 2, true,  false, false},
        {"'>V2'",   WFS_BF16,        2, 2, true,  false, false},
        {"'|V1'",   WFS_DTYPE_COUNT, 1, 1, true,  false, false},
        {"'<V1'",   WFS_DTYPE_COUNT, 1, 1, true,  false, false},
        {"'<f1'",   WFS_F8_E5M2,     1, 1, false, false, false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char dictionary[100];
        snprintf(dictionary, sizeof dictionary, "{'descr': %s, 'fortran_order': False, 'shape': (2,), }\n",
                 cases[i].descr);
        struct npy_header header = read_right(1, dictionary);
        ck_assert_msg(header.dtype == cases[i].dtype, "%s", cases[i].descr);
        ck_assert_uint_eq(header.item_size, cases[i].item_size);
        ck_assert_uint_eq(header.swap_size, cases[i].swap_size);
        ck_assert_msg(header.is_void == cases[i].is_void, "%s", cases[i].descr);
        ck_assert_msg(header.is_u2 == cases[i].is_u2, "%s", cases[i].descr);
        ck_assert_msg(header.big_endian == cases[i].big_endian, "%s", cases[i].descr);
        npy_header_clear(&header);
    }
}

END_TEST

START_TEST(dictionaries_may_be_written_otherwise)
{
    static const char *const texts[] = {
        "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }      \n",
        "{\"shape\":(2,3),\"fortran_order\":True,\"descr\":\"<f4\"}",
        " { 'fortran_order' : True , 'descr' : u'<f4' , 'shape' : ( 2 , 3 , ) , } ",
        "{'descr': u'<f4', 'fortran_order': True, 'shape': (2L, 3L)}\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        for (unsigned version = 1; version <= 3; version++) {
            struct npy_header header = read_right(version, texts[i]);
            ck_assert_int_eq(header.dtype, WFS_F32);
            ck_assert(header.fortran_order);
            ck_assert_uint_eq(header.rank, 2);
            ck_assert_mem_eq(header.shape, "\2\3", 2);
            ck_assert_uint_eq(header.data_size, 24);
            npy_header_clear(&header);
        }
    }
}

END_TEST

START_TEST(with_fewer_than_two_dimensions_there_is_but_one_order)
{
    struct npy_header header = read_right(1, "{'descr': '<f4', 'fortran_order': True, 'shape': (5,)}");
    ck_assert(!header.fortran_order);
    npy_header_clear(&header);
    header = read_right(1, "{'descr': '<f4', 'fortran_order': True, 'shape': ()}");
    ck_assert(!header.fortran_order);
    ck_assert_uint_eq(header.data_size, 4);
    npy_header_clear(&header);
}

END_TEST

#define WITH(descr, order, shape) "{'descr': " descr ", 'fortran_order': " order ", 'shape': " shape "}"

START_TEST(what_has_no_dtype_is_refused_with_the_reason)
{
    ck_assert_no_npy(WITH("'|O'", "False", "(2,)"), "Python objects");
    ck_assert_no_npy(WITH("'|O8'", "False", "(2,)"), "Python objects");
    ck_assert_no_npy(WITH("[('a', '<f4')]", "False", "(2,)"), "structures");
    ck_assert_no_npy(WITH("('<f4', (2,))", "False", "(2,)"), "structures");
    ck_assert_no_npy(WITH("'<U5'", "False", "(2,)"), "strings");
    ck_assert_no_npy(WITH("'|S5'", "False", "(2,)"), "strings");
    ck_assert_no_npy(WITH("'<M8[ns]'", "False", "(2,)"), "times");
    ck_assert_no_npy(WITH("'<c16'", "False", "(2,)"), "no dtype");
    ck_assert_no_npy(WITH("'<f16'", "False", "(2,)"), "no dtype");
    ck_assert_no_npy(WITH("'|V3'", "False", "(2,)"), "no dtype");
    ck_assert_no_npy(WITH("'|V16'", "False", "(2,)"), "no dtype");
    ck_assert_no_npy(WITH("'<W4'", "False", "(2,)"), "no dtype");
    ck_assert_no_npy(WITH("'<b2'", "False", "(2,)"), "no dtype");
    ck_assert_no_npy(WITH("''", "False", "(2,)"), "no type");
    ck_assert_no_npy(WITH("'<'", "False", "(2,)"), "no type");
}

END_TEST

START_TEST(what_is_no_header_is_refused_with_the_reason)
{
    ck_assert_no_npy("", "no dictionary");
    ck_assert_no_npy("[]", "no dictionary");
    ck_assert_no_npy("{}", "lacks");
    ck_assert_no_npy("{'descr': '<f4', 'shape': (2,)}", "lacks");
    ck_assert_no_npy("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", "twice");
    ck_assert_no_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}", "other keys");
    ck_assert_no_npy(WITH("'<f4'", "False", "(2,)") "x", "follows");
    ck_assert_no_npy(WITH("'<f4'", "1", "(2,)"), "neither True nor False");
    ck_assert_no_npy(WITH("'<f4'", "False", "(2)"), "a number");
    ck_assert_no_npy(WITH("'<f4'", "False", "[2]"), "no tuple");
    ck_assert_no_npy(WITH("'<f4'", "False", "(2 3)"), "no tuple");
    ck_assert_no_npy(WITH("'<f4'", "False", "(,)"), "whole numbers");
    ck_assert_no_npy(WITH("'<f4'", "False", "(-1,)"), "whole numbers");
    ck_assert_no_npy(WITH("'<f4'", "False", "(02,)"), "whole numbers");
    ck_assert_no_npy(WITH("'<f4'", "False", "(2.0,)"), "no tuple");
    ck_assert_no_npy(WITH("'<f4'", "False", "(18446744073709551616,)"), "64 bits");
    ck_assert_no_npy(WITH("'<f4'", "False", "(4294967296, 4294967296)"), "64 bits");
    ck_assert_no_npy(WITH("'<f8'", "False", "(2305843009213693952,)"), "64 bits");
    ck_assert_no_npy(WITH("'<f4", "False", "(2,)"), "cannot be read");
    ck_assert_no_npy(WITH("b'<f4'", "False", "(2,)"), "cannot be read");
    ck_assert_no_npy(WITH("'\\x3cf4'", "False", "(2,)"), "cannot be read");
    ck_assert_no_npy("{'descr': '<f4' 'fortran_order': False}", "cannot be read");
    ck_assert_no_npy(WITH("'<f4'", "False",
                          "(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"
                          "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)"),
                     "64 dimensions");
}

END_TEST

START_TEST(a_header_that_is_not_all_there_yet_may_come_again)
{
    struct npy_header header;
    struct wfs_error err = {0};
    struct bytes file = encode(WFS_F32, "[2,3]");
    for (size_t size = 0; size < file.length; size++) {
        ck_assert_int_eq(decode(file.data, size, &header, &err), -EAGAIN);
        ck_assert(npy_magic((const unsigned char *)file.data, size));
    }
    bytes_clear(&file);
}

END_TEST

START_TEST(other_files_versions_and_lengths_are_refused_at_once)
{
    struct npy_header header;
    struct wfs_error err = {0};
    ck_assert_int_eq(decode("\x93NUMPZ", 6, &header, &err), -EINVAL);
    ck_assert_int_eq(decode("x", 1, &header, &err), -EINVAL);
    ck_assert(!npy_magic((const unsigned char *)"x", 1));
    ck_assert_int_eq(decode("\x93NUMPY\4\0", 8, &header, &err), -EINVAL);
    ck_assert_int_eq(decode("\x93NUMPY\0\0", 8, &header, &err), -EINVAL);
    ck_assert_int_eq(decode("\x93NUMPY\1\1", 8, &header, &err), -EINVAL);
    ck_assert_int_eq(decode("\x93NUMPY\2\0\xf5\xff\0\0", 12, &header, &err), -EINVAL);
    ck_assert_int_eq(decode("\x93NUMPY\2\0\xf4\xff\0\0", 12, &header, &err), -EAGAIN);
    ck_assert_int_eq(decode("\x93NUMPY\2\0\xff\xff\xff\xff", 12, &header, &err), -EINVAL);
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        headers_are_those_of_numpy,
        sub_byte_dtypes_and_more_than_64_dimensions_have_no_file,
        what_is_written_reads_back,
        descriptions_mean_what_numpy_means_by_them,
        dictionaries_may_be_written_otherwise,
        with_fewer_than_two_dimensions_there_is_but_one_order,
        what_has_no_dtype_is_refused_with_the_reason,
        what_is_no_header_is_refused_with_the_reason,
        a_header_that_is_not_all_there_yet_may_come_again,
        other_files_versions_and_lengths_are_refused_at_once,
    };
    return RUN_TESTS("npy", tests);
}
