# SPDX-License-Identifier: Apache-2.0
# umount never commits and never discards by itself; it says where the edits are, and the next mount has them all.
from wfs import *

requires("fuse")
wanted = save_small()
original = read("m.safetensors")


def edit(m):
    write(m.staged("a"), pattern(40, 5))
    write(m.staged("fresh"), b"12345678")
    os.setxattr(m.staged("fresh"), "user.safetensors.dtype", b"F32")
    os.setxattr(m.staged("fresh"), "user.safetensors.shape", b"[2]")
    os.rename(m.staged("scalar"), m.staged("renamed"))
    os.unlink(m.staged("optimizer.m"))
    with open(m.staged("layers.2.w"), "r+b") as f:
        f.seek(100)
        f.write(b"patched")
    shell("cp mnt/staging/tensors/lm_head.weight mnt/staging/tensors/copy")
    write(m / "staging/metadata.json", b'{"__metadata__": {"title": "kept"}, "layers.0.w": {"dtype": "BF16", "shape": [256]}}')
    write(m.npy("arr"), b"\x93NUMPY\x01\0\x76\0" + b"{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }".ljust(117) + b"\n" + b"abcdefgh")
    write("mnt/staging/.scratch", b"scratch")


edited = dict(wanted)
edited["a"] = ("I64", [5], pattern(40, 5))
edited["fresh"] = ("F32", [2], b"12345678")
edited["renamed"] = edited.pop("scalar")
del edited["optimizer.m"]
data = bytearray(edited["layers.2.w"][2])
data[100:107] = b"patched"
edited["layers.2.w"] = ("F16", [16, 16], bytes(data))
edited["copy"] = edited["lm_head.weight"]
edited["layers.0.w"] = ("BF16", [256], edited["layers.0.w"][2])
edited["arr"] = ("I32", [2], b"abcdefgh")

m = Mount("m.safetensors")
edit(m)
preview, kinds = read(m.preview), m.changes()
result = m.umount()
contains(result.out + result.err, ".m.safetensors.staging")
equal((read("m.safetensors"), os.listdir("mnt")), (original, []), "source and mount point after umount")
staging = os.stat(".m.safetensors.staging")
equal(oct(stat.S_IMODE(staging.st_mode)), oct(0o700), "mode of the staging directory")
equal(read(".m.safetensors.staging/.gitignore").strip(), b"*", ".gitignore")
equal([f for f in os.listdir(".m.safetensors.staging") if f.endswith((".safetensors", ".bin", ".pt", ".npy", ".gguf"))], [], "files that a hub upload would publish")

for how in ("umount", "fusermount3", "SIGTERM", "SIGINT"):
    with Mount("m.safetensors") as m:
        equal(m.changes(), kinds, f"changes resumed, before {how}")
        equal(read(m.preview), preview, f"preview resumed, before {how}")
        for name, (dtype, shape, data) in edited.items():
            equal(read(m.staged(name)), data, f"{name} resumed, before {how}")
        pid = m.pid()
        if how == "umount":
            m.umount()
        elif how == "fusermount3":
            run("fusermount3", "-u", "mnt")
        else:
            os.kill(pid, getattr(signal, how))
        wait_for(lambda: has_ended(pid), f"the daemon's end after {how}")
        equal(os.path.ismount("mnt"), False, f"mounted after {how}")

with Mount("m.safetensors") as m:
    equal(read("mnt/staging/.scratch"), b"scratch", "a scratch file")
    os.unlink("mnt/staging/.scratch")
    m.commit()
    equal(read("m.safetensors"), preview, "committed file")
judge("m.safetensors", edited, {"title": "kept"})
equal([f for f in os.listdir(".") if f not in ("mnt", "m.safetensors")], [], "nothing is left beside the model")
