# SPDX-License-Identifier: Apache-2.0
"""Writes the files of this folder: good-* are right even to --strict, bad-RULE-* break exactly RULE.

python3 tests/corpus/generate.py [DIR]. The same bytes every time; every-rule-has-a-file-that-breaks-only-it.py compares.
"""
import json
import os
import struct
import sys
import zlib

FILES = {}


def add(name, why, data):
    assert name not in FILES
    FILES[name] = (why, data)


def frame(header, data=b"", length=None):
    if isinstance(header, str):
        header = header.encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def entry(dtype, shape, begin, end, more=""):
    return f'{{"dtype":"{dtype}","shape":{json.dumps(shape, separators=(",", ":"))},"data_offsets":[{begin},{end}]{more}}}'


def padded(header):
    header = header.encode()
    return header + b" " * (-len(header) % 8)


BITS = {"BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
        "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
        "C64": 64, "F64": 64, "I64": 64, "U64": 64}

# --- good ------------------------------------------------------------------------------------------------------

add("good-empty", "No tensor at all: ten bytes.", frame("{}"))
add("good-empty-padded", "No tensor, as the official writer pads it.", frame(padded("{}")))
add("good-metadata-only", "A map and no tensor.", frame(padded('{"__metadata__":{"framework":"pt"}}')))
add("good-metadata-empty", "An empty map.", frame(padded('{"__metadata__":{}}')))
add("good-metadata-last", "The map behind the tensors, its name escaped.",
    frame('{"a":' + entry("U8", [1], 0, 1) + ',"\\u005f_metadata__":{"format":"pt"}}', b"x"))
add("good-one", "One tensor.", frame(padded('{"test":' + entry("I32", [2, 2], 0, 16) + "}"), bytes(16)))
parts, at = [], 0
for dtype in reversed(BITS):
    parts.append(f'"{dtype.lower()}":' + entry(dtype, [2, 4], at, at + BITS[dtype]))
    at += BITS[dtype]
add("good-every-dtype", "All 22 dtypes, in the official order.", frame(padded("{" + ",".join(parts) + "}"), bytes(at)))
add("good-scalar", "A shape without dimensions is one element.", frame('{"s":' + entry("F64", [], 0, 8) + "}", bytes(8)))
add("good-zero-sized", "Tensors without bytes share a place with each other and with one that has bytes.",
    frame('{"a":' + entry("F32", [2, 0], 0, 0) + ',"b":' + entry("U8", [0], 0, 0) + ',"c":' + entry("U8", [3], 0, 3) + ',"d":' + entry("I64", [0, 9], 3, 3) + "}", b"xyz"))
add("good-zero-before-overflow", "A zero saves the product from overflowing when it comes first.",
    frame('{"a":' + entry("U8", [0, 2**63, 4], 0, 0) + "}"))
add("good-any-order", "The header need not have the order of the bytes.",
    frame('{"z":' + entry("U8", [2], 3, 5) + ',"a":' + entry("U8", [3], 0, 3) + "}", b"aaazz"))
add("good-unaligned", "Nothing says that a tensor begins at a multiple of its element size.",
    frame('{"a":' + entry("U8", [1], 0, 1) + ',"b":' + entry("F64", [1], 1, 9) + "}", bytes(9)))
add("good-names", "Names that need escapes, that are paths, that are empty.",
    frame("{" + ",".join(f"{json.dumps(name, ensure_ascii=False)}:" + entry("U8", [0], 0, 0)
                         for name in ["", "/", "..", "a/b", "\n", '"\\', "é", "\U0001f600", "\x7f", "x" * 300, "%2F", ".hidden", "~"]) + "}"))
add("good-escapes", "Names in escapes of every kind.", frame('{"\\u0061\\/\\"\\\\\\b\\f\\n\\r\\t\\ud83d\\ude00":' + entry("U8", [0], 0, 0) + "}"))
add("good-blanks", "Blanks between all tokens.",
    frame('{ "a" :\n{ "dtype"\t: "U8" , "shape" :\r[ 2 , 1 ] , "data_offsets" : [ 0 , 2 ] } }  ', b"xy"))
add("good-many-dimensions", "Nothing limits the rank.", frame('{"a":' + entry("U8", [1] * 1000, 0, 1) + "}", b"x"))

