# SPDX-License-Identifier: Apache-2.0
# A byte written through one view of staging/ is read through every other at once, also by who has the other open or mapped before.
from wfs import *

requires("fuse")
import mmap  # noqa: E402

save("m.safetensors", {"x": tensor("U8", [5000], 1), "y": tensor("F32", [10], 2)}, {"format": "pt"})
with Mount("m.safetensors") as m:
    raw = os.open(m.staged("x"), os.O_RDWR)
    npy = os.open(m.npy("x"), os.O_RDWR)
    other = os.open(m.staged("x"), os.O_RDONLY)
    header = os.fstat(npy).st_size - 5000
    equal(header % 64, 0, "length of the .npy header")
    os.pread(other, 5000, 0)
    os.pread(npy, 6000, 0)
    view = mmap.mmap(other, 5000, prot=mmap.PROT_READ)
    equal(view[:], pattern(5000, 1), "mapped before")

    for i in range(30):  # raw -> npy, raw -> document order, whole file
        os.pwrite(raw, bytes([i] * 10), i * 100)
        equal(os.pread(npy, 10, header + i * 100), bytes([i] * 10), "npy after a write to tensors")
        equal(os.pread(other, 10, i * 100), bytes([i] * 10), "another handle")
        whole = parse(m.preview)[1]["x"][2]
        equal(whole[i * 100:i * 100 + 10], bytes([i] * 10), "whole-file view")
        os.pwrite(npy, bytes([i + 100] * 10), header + i * 100 + 50)
        equal(os.pread(raw, 10, i * 100 + 50), bytes([i + 100] * 10), "tensors after a write to npy")
    equal(read(m.staged("x")), os.pread(raw, 6000, 0), "a fresh open")

    # The same where an attribute of the open file is set in between: the kernel learns the new mtime from the answer to that.
    setters = {"ftruncate to the same size": lambda: os.ftruncate(raw, 5000), "futimens": lambda: os.utime(raw),
               "fchmod": lambda: os.fchmod(raw, 0o600)}
    for i, (what, setter) in enumerate(setters.items()):
        os.pread(raw, 5000, 0)
        os.pwrite(npy, bytes([i + 200] * 10), header + 4500)
        setter()
        equal(os.pread(raw, 10, 4500), bytes([i + 200] * 10), f"tensors after a write to npy and {what}")

    # A map made before sees what is written later (close-to-open is enough for maps: a new map must be right at once).
    with open(m.staged("x"), "rb") as f, mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as fresh:
        equal(fresh[:], os.pread(raw, 5000, 0), "a fresh map")
    view.close()

    # A store through a shared map counts at msync.
    with mmap.mmap(raw, 5000) as shared:
        shared[4000:4004] = b"mmap"
        shared.flush()
        equal(os.pread(npy, 4, header + 4000), b"mmap", "npy after msync")

    # Times tell: the newest of a view's parts.
    before = {path: os.stat(path).st_mtime_ns for path in (m.staged("x"), m.npy("x"), m.preview)}
    time.sleep(0.01)
    os.pwrite(raw, b"!", 0)
    for path, old in before.items():
        equal(os.stat(path).st_mtime_ns > old, True, f"mtime of {path} grew")

    # Sizes and names.
    os.ftruncate(raw, 3000)
    equal(os.stat(m.staged("x")).st_size, 3000, "size")
    os.ftruncate(raw, 5000)
    equal(os.stat(m.npy("x")).st_size, 5000 + header, "size of npy")
    os.setxattr(m.staged("x"), "user.safetensors.shape", b"[50,100]")
    equal(m.document()["x"]["shape"], [50, 100], "shape in the document after the xattr")
    equal(b"(50, 100)" in read(m.npy("x"))[:128], True, "shape in the .npy header after the xattr")
    equal(parse(m.preview)[1]["x"][1], [50, 100], "shape in the preview")
    os.rename(m.staged("y"), m.staged("z"))
    equal(sorted(os.listdir("mnt/staging/npy")), ["x.npy", "z.npy"], "npy/ after a rename")
    equal(sorted(n for n in m.document() if n != "__metadata__"), ["x", "z"], "document after a rename")
    equal(sorted(parse(m.preview)[1]), ["x", "z"], "preview after a rename")
    os.unlink(m.npy("z"))
    with raises("ENOENT"):
        os.stat(m.staged("z"))
    for fd in (raw, npy, other):
        os.close(fd)
    # Patching inside an existing .npy header is refused.
    with raises("EINVAL"):
        fd = os.open(m.npy("x"), os.O_WRONLY)
        try:
            os.pwrite(fd, b"evil", 20)
        finally:
            os.close(fd)
    equal(read(m.tensor("x")), pattern(5000, 1), "the read-only tree")
    m.umount("--discard")
