# SPDX-License-Identifier: Apache-2.0
# One kind of problem at a time, by CLI and control file: exit code and errno, the source untouched, staging as it was, and
# good edits beside the bad one still there for the commit after it is mended.
from wfs import *

requires("fuse")
wanted = save_small()
original = read("m.safetensors")

LONG_FORM = "x" * 234 + "~0123456789abcdef"  # the file name of some tensor whose name only its xattr could tell


def npy(descr, shape, data):
    return b"\x93NUMPY\x01\0\x76\0" + f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n" + data


def tree():
    return {path: read(path) for folder in ("mnt/staging/tensors", "mnt/staging/npy") for path in sorted(os.path.join(folder, f) for f in os.listdir(folder))
            if "preview" not in path}


def remove_all(m):
    for name in os.listdir("mnt/staging/tensors"):
        os.unlink(m.staged(name))


BREAK = {  # kind: (break, mend, exit code, errno)
    "DtypeUndeclared": (lambda m: write(m.staged("bad"), b"1"), lambda m: os.unlink(m.staged("bad"))),
    "SizeMismatch": (lambda m: append(m.staged("a"), b"1"), lambda m: os.truncate(m.staged("a"), 40)),
    "NpyInTensors": (lambda m: write(m.staged("a"), npy("<i8", "(5,)", bytes(40))), lambda m: write(m.staged("a"), wanted["a"][2])),
    "NpyInvalid": (lambda m: write(m.npy("bad"), b"rubbish" * 30), lambda m: os.unlink(m.npy("bad"))),
    "NpyIncomplete": (lambda m: write(m.npy("bad"), npy("<f4", "(5,)", b"1234")), lambda m: append(m.npy("bad"), bytes(16)) or os.unlink(m.npy("bad"))),
    "NpyConflict": (lambda m: write(m.npy("bad"), npy("<f4", "(5,)", bytes(20))) or os.setxattr(m.npy("bad"), "user.safetensors.dtype", b"I64"),
                    lambda m: os.unlink(m.npy("bad"))),
    "DocumentInvalid": (lambda m: write(m / "staging/metadata.json", b"{"), lambda m: write(m / "staging/metadata.json", b"{}")),
    "NameUnknown": (lambda m: write(m.staged(LONG_FORM), b"1"), lambda m: os.unlink(m.staged(LONG_FORM))),
    "NameReserved": (lambda m: write(m.staged("__metadata__"), b"1"), lambda m: os.unlink(m.staged("__metadata__"))),
}

with Mount("m.safetensors") as m:
    write(m.staged("layers.0.w"), bytes(512))  # a good edit that must survive
    for kind, (break_it, mend) in BREAK.items():
        try:
            break_it(m)
        except OSError as error:
            if kind in ("NameReserved", "NpyConflict"):  # refusing the name or the xattr at once is as good
                equal(errno_name(error), "EINVAL", kind)
                with contextlib.suppress(OSError):
                    mend(m)
                continue
            raise
        before = tree()
        report = weightfs("commit", "mnt", "--json", code=1).json()
        codes = [p["code"] for p in report["problems"] if p["severity"] == "error"]
        equal(kind in codes, True, f"{kind} in {codes}")
        equal(m.control("commit"), "EINVAL", kind)
        equal(m.control("check"), "EINVAL", kind)
        equal(read("m.safetensors"), original, f"source after {kind}")
        equal(tree(), before, f"staging after {kind}")
        equal(read(m.tensor("layers.0.w")), wanted["layers.0.w"][2], f"mount after {kind}")
        contains(m.text(), kind)
        mend(m)
        equal(m.errors(), [], f"problems after mending {kind}")

    # Removing the last tensor needs --allow-empty.
    for name in os.listdir("mnt/staging/tensors"):
        os.unlink(m.staged(name))
    report = weightfs("commit", "mnt", "--json", code=1).json()
    equal([p["code"] for p in report["problems"] if p["severity"] == "error"], ["NoTensors"], "problems of an empty model")
    equal(read("m.safetensors"), original, "source")
    m.umount("--discard")

with Mount("m.safetensors") as m:
    write(m.staged("layers.0.w"), bytes(512))
    m.commit()
    wanted["layers.0.w"] = ("F16", [16, 16], bytes(512))
    judge("m.safetensors", wanted)
    for name in os.listdir("mnt/staging/tensors"):
        os.unlink(m.staged(name))
    m.commit("--allow-empty")
    judge("m.safetensors", {}, {"format": "pt"})
