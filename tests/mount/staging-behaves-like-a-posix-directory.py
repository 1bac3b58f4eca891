# SPDX-License-Identifier: Apache-2.0
# open flags, unlink and rename while open, O_APPEND, two writers, renameat2 flags, what stages nothing, what is refused.
from wfs import *

requires("fuse")
import ctypes  # noqa: E402

wanted = save_small()
NOREPLACE, EXCHANGE, WHITEOUT = 1, 2, 4
libc = ctypes.CDLL(None, use_errno=True)


def renameat2(old, new, flags):
    if libc.renameat2(-100, old.encode(), -100, new.encode(), flags):
        raise OSError(ctypes.get_errno(), new)


with Mount("m.safetensors") as m:
    # What stages nothing.
    os.close(os.open(m.staged("a"), os.O_RDWR))
    os.utime(m.staged("a"))
    os.chmod(m.staged("a"), 0o640)
    equal(oct(os.stat(m.staged("a")).st_mode & 0o777), oct(0o640), "mode shown")
    os.truncate(m.staged("a"), 40)
    shell("cp mnt/tensors/lm_head.weight mnt/staging/tensors/lm_head.weight")
    equal(m.changes(), {}, "changes after opens, touches, chmod and a copy of the same")

    # O_EXCL, O_CREAT, ENOENT
    with raises("EEXIST"):
        os.open(m.staged("a"), os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    with raises("ENOENT"):
        os.open(m.staged("nothing"), os.O_WRONLY)
    with raises("ENOTDIR"):
        os.open(m.staged("a/b"), os.O_RDONLY)
    with raises("ENAMETOOLONG"):
        os.open(m.staged("x" * 300), os.O_CREAT | os.O_WRONLY)

    # Unlink while open: the handle keeps its bytes, the name is free.
    fd = os.open(m.staged("flags"), os.O_RDWR)
    os.unlink(m.staged("flags"))
    os.pwrite(fd, b"still", 0)
    equal((os.pread(fd, 100, 0)[:5], os.fstat(fd).st_nlink), (b"still", 0), "unlinked file")
    equal([f for f in os.listdir("mnt/staging/tensors") if "fuse_hidden" in f], [], "hidden files")
    new = os.open(m.staged("flags"), os.O_CREAT | os.O_EXCL | os.O_RDWR)
    os.write(new, bytes(13))
    equal((os.pread(fd, 5, 0), os.pread(new, 13, 0)), (b"still", bytes(13)), "two files")
    os.close(fd)
    os.close(new)
    equal(m.document()["flags"], {"dtype": "BOOL", "shape": [13], "data_offsets": m.document()["flags"]["data_offsets"]}, "the name's declaration")

    # Rename over an open file.
    fd = os.open(m.staged("optimizer.m"), os.O_RDONLY)
    os.rename(m.staged("optimizer.v"), m.staged("optimizer.m"))
    equal(os.pread(fd, 400, 0), wanted["optimizer.m"][2], "the replaced file's bytes")
    equal(read(m.staged("optimizer.m")), wanted["optimizer.v"][2], "the new ones")
    os.close(fd)

    # O_APPEND from two descriptors, pwrite beyond the end, holes read zero.
    a, b = (os.open(m.staged("log"), os.O_CREAT | os.O_WRONLY | os.O_APPEND) for _ in "ab")
    for i in range(20):
        os.write(a, b"A")
        os.write(b, b"B")
    equal(read(m.staged("log")), b"AB" * 20, "appended by two")
    os.close(a)
    os.close(b)
    fd = os.open(m.staged("log"), os.O_RDWR)
    os.pwrite(fd, b"end", 10000)
    equal(os.pread(fd, 10003, 0), b"AB" * 20 + bytes(9960) + b"end", "a hole")
    equal((os.lseek(fd, 0, os.SEEK_END), os.pread(fd, 1, 20000)), (10003, b""), "the end")
    os.ftruncate(fd, 5)
    os.ftruncate(fd, 8)
    equal(os.pread(fd, 10, 0), b"ABABA\0\0\0", "cut and grown")
    os.fsync(fd)
    os.close(fd)
    fd = os.open(m.staged("log"), os.O_WRONLY | os.O_TRUNC)
    equal(os.fstat(fd).st_size, 0, "O_TRUNC")
    os.close(fd)
    os.unlink(m.staged("log"))

    # Two writers of one file, and a reader: what one write returned, the next read of anybody has.
    a, b = (os.open(m.staged("layers.10.w"), os.O_RDWR) for _ in "ab")
    reader = os.open(m.staged("layers.10.w"), os.O_RDONLY)
    now = bytearray(wanted["layers.10.w"][2])
    for i in range(60):
        fd, offset = (a, i * 3) if i % 2 else (b, 500 - i * 5)
        now[offset:offset + 7] = bytes([i]) * 7
        os.pwrite(fd, bytes([i]) * 7, offset)
        equal((os.pread(reader, 1000, 0), os.pread(b if fd == a else a, 1000, 0)), (bytes(now[:512]),) * 2, f"read after write {i}")
    emptied = os.open(m.staged("layers.10.w"), os.O_WRONLY | os.O_TRUNC)
    equal((os.pread(reader, 10, 0), os.fstat(reader).st_size, os.fstat(a).st_size), (b"", 0, 0), "emptied under two open files")
    os.pwrite(a, b"tail", 508)
    equal(os.pread(reader, 1000, 0), bytes(508) + b"tail", "written behind a hole by another")
    for fd in (a, b, reader, emptied):
        os.close(fd)

    # renameat2
    with raises("EEXIST"):
        renameat2(m.staged("a"), m.staged("scalar"), NOREPLACE)
    renameat2(m.staged("a"), m.staged("scalar"), EXCHANGE)
    equal((read(m.staged("a")), read(m.staged("scalar"))), (wanted["scalar"][2], wanted["a"][2]), "exchanged bytes")
    equal((m.document()["a"]["dtype"], m.document()["scalar"]["dtype"]), ("F64", "I64"), "exchanged declarations")
    renameat2(m.staged("a"), m.staged("fresh"), NOREPLACE)
    with raises("EINVAL"):
        renameat2(m.staged("fresh"), m.staged("white"), WHITEOUT)
    with raises("EINVAL"):
        os.rename(m.staged("fresh"), m.npy("fresh"))
    with raises("EROFS"):
        os.rename(m.staged("fresh"), m.tensor("fresh"))
    with raises("EROFS"):
        os.rename(m.tensor("flags"), m.staged("x"))
    with raises("ENOENT"):
        os.rename(m.staged("nothing"), m.staged("x"))

    # What no directory of tensors can have.
    for call in (lambda: os.mkdir(m.staged("d")), lambda: os.mkfifo(m.staged("p")), lambda: os.symlink("a", m.staged("s")),
                 lambda: os.link(m.staged("fresh"), m.staged("l")), lambda: os.mkdir("mnt/staging/d")):
        with raises("EPERM"):
            call()
    for directory in ("tensors", "npy"):
        with raises("EBUSY"):
            os.rmdir(f"mnt/staging/{directory}")
    with raises("EOPNOTSUPP"):
        os.open("mnt/staging/tensors", os.O_TMPFILE | os.O_RDWR)
    with raises("EROFS"):
        os.open(m.preview, os.O_RDWR)
    with raises("EROFS"):
        os.truncate(m.preview, 0)

    # Directories: fsync, a listing while names change.
    fd = os.open("mnt/staging/tensors", os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
    with os.scandir("mnt/staging/tensors") as entries:
        next(entries)
        write(m.staged("layers.0.w"), bytes(512))
        names = [e.name for e in entries]
    equal(len(set(names)), len(names), "no name twice")

    # xattrs
    equal(sorted(os.listxattr(m.staged("layers.0.w"))), ["user.safetensors.dtype", "user.safetensors.name", "user.safetensors.shape"], "xattr names")
    with raises("EINVAL"):
        os.setxattr(m.staged("layers.0.w"), "user.safetensors.dtype", b"F99")
    with raises("EINVAL"):
        os.setxattr(m.staged("layers.0.w"), "user.safetensors.shape", b"sixteen")
    with raises("ENODATA"):
        os.getxattr(m.staged("layers.0.w"), "user.nothing")
    m.umount("--discard")
equal(read("m.safetensors"), build(wanted, {"format": "pt"}), "source")

# XATTR_CREATE and XATTR_REPLACE
save("x.safetensors", {"a": tensor("F32", [4])})
with Mount("x.safetensors", "xmnt") as m:
    write(m.staged("new"), b"1234")
    with raises("ENODATA"):
        os.setxattr(m.staged("new"), "user.safetensors.dtype", b"F32", os.XATTR_REPLACE)
    os.setxattr(m.staged("new"), "user.safetensors.dtype", b"F32", os.XATTR_CREATE)
    with raises("EEXIST"):
        os.setxattr(m.staged("new"), "user.safetensors.dtype", b"U8", os.XATTR_CREATE)
    equal(os.getxattr(m.staged("new"), "user.safetensors.dtype"), b"F32", "after a refusal")
    os.setxattr(m.staged("new"), "user.safetensors.dtype", b"U8", os.XATTR_REPLACE)
    equal(os.getxattr(m.staged("new"), "user.safetensors.dtype"), b"U8", "after XATTR_REPLACE")
