/* SPDX-License-Identifier: Apache-2.0 */
#include "format/sniff.h"
#include "unit/scratch.h"

static void ck_assert_kind(const char *bytes, size_t size, const char *expected)
{
    unsigned char *exact = malloc(size ? size : 1); /* so that a sanitizer sees the end */
    ck_assert_ptr_nonnull(exact);
    memcpy(exact, bytes, size);
    const char *kind = sniff(exact, size);
    free(exact);
    if (!expected)
        ck_assert_ptr_null(kind);
    else
        ck_assert_msg(kind && strstr(kind, expected), "%s, not %s", kind ? kind : "nothing", expected);
}

#define KIND(bytes, expected) ck_assert_kind(bytes, sizeof(bytes) - 1, expected)

START_TEST(common_files_are_named_for_what_they_are)
{
    KIND("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "git lfs pull");
    KIND("GGUF\3\0\0\0", "GGUF");
    KIND("\x1f\x8b\x08", "gzip");
    KIND("\x28\xb5\x2f\xfd\x04", "zstd");
    KIND("\x89HDF\r\n\x1a\n", "HDF5");
    KIND("\x93NUMPY\1\0v\0{'descr'", ".npy");
    KIND("<!DOCTYPE html>", "HTML");
    KIND("\xef\xbb\xbf\n <HTML lang=en>", "HTML");
    KIND("<head><title>", "HTML");
    KIND("<BODY>", "HTML");
    KIND("<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code>", "XML");
    KIND("{\"a\":{\"dtype\":\"F32\"}}", "JSON");
    KIND("{}", "JSON");
    KIND("{\n  \"error\": \"not found\"}", "JSON");
    KIND("Entry not found", "text");
    KIND("\xc3\xa9t\xc3\xa9", "text");
    KIND("cut in a character \xf0\x9f\x98", "text");
    KIND("not UTF-8 \xf0\x9f\x98\xff", NULL);
    KIND("\0\0\0\0\0\0\0\0\0\0", "zero");
}

END_TEST

START_TEST(zips_are_told_apart_by_their_first_member)
{
    static const char head[] = "PK\3\4\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    char zip[100];

    static const struct {
        const char *member;
        const char *kind;
    } members[] = {
        {"archive/data.pkl", ".pt"   },
        {"archive/version",  ".pt"   },
        {"weight.npy",       ".npz"  },
        {"metadata.json",    ".keras"},
        {"README",           "zip"   },
        {"",                 "zip"   }
    };

    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        size_t length = strlen(members[i].member);
        memcpy(zip, head, 26);
        zip[26] = (char)length;
        memset(zip + 27, 0, 3);
        memcpy(zip + 30, members[i].member, length);
        ck_assert_kind(zip, 30 + length, members[i].kind);
    }
    KIND("PK\5\6", "zip");
}

END_TEST

START_TEST(pickles_are_recognised_old_and_new)
{
    KIND("\x80\2}q\0(", "pickle");
    KIND("\x80\4\x95\x10\0\0\0\0\0\0\0", "pickle");
    KIND("\x80\2\x8a\nl\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", "pickle");
    KIND("\x80\1xx", NULL);
}

END_TEST

START_TEST(a_tar_is_recognised_behind_its_first_name)
{
    char tar[512] = "model.safetensors";
    memcpy(tar + 257, "ustar", 6);
    ck_assert_kind(tar, sizeof tar, "tar");
}

END_TEST

START_TEST(onnx_is_recognised_by_its_producer)
{
    KIND("\x08\x07\x12\x07pytorch\x1a\x03"
         "2.0",
         "ONNX");
    KIND("\x08\x07\x12\x07someone\x1a\x03"
         "2.0",
         NULL);
}

END_TEST

START_TEST(a_header_whose_length_reads_like_a_magic_is_a_header)
{
    KIND("\x1f\x8b\x08\0\0\0\0\0{\"a\":", NULL);
    KIND("\x80\2}\0\0\0\0\0{\"a\":", NULL);
    KIND("BZh\0\0\0\0\0 {}", NULL);
    KIND("\x1f\x8b\0\0\0\0\0\0\0\xff", NULL);
}

END_TEST

START_TEST(other_bytes_are_nothing_that_we_know)
{
    KIND("", NULL);
    KIND("\x40\0\0\0\0\0\0\0{\"a\":{", NULL);
    KIND("\xff\xfe\0\1", NULL);
}

END_TEST

START_TEST(every_beginning_can_be_looked_at)
{
    static const char bytes[] = "PK\3\4\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
                                "\xff\xff\xff\xff\xff\xff\xff\xff\xff name";
    for (size_t size = 0; size < sizeof bytes; size++) {
        unsigned char *exact = malloc(size ? size : 1);
        ck_assert_ptr_nonnull(exact);
        memcpy(exact, bytes, size);
        (void)sniff(exact, size);
        free(exact);
    }
}

END_TEST

int main(void)
{
    const TTest *const tests[] = {
        common_files_are_named_for_what_they_are, zips_are_told_apart_by_their_first_member,
        pickles_are_recognised_old_and_new,       a_tar_is_recognised_behind_its_first_name,
        onnx_is_recognised_by_its_producer,       a_header_whose_length_reads_like_a_magic_is_a_header,
        other_bytes_are_nothing_that_we_know,     every_beginning_can_be_looked_at,
    };
    return RUN_TESTS("sniff", tests);
}