# --- the rules of the official library ---------------------------------------------------------------------------

add("bad-HeaderTooSmall-empty", "Nothing.", b"")
add("bad-HeaderTooSmall-seven", "One byte short of a length.", bytes(7))
add("bad-HeaderTooLarge-by-one", "A header of 100,000,001 bytes.", frame("{}", length=100_000_001))
add("bad-HeaderTooLarge-most", "The largest length there is; 8 + length overflows.", frame("{}", length=2**64 - 1))
add("bad-HeaderTooLarge-git-lfs-pointer", "A pointer in place of the file: run `git lfs pull`.",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n")
add("bad-HeaderTooLarge-html", "The page of a failed download.", b"<!DOCTYPE html>\n<html><head><title>401</title></head></html>\n")
add("bad-HeaderTooLarge-pt", "A PyTorch checkpoint (zip).",
    struct.pack("<4s5H3I2H", b"PK\3\4", 0, 0x808, 0, 0, 0, 0, 0, 0, 16, 0) + b"archive/data.pkl")
add("bad-HeaderTooLarge-pickle", "A Python pickle.", b"\x80\x02}q\x00X\x06\x00\x00\x00weightq\x01K\x01s.")
add("bad-HeaderTooLarge-gguf", "A GGUF model.", b"GGUF\3\0\0\0" + bytes(16))
add("bad-HeaderTooLarge-json", "The header without its length.", b'{"a":' + entry("U8", [1], 0, 1).encode() + b"}x")
add("bad-InvalidHeaderLength-nothing-there", "A length and nothing else.", frame("", length=60))
add("bad-InvalidHeaderLength-by-one", "The header lacks its last byte.", frame('{"a":1', length=7))
add("bad-InvalidHeader-byte", "A byte that no UTF-8 has.", frame(b"\xff"))
add("bad-InvalidHeader-overlong", "A slash in two bytes.", frame(b'{"\xc0\xaf":' + entry("U8", [0], 0, 0).encode() + b"}"))
add("bad-InvalidHeader-surrogate", "A surrogate as if it were a character.", frame(b'{"\xed\xa0\x80":' + entry("U8", [0], 0, 0).encode() + b"}"))
JSON = "bad-InvalidHeaderDeserialization-"
add(JSON + "empty", "A header of no bytes.", frame(""))
add(JSON + "cut", "It ends too early.", frame("{"))
add(JSON + "array", "An array.", frame("[]"))
add(JSON + "trailing-nul", "Padding of NUL.", frame(b"{}\0\0\0\0\0\0"))
add(JSON + "trailing-comma", "A comma too many.", frame('{"a":' + entry("U8", [0], 0, 0) + ",}"))
add(JSON + "byte-order-mark", "A byte order mark.", frame(b"\xef\xbb\xbf{}"))
add(JSON + "unknown-dtype", "A dtype of tomorrow.", frame('{"a":' + entry("F128", [0], 0, 0) + "}"))
add(JSON + "lower-case-dtype", "Case matters.", frame('{"a":' + entry("f32", [0], 0, 0) + "}"))
add(JSON + "missing-shape", "A member is missing.", frame('{"a":{"dtype":"U8","data_offsets":[0,0]}}'))
add(JSON + "dtype-twice", "A member occurs twice.", frame('{"a":{"dtype":"U8",' + entry("U8", [0], 0, 0)[1:] + "}"))
add(JSON + "float-dimension", "A dimension with a point.", frame('{"a":{"dtype":"U8","shape":[0.0],"data_offsets":[0,0]}}'))
add(JSON + "negative-offset", "An offset with a sign.", frame('{"a":{"dtype":"U8","shape":[0],"data_offsets":[-0,0]}}'))
add(JSON + "beyond-64-bits", "2^64.", frame('{"a":{"dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,0]}}'))
add(JSON + "three-offsets", "Offsets are two.", frame('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0,0]}}'))
add(JSON + "null-entry", "An entry that is null.", frame('{"a":null}'))
add(JSON + "metadata-number", "A value of the map that is no string.", frame('{"__metadata__":{"epoch":3}}'))
add(JSON + "metadata-twice", "The map occurs twice.", frame('{"__metadata__":{},"__metadata__":{}}'))
add(JSON + "metadata-tensor", "What the official writer makes of a tensor called __metadata__.",
    frame(padded('{"__metadata__":' + entry("F32", [2], 0, 8) + "}"), bytes(8)))
add(JSON + "out-of-range", "A number in an ignored member that no double can hold.",
    frame('{"a":' + entry("U8", [0], 0, 0, ',"x":1e400') + "}"))
add(JSON + "lone-surrogate", "Half of a surrogate pair, escaped.", frame('{"\\ud800":' + entry("U8", [0], 0, 0) + "}"))
add(JSON + "control-byte", "A raw newline in a name.", frame('{"a\nb":' + entry("U8", [0], 0, 0) + "}"))
add(JSON + "too-deep", "128 levels; 127 are the limit.", frame('{"a":' + entry("U8", [0], 0, 0, ',"x":' + "[" * 126 + "]" * 126) + "}"))
stsw = '{"__version__":"1.0","b":' + entry("F32", [3], 0, 12, f',"crc32":{zlib.crc32(bytes(12))}') + ',"a":' + entry("U8", [5], 64, 69, f',"crc32":{zlib.crc32(b"xxxxx")}') + "}"
add(JSON + "stsw", "A file as stsw writes it: a version among the tensors, gaps, trailing bytes. --tolerate stsw reads it.",
    frame(stsw + " " * (-(len(stsw) + 8) % 64), bytes(64) + b"xxxxx" + bytes(59)))
OFFSET = "bad-InvalidOffset-"
add(OFFSET + "hole", "A hole between two tensors.", frame('{"a":' + entry("U8", [2], 0, 2) + ',"b":' + entry("U8", [2], 4, 6) + "}", bytes(6)))
add(OFFSET + "first", "The first tensor does not begin at 0.", frame('{"a":' + entry("U8", [2], 8, 10) + "}", bytes(10)))
add(OFFSET + "overlap", "Two tensors overlap.", frame('{"a":' + entry("U8", [4], 0, 4) + ',"b":' + entry("U8", [4], 2, 6) + "}", bytes(6)))
add(OFFSET + "shared", "Two tensors on the same bytes.", frame('{"a":' + entry("U8", [4], 0, 4) + ',"b":' + entry("U8", [4], 0, 4) + "}", bytes(4)))
add(OFFSET + "reversed", "A tensor that ends before it begins.", frame('{"a":' + entry("U8", [4], 0, 4) + ',"b":' + entry("U8", [4], 4, 0) + "}", bytes(4)))
add(OFFSET + "json-attack", "Ten tensors on sixteen bytes (a test of the official library).",
    frame("{" + ",".join(f'"weight_{i}":' + entry("F32", [2, 2], 0, 16) for i in range(10)) + "}", bytes(16)))
OVERFLOW = "bad-ValidationOverflow-"
add(OVERFLOW + "elements", "The product of the dimensions exceeds 64 bits.", frame('{"a":' + entry("I32", [2, 2**64 - 2], 0, 16) + "}", bytes(16)))
add(OVERFLOW + "bits", "The number of bits does.", frame('{"a":' + entry("I32", [2, 2**63 - 1], 0, 16) + "}", bytes(16)))
add(OVERFLOW + "before-zero", "A zero behind the overflow comes too late.", frame('{"a":' + entry("U8", [2**63, 4, 0], 0, 0) + "}"))
SLICE = "bad-MisalignedSlice-"
add(SLICE + "f4", "Three elements of four bits.", frame('{"a":' + entry("F4", [1, 3], 0, 2) + "}", bytes(2)))
add(SLICE + "f6", "Two elements of six bits.", frame('{"a":' + entry("F6_E2M3", [2], 0, 1) + "}", bytes(1)))
INFO = "bad-TensorInvalidInfo-"
add(INFO + "short", "Four bytes for four elements of four.", frame('{"a":' + entry("I32", [2, 2], 0, 4) + "}", bytes(4)))
add(INFO + "long", "A byte too many.", frame('{"a":' + entry("U8", [2], 0, 3) + "}", bytes(3)))
add(INFO + "scalar", "A scalar has one element, not none.", frame('{"a":' + entry("U8", [], 0, 0) + "}"))
BUFFER = "bad-MetadataIncompleteBuffer-"
add(BUFFER + "truncated", "The last two bytes are missing.", frame('{"a":' + entry("U8", [4], 0, 4) + "}", bytes(2)))
add(BUFFER + "trailing", "A file of another kind behind the last tensor.", frame('{"a":' + entry("U8", [4], 0, 4) + "}", bytes(4) + b"PK\3\4"))
add(BUFFER + "no-tensor", "Bytes that no tensor covers.", frame("{}", b"x"))

# --- ours ------------------------------------------------------------------------------------------------------

DUPLICATE = "bad-DuplicateTensor-"
add(DUPLICATE + "identical", "The same entry twice; the official library takes the last.",
    frame('{"a":' + entry("U8", [1], 0, 1) + ',"a":' + entry("U8", [1], 0, 1) + "}", b"x"))
add(DUPLICATE + "escaped", "One of them written with an escape.",
    frame('{"a":' + entry("U8", [1], 0, 1) + ',"\\u0061":' + entry("U8", [1], 1, 2) + "}", b"xy"))
add(DUPLICATE + "hidden-loser", "The first would be wrong on its own.",
    frame('{"a":' + entry("F64", [9], 7, 3) + ',"b":' + entry("U8", [1], 1, 2) + ',"a":' + entry("U8", [1], 0, 1) + "}", b"xy"))
keys = ["key01", "key01", "key01", "key03", "key03", "key04"]
add(DUPLICATE + "util", "Keys as in safetensors_util's duplicate_keys_in_header.",
    frame("{" + ",".join(f'"{key}":' + entry("U8", [1], i, i + 1) for i, key in enumerate(keys)) + "}", bytes(6)))

# --- strict ----------------------------------------------------------------------------------------------------

add("bad-StrictHeaderStart-newline", "A newline before the '{'.", frame("\n{}"))
add("bad-StrictPadding-newline", "A newline behind the '}'.", frame("{}\n"))
add("bad-StrictPadding-mixed", "Blanks of all kinds behind the '}'.", frame("{} \t\r\n "))
add("bad-StrictNulInName-end", "A name that C code would cut.", frame('{"a\\u0000":' + entry("U8", [0], 0, 0) + ',"a":' + entry("U8", [0], 0, 0) + "}"))
add("bad-StrictReservedName-strings", "A map that has all that a tensor's entry has.",
    frame('{"__metadata__":{"dtype":"F32","shape":"[1]","data_offsets":"[0,4]"}}'))
add("bad-StrictUnknownField-crc32", "A checksum inside an entry.", frame('{"a":' + entry("U8", [1], 0, 1, f',"crc32":{zlib.crc32(b"x")}') + "}", b"x"))
add("bad-StrictUnknownField-deep", "127 levels in all.", frame('{"a":' + entry("U8", [0], 0, 0, ',"x":' + "[" * 125 + "]" * 125) + "}"))
add("bad-StrictUnknownField-numbers", "Numbers that a double can hold, or that it rounds to nothing.",
    frame('{"a":' + entry("U8", [0], 0, 0, ',"x":[1e-400,0e999999999999,18446744073709551616,-0,1.7976931348623157e308]') + "}"))
add("bad-StrictEntryForm-array", "An entry that is an array of three.", frame('{"a":["U8",[1],[0,1]]}', b"x"))
add("bad-StrictEntryForm-dtype-object", "A dtype that is an object.", frame('{"a":{"dtype":{"U8":null},"shape":[1],"data_offsets":[0,1]}}', b"x"))
add("bad-StrictDuplicateKey-metadata", "A key of the map twice.", frame('{"__metadata__":{"a":"1","a":"2"}}'))
add("bad-StrictNullMetadata-null", "No map, said aloud.", frame('{"__metadata__":null}'))


def readme():
    lines = ["# Files that are right, and files that break one rule each", "",
             "Written by `generate.py`; docs/format.md explains the rules.", ""]
    lines += [f"- `{name}.safetensors`: {why}" for name, (why, _) in sorted(FILES.items())]
    return ("\n".join(lines) + "\n").encode()


def main(directory):
    for name, (_, data) in FILES.items():
        with open(os.path.join(directory, name + ".safetensors"), "wb") as file:
            file.write(data)
    with open(os.path.join(directory, "README.md"), "wb") as file:
        file.write(readme())


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__)))
