# SPDX-License-Identifier: Apache-2.0
from wfs import *

requires("fuse")
wanted = {"w": tensor("F32", [4, 4], 1), "b": tensor("BF16", [4], 2), "n": tensor("I64", [], 3)}

with Mount("new.safetensors", "mnt", "--create") as m:
    equal(os.path.exists("new.safetensors"), False, "created before the commit")
    equal(os.listdir("mnt/tensors"), [], "tensors/")
    equal(os.listdir("mnt/staging/tensors"), [], "staging/tensors/")
    equal(json.loads(read(m / "metadata.json")), {}, "metadata.json")
    m.commit(code=0)  # nothing staged: nothing to do
    equal(os.path.exists("new.safetensors"), False, "created by an empty commit")

    for name, (_, _, data) in wanted.items():
        write(m.staged(name), data)
    equal(sorted(p["code"] for p in m.problems() if p["severity"] == "error"), ["DtypeUndeclared"] * 3, "problems")
    m.commit(code=1)
    equal(os.path.exists("new.safetensors"), False, "created by a failed commit")

    write(m / "staging/metadata.json", json.dumps(
        {"__metadata__": {"format": "pt"}} | {name: {"dtype": dtype, "shape": shape} for name, (dtype, shape, _) in wanted.items()}).encode())
    preview = read(m.preview)
    equal(preview, build(wanted, {"format": "pt"}), "preview: the official library's bytes")
    m.commit()
    equal(read("new.safetensors"), preview, "created file")
    equal(read(m.whole), preview, "the mount shows it")
    equal(sorted(os.listdir("mnt/tensors")), sorted(wanted), "tensors/")
    equal(m.changes(), {}, "changes after the commit")

    write(m.staged("b"), bytes(8))  # and it goes on as any model does
    m.commit()
    wanted["b"] = ("BF16", [4], bytes(8))
    judge("new.safetensors", wanted, {"format": "pt"})

# An existing file is never created over; staged edits from before the first commit are resumed.
before = read("new.safetensors")
Mount("new.safetensors", "mnt", "--create", code=3)
equal((read("new.safetensors"), os.path.ismount("mnt")), (before, False), "after a refused --create")

with Mount("later.safetensors", "mnt", "--create") as m:
    write(m.staged("x"), b"1234")
    os.setxattr(m.staged("x"), "user.safetensors.dtype", b"U8")
    os.setxattr(m.staged("x"), "user.safetensors.shape", b"[4]")
with Mount("later.safetensors", "mnt", "--create") as m:
    equal(read(m.staged("x")), b"1234", "resumed")
    m.commit()
judge("later.safetensors", {"x": ("U8", [4], b"1234")})
