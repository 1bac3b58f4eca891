# SPDX-License-Identifier: Apache-2.0
# Gaps, trailing bytes, padding, metadata that is no string, the same entry twice, stsw's members: mended, each thing told. What is not
# certain is refused, and nothing is written.
import zlib
from wfs import *

entry = '"%s":{"dtype":"U8","shape":[%d],"data_offsets":[%d,%d]}'


def repair(name, header, data, wanted, metadata, *told):
    write(name, frame(header, data))
    result = weightfs("repair", name, "out")
    judge("out", {key: ("U8", [len(value)], value) for key, value in wanted.items()}, metadata)
    equal(read("out"), build({key: ("U8", [len(value)], value) for key, value in wanted.items()}, metadata), f"{name}: canonical")
    lines = result.out.splitlines()
    equal(len(lines), len(told), f"lines of {lines}")
    for line, piece in zip(lines, told):
        contains(line, f"{name}: ", piece)
    os.unlink("out")


a, b = entry % ("a", 2, 0, 2), entry % ("b", 3, 2, 5)
repair("fine", "{" + a + "," + b + "}", b"12345", {"a": b"12", "b": b"345"}, None, "nothing to mend")
repair("gap", "{" + entry % ("a", 2, 4, 6) + "," + entry % ("b", 3, 10, 13) + "}", b"xxxx12xxxx345", {"a": b"12", "b": b"345"}, None,
       "tensor 'a': a hole of 4 bytes lay before it", "tensor 'b': a hole of 4 bytes lay before it")
repair("trailing", "{" + a + "," + b + "}", b"12345and more", {"a": b"12", "b": b"345"}, None, "8 bytes lay behind the last tensor")
repair("padding", ("{" + a + "," + b + "}").encode() + b"\0\0\n", b"12345", {"a": b"12", "b": b"345"}, None, "3 bytes that are no spaces")
repair("start", " \n{" + a + "," + b + "}", b"12345", {"a": b"12", "b": b"345"}, None, "began with 2 blanks")
repair("metadata", '{"__metadata__":{"n":1.50,"list":[1, "x"],"s":"kept","null":null,"o":{"a":{}}},' + a + "," + b + "}", b"12345", {"a": b"12", "b": b"345"},
       {"n": "1.50", "list": '[1, "x"]', "s": "kept", "null": "null", "o": '{"a":{}}'}, "'n'", "'list'", "'null'", "'o'")
repair("twice", "{" + a + "," + b + "," + a + "}", b"12345", {"a": b"12", "b": b"345"}, None, "tensor 'a': the same entry stood twice")
repair("special twice", '{"__x__":1,' + a + ',"__x__":[2],' + b + "}", b"12345", {"a": b"12", "b": b"345"}, None, "'__x__'", "'__x__'")
repair("written otherwise", "{" + a + "," + b + ',"a": { "shape":[2 ], "x":[], "data_offsets":[0,2],"dtype":"U8"}, "a":["U8",[2],[0,2]]}', b"12345",
       {"a": b"12", "b": b"345"}, None, "tensor 'a': the same tensor stood twice", "tensor 'a': the same tensor stood twice")
repair("elsewhere", "{" + a + "," + b + "," + entry % ("a", 2, 5, 7) + "}", b"1234512", {"a": b"12", "b": b"345"}, None,
       "tensor 'a': the same tensor stood twice", "2 bytes lay behind the last tensor")
repair("elsewhere before", "{" + entry % ("a", 2, 5, 7) + "," + b + "," + a + "}", b"1234512", {"a": b"12", "b": b"345"}, None,
       "tensor 'a': the same tensor stood twice", "tensor 'b': a hole of 2 bytes lay before it")
repair("stsw", '{"__version__":"1.0",' + a + "," + entry % ("b", 3, 64, 67) + "}", b"12" + bytes(62) + b"345" + bytes(61),
       {"a": b"12", "b": b"345"}, None, "'__version__'", "a hole of 62 bytes", "61 bytes lay behind")

# Checksums are compared before, and written anew.
crc = '"%s":{"dtype":"U8","shape":[9],"data_offsets":[%d,%d],"crc32":%d}'
good, xxh32 = zlib.crc32(b"123456789"), 0x937bad67  # XXH32 of the same bytes
write("crc", frame('{"__version__":"1.0",' + crc % ("a", 0, 9, good) + "," + crc % ("b", 64, 73, xxh32) + "}", b"123456789" + bytes(55) + b"123456789" + bytes(55)))
contains(weightfs("verify", "--tolerate", "stsw", "--crc", "crc").out, "2 checksums compared")
contains(weightfs("repair", "crc", "out").out, "1 checksums were XXH32 and are now CRC-32")
contains(weightfs("verify", "--crc", "out").out, "2 checksums compared")
judge("out", {"a": ("U8", [9], b"123456789"), "b": ("U8", [9], b"123456789")})

# Beyond mending
write("out", b"old")
for name, header, data, code, piece in (
        ("incomplete", '{"__incomplete__":true,' + a + "}", b"12", 2, "did not finish"),
        ("other bytes", "{" + a + "," + b + "," + entry % ("a", 2, 5, 7) + "}", b"1234513", 2, "DuplicateTensor"),
        ("beyond", "{" + a + "," + b + "," + entry % ("a", 2, 2**63, 2**63 + 2) + "}", b"12345", 2, "DuplicateTensor"),
        ("other dtype", "{" + a + "," + b + "," + a.replace("U8", "I8") + "}", b"12345", 2, "DuplicateTensor"),
        ("other shape", "{" + a + "," + b + "," + a.replace("[2]", "[1,2]") + "}", b"12345", 2, "DuplicateTensor"),
        ("other sum", "{" + a + "," + b + "," + a.replace("[0,2]", '[0,2],"crc32":7') + "}", b"12345", 2, "DuplicateTensor"),
        ("no entry", "{" + a + "," + b + ',"a":[]}', b"12345", 2, "DuplicateTensor"),
        ("other twice", "{" + a + "," + entry % ("a", 3, 2, 5) + "}", b"12345", 2, "DuplicateTensor"),
        ("overlap", "{" + a + "," + entry % ("b", 3, 1, 4) + "}", b"1234", 2, "InvalidOffset"),
        ("cut", "{" + a + "," + b + "}", b"1234", 2, "MetadataIncompleteBuffer"),
        ("size", "{" + entry % ("a", 2, 0, 5) + "}", b"12345", 2, "TensorInvalidInfo"),
        ("json", "{" + a, b"12", 2, "InvalidHeaderDeserialization"),
        ("utf8", b"{\"\xff\"}", b"", 2, "InvalidHeader"),
        ("damaged", "{" + crc % ("a", 0, 9, 5) + "}", b"123456789", 1, "ChecksumMismatch")):
    write(name, frame(header, data))
    contains(one_sentence(weightfs("repair", "-f", name, "out", code=code).err), piece)
    equal(read("out"), b"old", f"{name}: the old file")
write("fine", frame("{" + a + "," + b + "}", b"12345"))
weightfs("repair", "fine", "out", code=3)
weightfs("repair", "-f", "fine", "fine")
weightfs("verify", "--strict", "fine")
weightfs("repair", "missing", "out", code=2)
