# SPDX-License-Identifier: Apache-2.0
# Small cases that random operations (tests/random) found wrong once; each says what must hold.
from wfs import *

requires("fuse")
import ctypes  # noqa: E402

libc = ctypes.CDLL(None, use_errno=True)
wanted = save_small()
HEADER = 128


def npy(descr, shape, data):
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (HEADER - 11 - len(text)) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def again(m):
    """After SIGKILL of the daemon."""
    m.kill()
    return Mount("m.safetensors")


m = Mount("m.safetensors")

# Mode and times of a staged file are shown after a kill as well, and setting attributes leaves its mtime alone (`cp -a`).
write(m.staged("a"), bytes(40))
os.chmod(m.staged("a"), 0o640)
os.utime(m.staged("a"), ns=(1_000_000_007, 2_000_000_009))
os.setxattr(m.staged("a"), "user.safetensors.shape", b"[1,5]")
equal(os.stat(m.staged("a")).st_mtime_ns, 2_000_000_009, "mtime after setxattr")
m = again(m)
equal((oct(os.stat(m.staged("a")).st_mode & 0o777), os.stat(m.staged("a")).st_mtime_ns), (oct(0o640), 2_000_000_009), "mode and mtime after a kill")
# ... but who has the .npy form open sees its new header.
with open(m.npy("a"), "rb") as file:
    before = os.fstat(file.fileno()).st_mtime_ns
    file.read()
    os.setxattr(m.staged("a"), "user.safetensors.shape", b"[5,1]")
    contains(os.pread(file.fileno(), HEADER, 0).decode("latin-1"), "(5, 1)")
    equal(os.fstat(file.fileno()).st_mtime_ns > before, True, "a later mtime of the .npy form")

# The times of an .npy that is copied with them (`cp -p`, `rsync -a`) stay when it is understood.
data = npy("<f4", (25,), pattern(100))
for name in ("plain", "renamed"):
    path = m.npy(name) if name == "plain" else m.npy(".part")
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.utime(file.fileno(), ns=(3_000_000_000, 4_000_000_000))
    os.rename(path, m.npy(name))
    equal((os.stat(m.npy(name)).st_mtime_ns, read(m.staged(name))), (4_000_000_000, data[HEADER:]), f"mtime and bytes of {name}")

# A scratch file that was an .npy can be written anew, and a document that is renamed over it is itself.
os.rename(m.npy("plain"), "mnt/staging/scratch")
equal(read("mnt/staging/scratch"), data, "the .npy form as scratch")
write("mnt/staging/scratch", b"something else")
equal(read("mnt/staging/scratch"), b"something else", "written anew")
os.unlink("mnt/staging/scratch")
os.rename(m.npy("renamed"), "mnt/staging/backup")
document = read("mnt/staging/metadata.json")
os.rename("mnt/staging/metadata.json", "mnt/staging/backup")
equal(read("mnt/staging/backup"), document, "the document as backup")
os.unlink("mnt/staging/backup")
shell("cat mnt/staging/metadata.json")  # it is gone only until somebody else looks

# A draft that is emptied while somebody else writes it has no header any more.
other = os.open(m.npy("flags"), os.O_WRONLY | os.O_APPEND)
write(m.npy("flags"), npy("<u2", (40,), bytes(80)))
fd = os.open(m.npy("flags"), os.O_RDWR | os.O_TRUNC)
os.write(fd, bytes(240))
equal(len(read(m.staged("flags"))), 0, "bytes of a draft without a header")
os.ftruncate(fd, 0)
os.pwrite(fd, npy("|b1", (13,), bytes(13)), 0)
equal(read(m.staged("flags")), bytes(13), "bytes behind the header of a draft")
os.close(fd)
os.close(other)
# One whose header says less than it has is shown from there on, however big it is.
write(m.npy("big"), npy("|u1", (5,), pattern(300_000)))
equal(read(m.staged("big")), pattern(300_000), "bytes of a big incomplete .npy")
os.unlink(m.npy("big"))

