# SPDX-License-Identifier: Apache-2.0
# mount of a file that is no model: exit 2, one sentence with the official error name or what the file really is, nothing left mounted.
from wfs import *

requires("fuse")


def entry(name, begin, end, dtype="U8", shape=None):
    return f'"{name}":{{"dtype":"{dtype}","shape":{json.dumps([end - begin] if shape is None else shape)},"data_offsets":[{begin},{end}]}}'


good = build({"x": tensor("U8", [64])})
CASES = {  # file: (bytes, pieces of the message)
    "empty": (b"", ["HeaderTooSmall"]),
    "seven-bytes": (b"1234567", ["HeaderTooSmall"]),
    "truncated-data": (good[:-10], ["MetadataIncompleteBuffer"]),
    "truncated-header": (good[:30], ["InvalidHeaderLength"]),
    "trailing-bytes": (good + b"more", ["MetadataIncompleteBuffer"]),
    "oversized-header": (struct.pack("<Q", 100_000_001) + b"{}", ["HeaderTooLarge"]),
    "enormous-header": (struct.pack("<Q", 2**64 - 1) + b"{}", ["HeaderTooLarge"]),
    "not-utf8": (frame(b'{"\xff\xfe":1}'), ["InvalidHeader"]),
    "no-json": (frame('{"x":'), ["InvalidHeaderDeserialization"]),
    "deep-json": (frame('{"x":' + "[" * 50000 + "]" * 50000 + "}"), ["InvalidHeaderDeserialization"]),
    "unknown-dtype": (frame("{" + entry("x", 0, 4, "F99") + "}", b"1234"), ["InvalidHeaderDeserialization"]),
    "hole": (frame("{" + entry("x", 0, 4) + "," + entry("y", 8, 12) + "}", b"0" * 12), ["InvalidOffset", "'y'"]),
    "overlap": (frame("{" + entry("x", 0, 4) + "," + entry("y", 2, 6) + "}", b"0" * 6), ["InvalidOffset", "'y'"]),
    "wrong-size": (frame("{" + entry("x", 0, 4, "F32", [2]) + "}", b"0" * 4), ["TensorInvalidInfo", "'x'"]),
    "overflow": (frame("{" + entry("x", 0, 4, "F32", [2**62, 2**62]) + "}", b"0" * 4), ["ValidationOverflow", "'x'"]),
    "sub-byte": (frame("{" + entry("x", 0, 4, "F4", [3]) + "}", b"0" * 4), ["MisalignedSlice", "'x'"]),
    "duplicate": (frame("{" + entry("x", 0, 4) + "," + entry("x", 4, 8) + "}", b"0" * 8), ["DuplicateTensor", "'x'"]),
    "lfs-pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 123456\n", ["LFS"]),
    "torch.pt": (b"PK\x03\x04" + b"\0" * 26 + b"archive/data.pkl" + b"\0" * 100, [".pt", "zip"]),
    "pickle": (b"\x80\x02}q\x00." + b"\0" * 100, ["pickle"]),
    "gguf": (b"GGUF\x03\0\0\0" + b"\0" * 100, ["GGUF"]),
    "page.html": (b"<!DOCTYPE html><html><head><title>404</title></head></html>" + b" " * 100, ["HTML"]),
    "garbage": (bytes(range(255, 155, -1)), ["HeaderTooLarge"]),
    "escape-sequence": (frame("{" + entry("\\u001b[31mx\\n", 4, 8) + "}", b"0" * 8), ["InvalidOffset"]),
}

os.mkdir("mnt")
for name, (data, pieces) in CASES.items():
    path = f"{name}.safetensors"
    write(path, data)
    for options in ([], ["-f"]):
        result = weightfs("mount", *options, path, "mnt", code=2)
        message = one_sentence(result.err)
        equal(result.out, "", f"stdout for {name}")
        contains(message, "weightfs: ", path)
        if pieces and not any(piece in message for piece in pieces):
            fail(f"{name}: none of {pieces} in: {message}")
        if name in ("hole", "overlap", "wrong-size", "overflow", "sub-byte", "duplicate"):
            contains(message, *pieces)
        equal(os.path.ismount("mnt"), False, f"mounted after {name}")
        equal(os.listdir("mnt"), [], f"mount point after {name}")
    equal(read(path), data, f"{name} afterwards")

# Other things that cannot be mounted, and a place that cannot be mounted on.
equal(one_sentence(weightfs("mount", "missing.safetensors", "mnt", code=2).err).count("missing.safetensors"), 1, "path in the message")
os.mkdir("directory")
os.mkfifo("pipe.safetensors")
weightfs("mount", "pipe.safetensors", "mnt", code=2, timeout=10)
write("good.safetensors", good)
result = weightfs("mount", "good.safetensors", "nowhere/at/all", code=None)
equal(result.code in (2, 4), True, f"exit code {result}")
equal(sorted(os.listdir(".")), sorted([f"{n}.safetensors" for n in CASES] + ["mnt", "directory", "pipe.safetensors", "good.safetensors"]), "files left")
