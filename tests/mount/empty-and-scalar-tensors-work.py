# SPDX-License-Identifier: Apache-2.0
from wfs import *

requires("fuse")
before = {"scalar": tensor("F32", [], 1), "empty": tensor("BF16", [0]), "hollow": tensor("I64", [3, 0, 2]), "ones": tensor("U8", [1, 1, 1], 2)}
save("m.safetensors", before)
with Mount("m.safetensors") as m:
    for name, (_, _, data) in before.items():
        equal(read(m.tensor(name)), data, name)
        equal(os.stat(m.tensor(name)).st_size, len(data), f"size of {name}")
    write(m.staged("scalar2"), b"\0\0\x80?")
    write(m.staged("empty2"), b"")
    write(m / "staging/metadata.json", json.dumps({"scalar2": {"dtype": "F32", "shape": []}, "empty2": {"dtype": "F16", "shape": [0, 9]}}).encode())
    shell("cp -a mnt/staging/tensors/hollow mnt/staging/tensors/hollow2")  # no byte to copy: the xattrs tell
    os.truncate(m.staged("ones"), 0)
    os.setxattr(m.staged("ones"), "user.safetensors.shape", b"[0]")
    wanted = before | {"scalar2": ("F32", [], b"\0\0\x80?"), "empty2": ("F16", [0, 9], b""), "hollow2": before["hollow"], "ones": ("U8", [0], b"")}
    m.commit()
    judge("m.safetensors", wanted)

# A model without any tensor is a model too.
save("none.safetensors", {}, {"format": "pt"})
with Mount("none.safetensors", "none") as m:
    equal(os.listdir("none/tensors"), [], "tensors/")
    equal(read(m.whole), read("none.safetensors"), "whole file")
    equal(read(m.preview), read("none.safetensors"), "preview")
