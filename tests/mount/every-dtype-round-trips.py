# SPDX-License-Identifier: Apache-2.0
# All 22 dtypes, read, replaced, added by metadata.json and by xattr, patched, and judged by the official library.
from wfs import *

requires("fuse")
before = {f"old.{dtype}": tensor(dtype, [4, 8], seed) for seed, dtype in enumerate(DTYPES)}
save("m.safetensors", before)
wanted = dict(before)

with Mount("m.safetensors") as m:
    for name, (_, _, data) in before.items():
        equal(read(m.tensor(name)), data, name)

    document = m.document()
    for seed, dtype in enumerate(DTYPES):
        fresh = tensor(dtype, [2, 8], seed + 50)
        replaced = (dtype, [4, 8], pattern(byte_size(dtype, [4, 8]), seed + 100))
        write(m.staged(f"old.{dtype}"), replaced[2])
        write(m.staged(f"doc.{dtype}"), fresh[2])
        document[f"doc.{dtype}"] = {"dtype": dtype, "shape": fresh[1]}
        write(m.staged(f"xattr.{dtype}"), fresh[2])
        os.setxattr(m.staged(f"xattr.{dtype}"), "user.safetensors.dtype", dtype.encode())
        os.setxattr(m.staged(f"xattr.{dtype}"), "user.safetensors.shape", b"[2, 8]")
        wanted |= {f"old.{dtype}": replaced, f"doc.{dtype}": fresh, f"xattr.{dtype}": fresh}
    write(m / "staging/metadata.json", json.dumps(document).encode())

    with open(m.staged("old.F32"), "r+b") as f:  # a patch in the middle
        f.seek(5)
        f.write(b"patch")
    data = bytearray(wanted["old.F32"][2])
    data[5:10] = b"patch"
    wanted["old.F32"] = ("F32", [4, 8], bytes(data))

    for name, (dtype, shape, _) in wanted.items():
        equal(os.getxattr(m.staged(name), "user.safetensors.dtype"), dtype.encode(), f"dtype xattr of {name}")
        equal(json.loads(os.getxattr(m.staged(name), "user.safetensors.shape")), shape, f"shape xattr of {name}")
    preview = read(m.preview)
    m.commit()
    equal(read("m.safetensors"), preview, "committed file against the preview")
    judge("m.safetensors", wanted)
    for name, (_, _, data) in wanted.items():
        equal(read(m.tensor(name)), data, f"{name} through the mount after the commit")
judge("m.safetensors", wanted)
