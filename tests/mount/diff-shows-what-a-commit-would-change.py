# SPDX-License-Identifier: Apache-2.0
# weightfs diff: kinds, dtype, shape and size before and after, differing bytes, metadata, places; the same of a mount, of the file
# with what is staged, and (but for renames and patches) of the two files; exit 1 where there is a difference.
from wfs import *

requires("fuse")
FILE = "m.safetensors"
wanted = save_small(FILE)
write("old", read(FILE))


def told(result):
    diff = result.json()
    return {c["tensor"]: (c["kind"], c["from"], c["old"] and (c["old"]["dtype"], c["old"]["shape"], c["old"]["size"]),
                          (c["dtype"], c["shape"], c["size"]),
                          c["bytes"] and (c["bytes"]["compared"], c["bytes"]["differing"], c["bytes"]["first"]))
            for c in diff["changes"]}, {p["key"]: (p["from"], p["to"]) for p in diff["metadata"]}


F32, F16 = ("F32", [100], 400), ("F16", [16, 16], 512)
with Mount(FILE) as m:
    equal(weightfs("diff", "mnt").out, "", "diff of nothing")
    equal(told(weightfs("diff", "--json", "mnt")), ({}, {}), "diff of nothing")
    data = bytearray(wanted["a"][2])
    data[3] ^= 1
    data[39] ^= 255
    write(m.staged("a"), data)
    with open(m.staged("layers.0.w"), "r+b") as file:
        file.seek(500)
        file.write(bytes(255 - b for b in wanted["layers.0.w"][2][500:507]))
    os.rename(m.staged("scalar"), m.staged("moved"))
    os.rename(m.staged("layers.2.w"), m.staged("layers.3.w"))
    with open(m.staged("layers.3.w"), "ab") as file:  # renamed and changed
        file.write(b"12")
    os.unlink(m.staged("flags"))
    write(m.staged("undeclared"), b"12345")
    os.setxattr(m.staged("optimizer.m"), "user.safetensors.dtype", b"I32")
    write(m.staging + "/metadata.json", json.dumps({"__metadata__": {"title": "x", "format": "np"}}).encode())
    expected = {
        "a": ("replaced", None, ("I64", [5], 40), ("I64", [5], 40), (40, 2, 3)),
        "layers.0.w": ("patched", None, F16, F16, (512, 7, 500)),
        "moved": ("renamed", "scalar", ("F64", [], 8), ("F64", [], 8), (8, 0, None)),
        "layers.3.w": ("renamed", "layers.2.w", F16, ("F16", [16, 16], 514), (512, 0, None)),
        "flags": ("removed", None, ("BOOL", [13], 13), ("BOOL", [13], 13), None),
        "undeclared": ("added", None, None, (None, None, 5), None),
        "optimizer.m": ("declared", None, F32, ("I32", [100], 400), (400, 0, None)),
    }
    pairs = {"format": ("pt", "np"), "title": (None, "x")}
    equal(told(weightfs("diff", "--json", "mnt", code=1)), (expected, pairs), "diff of a mount")
    text = weightfs("diff", "mnt", code=1).out
    contains(text, "layers.2.w -> layers.3.w  F16 [16,16]  512 B -> 514 B\n", "7 of 512 bytes differ, the first at 500\n",
             "F32 [100] -> I32 [100]", 'format: "pt" -> "np"\n', 'title: added "x"\n', "problem: 2 problems keep this")
    equal("\033" in text, False, "colour")
    weightfs("discard", "mnt", "undeclared", "layers.*")
    del expected["undeclared"], expected["layers.0.w"], expected["layers.3.w"]
    equal(told(weightfs("diff", "--json", "mnt", code=1)), (expected, pairs), "diff after a discard")
    layout = weightfs("diff", "--json", "mnt", code=1).json()["layout"]
    preview = read(m.preview)
    equal((layout["data_offset"] - 8, layout["old_data_offset"] - 8),
          (struct.unpack("<Q", preview[:8])[0], struct.unpack("<Q", read("old")[:8])[0]), "data offsets")
equal(told(weightfs("diff", "--json", FILE, code=1)), (expected, pairs), "diff of a file with staged edits")
contains(weightfs("diff", FILE, code=1).out, "scalar -> moved")

weightfs("commit", FILE)
equal(read(FILE), preview, "committed")
weightfs("diff", FILE)
expected |= {"moved": ("added", None, None, ("F64", [], 8), None), "scalar": ("removed", None, ("F64", [], 8), ("F64", [], 8), None)}
equal(told(weightfs("diff", "--json", "old", FILE, code=1)), (expected, pairs), "diff of two files")
backwards, back_pairs = told(weightfs("diff", "--json", FILE, "old", code=1))
equal((backwards["moved"][0], backwards["scalar"][0], back_pairs["title"]), ("removed", "added", ("x", None)), "backwards")
weightfs("diff", FILE, FILE)

# Refusals
weightfs("diff", code=2)
weightfs("diff", FILE, "missing", code=2)
write("broken", b"no model")
weightfs("diff", FILE, "broken", code=2)
weightfs("diff", "missing", code=2)
