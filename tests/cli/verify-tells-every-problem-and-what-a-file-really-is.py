# SPDX-License-Identifier: Apache-2.0
from wfs import *

save_small("good.safetensors")
entry = '"%s":{"dtype":"U8","shape":[%d],"data_offsets":[%d,%d]}'
write("hole.safetensors", frame("{" + ",".join([entry % ("a", 2, 0, 2), entry % ("b", 3, 4, 6)]) + "}", b"123456"))
result = weightfs("verify", "hole.safetensors", code=1)
equal(result.err.splitlines(), ["weightfs: hole.safetensors: tensor 'b': InvalidOffset: begins at 4, expected 2 (a hole of 2 bytes)",
                                "weightfs: hole.safetensors: tensor 'b': TensorInvalidInfo: has 2 bytes, expected 3 for U8 [3]"], "problems")
equal(weightfs("verify", "good.safetensors", "good.safetensors").out, "good.safetensors: ok, 12 tensors\n" * 2, "good files")

for name, data, error, kind in (
        ("lfs", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "HeaderTooLarge", "LFS"),
        ("html", b"<!DOCTYPE html><html></html>", "HeaderTooLarge", "HTML"),
        ("pt", b"PK\x03\x04" + bytes(100), None, "zip"),
        ("gguf", b"GGUF\x03\0\0\0" + bytes(100), None, "GGUF"),
        ("empty", b"", "HeaderTooSmall", None),
        ("cut", read("good.safetensors")[:-10], "MetadataIncompleteBuffer", None),
        ("short", read("good.safetensors")[:50], "InvalidHeaderLength", None),
        ("utf8", frame(b"\xff"), "InvalidHeader", None),
        ("json", frame("{"), "InvalidHeaderDeserialization", None)):
    write(name, data)
    result = weightfs("verify", name, code=1)
    contains(result.err, f"weightfs: {name}: ", *([error] if error else []), *([kind] if kind else []))
    report = weightfs("verify", "--json", name, code=1).json()
    equal((report["valid"], report["file"]), (False, name), name)
    if error:
        equal(report["error"], error, name)
    contains(report["kind"] or "", kind or "")

# exit codes: a file that cannot be read is worse than one that is wrong
weightfs("verify", "good.safetensors", "hole.safetensors", code=1)
result = weightfs("verify", "missing", "hole.safetensors", "good.safetensors", code=2)
contains(result.err, "missing", "hole.safetensors")
contains(result.out, "good.safetensors: ok")
weightfs("verify", ".", code=2)
lines = weightfs("verify", "--json", "missing", "good.safetensors", code=2).json_lines()
equal([line["valid"] for line in lines], [False, True], "valid")
weightfs("verify", code=2)
weightfs("verify", "--tolerate", "everything", "good.safetensors", code=2)

# strict rules on request, with the official verdict beside them
write("strict", frame(' {"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}}\n', b"1"))
weightfs("verify", "strict")
report = weightfs("verify", "--strict", "--json", "strict", code=1).json()
equal(report["error"], None, "the official verdict")
equal([problem["code"] for problem in report["problems"]], ["StrictHeaderStart", "StrictUnknownField", "StrictPadding"], "strict problems")
for problem in report["problems"]:
    equal(sorted(problem), ["code", "expected", "found", "message", "offset", "severity", "tensor"], "keys of a problem")

# each problem says where it is, what was expected and what was found: in every broken file there is
corpus = f"{os.environ['WEIGHTFS_SOURCE']}/tests/corpus"
broken = sorted(f"{corpus}/{name}" for name in os.listdir(corpus) if name.startswith("bad-"))
for report in weightfs("verify", "--strict", "--json", *broken, code=1).json_lines():
    for problem in report["problems"]:
        if None in (problem["offset"], problem["expected"], problem["found"]):
            fail(f"{report['file']}: {problem}")
weightfs("verify", *broken, code=1)
save("sums", {"a": tensor("U8", [4])})
write("sums", frame('{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4],"crc32":1},"b":{"dtype":"U8","shape":[1],"data_offsets":[4,5]}}', b"12345"))
problems = weightfs("verify", "--crc", "--json", "sums", code=1).json()["problems"]
start = len(read("sums")) - 5
equal([(problem["severity"], problem["tensor"], problem["offset"], problem["expected"], problem["found"]) for problem in problems],
      [("error", "a", start, "00000001", "9be3e0a3"), ("warning", "b", start + 4, "a checksum", "none")], "checksums")

# what is no file at all is named, and waits for nobody
os.mkfifo("fifo")
contains(weightfs("verify", "fifo", code=2).err, "fifo: is a FIFO, expected a regular file\n")
contains(weightfs("verify", "/dev/null", code=2).err, "/dev/null: is a device, expected a regular file\n")

# a line of JSON goes out in pieces: millions of problems need no memory
many = ",".join(f'"{i}":["U8",[1],[0,0]]' for i in range(240000))
write("many", frame("{" + many + "}"))
limit = "" if b"__asan_init" in read(os.environ["WEIGHTFS"]) else "ulimit -d 32768;"
report = json.loads(shell(f"({limit} $WEIGHTFS verify --json many || test $? = 1)").out)
equal((len(report["problems"]), report["valid"], report["error"]), (240000, False, "TensorInvalidInfo"), "many problems")