# truncate(2) by name has no close to wait for: an emptied document changes nothing, a cut .npy is understood.
os.truncate("mnt/staging/metadata.json", 0)
equal("a" in m.document(), True, "the document after truncate(2)")
write(m.npy("cut"), npy("<f4", (5,), pattern(22)))
equal(m.errors(), [("cut", "NpyIncomplete")], "too long")
os.truncate(m.npy("cut"), HEADER + 20)
equal(m.errors(), [], "of its size")
os.unlink(m.npy("cut"))

# renameat2(RENAME_EXCHANGE) has two files understood.
os.rename(m.npy("scalar"), m.npy(".old"))
write(m.npy("scalar"), npy("<f8", (), pattern(8)))
write(m.npy("part.tmp"), npy("<f8", (2,), pattern(16)))
equal(libc.renameat2(-100, m.npy("scalar").encode(), -100, m.npy("part.tmp").removesuffix(".npy").encode() + b".npy", 2), 0, "exchange")
equal((m.errors(), read(m.staged("scalar"))), ([], pattern(16)), "exchanged")
weightfs("discard", "mnt")

# The reserved name stands in no document.
write(m.staged("__metadata__"), b"1234")
os.setxattr(m.staged("__metadata__"), "user.safetensors.dtype", b"U8")
os.setxattr(m.staged("__metadata__"), "user.safetensors.shape", b"[4]")
equal((m.document()["__metadata__"], m.errors()), ({"format": "pt"}, [("__metadata__", "NameReserved")]), "a tensor called __metadata__")
os.unlink(m.staged("__metadata__"))

# A file that was emptied is replaced, not patched, after a kill as well.
os.truncate(m.staged("optimizer.v"), 500)
write(m.staged("optimizer.v"), bytes(400))
m = again(m)
equal(m.changes(), {"optimizer.v": "replaced"}, "changes after a kill")
weightfs("discard", "mnt")

# Two files have two inodes, also when one of them bears the name that the other had.
fd = os.open(m.staged("layers.0.w"), os.O_RDWR)
os.pwrite(fd, b"gone", 0)
weightfs("discard", "mnt", code=3)
os.close(fd)
fd = os.open(m.staged("layers.0.w"), os.O_RDONLY)
weightfs("discard", "mnt")
truncated = wanted["layers.0.w"][2][:3]
os.truncate(m.staged("layers.0.w"), 3)
equal((len(os.pread(fd, 1000, 0)), os.fstat(fd).st_size), (512, 512), "a handle from before the discard")
equal(read(m.staged("layers.0.w")), truncated, "the file of that name now")
os.close(fd)
os.rename(m.staged("layers.2.w"), m.staged("moved"))
shell("cp mnt/staging/tensors/layers.10.w mnt/staging/tensors/layers.2.w")
weightfs("discard", "mnt", "layers.2.w")
equal(os.stat(m.staged("moved")).st_ino != os.stat(m.staged("layers.2.w")).st_ino, True, "two inodes")
weightfs("discard", "mnt")
# ... and a commit that leaves a tensor alone leaves its open file alone, too.
fd = os.open(m.staged("layers.2.w"), os.O_RDONLY)
write(m.staged("a"), bytes(40))
m.commit()
write(m.staged("layers.2.w"), bytes(512))
equal(os.pread(fd, 512, 0), bytes(512), "written after the commit, read through a handle from before")
os.close(fd)
weightfs("discard", "mnt")

# A declaration that waits for its file survives, is told, and can be dropped.
write("mnt/staging/metadata.json", b'{"later": {"dtype": "U8", "shape": [3]}}')
m = again(m)
equal([(p["tensor"], p["code"]) for p in m.problems()], [("later", "TensorMissing")], "problems after a kill")
m.umount()
m = Mount("m.safetensors")
write(m.staged("later"), b"abc")
equal((m.errors(), m.document()["later"]["dtype"]), ([], "U8"), "declared before the unmount")
os.unlink(m.staged("later"))
write("mnt/staging/metadata.json", b'{"never": {"dtype": "U8", "shape": [3]}}')
weightfs("discard", "mnt", "never")
weightfs("discard", "mnt", "later", code=None)
equal(m.problems(), [], "problems after the discard")
m.umount("--discard")
