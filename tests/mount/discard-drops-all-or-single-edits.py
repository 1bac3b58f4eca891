# SPDX-License-Identifier: Apache-2.0
from wfs import *

requires("fuse")
wanted = save_small()


def edit(m):
    for name in ("layers.0.w", "layers.2.w", "layers.10.w"):
        write(m.staged(name), bytes(512))
    write(m.staged("new"), b"1")
    os.rename(m.staged("a"), m.staged("z"))
    os.unlink(m.staged("flags"))
    write(m / "staging/metadata.json", b'{"__metadata__": {}}')


with Mount("m.safetensors") as m:
    edit(m)
    weightfs("discard", "mnt", "layers.2.w")
    equal(read(m.staged("layers.2.w")), wanted["layers.2.w"][2], "layers.2.w")
    equal(read(m.staged("layers.0.w")), bytes(512), "layers.0.w")
    equal(m.control("discard new"), 0, "discard new")
    with raises("ENOENT"):
        os.stat(m.staged("new"))
    weightfs("discard", "mnt", "layers.*")
    equal(sorted(m.changes()), ["flags", "z"], "after a glob")
    weightfs("discard", "mnt", "flags")
    equal(read(m.staged("flags")), wanted["flags"][2], "flags are back")
    weightfs("discard", "mnt", "no-such-tensor", code=None)
    equal(sorted(m.changes()), ["z"], "after a name that matches nothing")
    weightfs("discard", "mnt")
    equal(m.changes(), {}, "after discard")
    equal(sorted(os.listdir("mnt/staging/tensors")), sorted(wanted), "names")
    for name, (_, _, data) in wanted.items():
        equal(read(m.staged(name)), data, name)
    equal(m.document()["__metadata__"], {"format": "pt"}, "metadata")
    equal(read(m.preview), read("m.safetensors"), "preview")

    # All or nothing while a file is open for writing.
    edit(m)
    fd = os.open(m.staged("layers.0.w"), os.O_WRONLY)
    os.pwrite(fd, b"x", 0)
    weightfs("discard", "mnt", code=3)
    equal(len(m.changes()) >= 5, True, "edits after a refused discard")
    os.close(fd)
    weightfs("discard", "mnt")
    equal(m.changes(), {}, "after discard")
equal(os.path.exists(".m.safetensors.staging"), False, "the staging directory")

# More names than the kernel hands over in one request would reach the daemon in pieces, the first of which may look whole.
with Mount("m.safetensors") as m:
    write(m.staged("a"), bytes(40))
    many = ["a"] + [f"{i:0100d}" for i in range(11000)]
    contains(one_sentence(weightfs("discard", "mnt", *many, code=2).err), "too many names", "a glob")
    limit = (1 << 20) - 4096
    for size, told in (limit, "nothing staged has that name"), (limit + 1, "too many names"), (limit + 4096, "too many names"):
        many = ["a"] + [f"{i:0100d}" for i in range(10000)]
        many.append("x" * (size - len("discard") - sum(len(name) + 3 for name in many) - 3))
        contains(weightfs("discard", "mnt", *many, code=None).err, told)
    equal(m.changes(), {"a": "replaced"}, "nothing was dropped")
    weightfs("discard", "mnt", "*")
    equal(m.changes(), {}, "dropped by a glob")
