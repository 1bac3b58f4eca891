# SPDX-License-Identifier: Apache-2.0
# --rebase takes edits over tensor by tensor, also after a SIGKILL, and refuses, naming them, where both changed the same.
from wfs import *

requires("fuse")
FILE = "m.safetensors"
wanted = save_small(FILE)
large = tensor("U8", [3 << 20], 5)


def edit(m):
    write(m.staged("a"), bytes(40))
    os.rename(m.staged("layers.0.w"), m.staged("layers.1.w"))
    os.unlink(m.staged("optimizer.m"))
    with open(m.staged("large"), "r+b") as file:  # a patch
        file.seek(1 << 20)
        file.write(b"patched")
    run("cp", m.tensor("scalar"), m.staged("second"))


def edited(tensors):
    tensors = dict(tensors)
    tensors["a"] = ("I64", [5], bytes(40))
    tensors["layers.1.w"] = tensors.pop("layers.0.w")
    del tensors["optimizer.m"]
    data = tensors["large"][2]
    tensors["large"] = ("U8", [3 << 20], data[:1 << 20] + b"patched" + data[(1 << 20) + 7:])
    tensors["second"] = tensors["scalar"]
    return tensors


def begin(kill=False):
    """The old version with edits, and then no daemon."""
    save(FILE, wanted | {"large": large}, {"format": "pt"})
    with Mount(FILE, "mnt", "--discard-staging") as m:
        edit(m)
        if kill:
            noted = b"T" + struct.pack("<Q", 5) + b"large"
            wait_for(lambda: read(".m.safetensors.staging/journal").count(noted) == 2, "the digest of a large tensor", 30)
            m.kill()


def replace(**changes):
    """The next version: tensors that did not change lie elsewhere."""
    tensors = {"0": tensor("F64", [3], 9)} | wanted | {"large": large} | changes
    save("next", tensors, {"format": "pt"})
    os.rename("next", FILE)
    return tensors


for kill in (False, True):
    begin(kill)
    now = replace(**{"model.norm.weight": tensor("F32", [64], 77)})
    contains(weightfs("mount", FILE, "mnt", code=3).err, "--rebase")
    with Mount(FILE, "mnt", "--rebase") as m:
        contains(m.result.err, "taken over to another version")
        equal(m.changes(), {"a": "replaced", "layers.1.w": "renamed", "optimizer.m": "removed", "large": "patched", "second": "added"},
              "changes")
        same_tensors(parse(m.preview)[1], edited(now))
    with Mount(FILE) as m:  # and they are edits of this version now
        m.commit()
    judge(FILE, edited(now))

# Without a mount, and on a mount.
begin()
now = replace()
contains(weightfs("check", FILE, code=3).err, "--rebase")
contains(weightfs("check", FILE, "--rebase").out, "ok")
weightfs("check", FILE)
replace(x=tensor("U8", [1]))
contains(weightfs("commit", FILE, code=3).err, "--rebase")
weightfs("commit", FILE, "--rebase")
judge(FILE, edited(now | {"x": tensor("U8", [1])}))
with Mount(FILE) as m:
    contains(weightfs("commit", "--rebase", "mnt", code=2).err, "--rebase")

# Conflicts: each is named, nothing is touched, and the old version can be put back.
begin()
old = read(FILE)
before = sorted((name, read(f".m.safetensors.staging/{name}")) for name in os.listdir(".m.safetensors.staging"))
for changes, names in (
        ({"a": tensor("I64", [5], 99)}, ["'a'"]),
        ({"a": tensor("I64", [1, 5], 9)}, ["'a'"]),  # the same bytes in another shape
        ({"layers.0.w": tensor("F16", [16, 16], 99)}, ["'layers.0.w'"]),
        ({"layers.1.w": tensor("F16", [16, 16], 99)}, ["'layers.1.w'"]),
        ({"optimizer.m": tensor("F32", [100], 99)}, ["'optimizer.m'"]),
        ({"large": tensor("U8", [3 << 20], 99)}, ["'large'"]),
        ({"scalar": tensor("F64", [], 99)}, ["'scalar'"]),
        ({"second": tensor("F64", [], 99), "a": tensor("I64", [5], 99)}, ["'second'", "'a'"])):
    replace(**changes)
    sentence = one_sentence(weightfs("mount", "--rebase", FILE, "mnt", code=3).err)
    contains(sentence, *names)
    equal([name for name in wanted if f"'{name}'" in sentence and f"'{name}'" not in names], [], f"other names in {sentence}")
    equal(os.path.ismount("mnt"), False, "mounted")
after = sorted((name, read(f".m.safetensors.staging/{name}")) for name in os.listdir(".m.safetensors.staging"))
equal([name for name, _ in after], [name for name, _ in before], "files in staging")
equal([a for a, b in zip(before, after) if not b[1].startswith(a[1]) and a[0] != "lock"], [], "changed in staging")  # a mark may be added

# The last conflict's edits go on with the version that fits.
now = replace()
with Mount(FILE, "mnt", "--rebase") as m:
    m.commit()
judge(FILE, edited(now))
