# SPDX-License-Identifier: Apache-2.0
# Kernel passthrough of the whole-file view. That a read does without the daemon shows when the daemon is stopped meanwhile
# (only read then: the times of access, which fstat wants to know, are asked of the daemon).
import mmap
import shutil
import zlib

from wfs import *

requires("fuse")
wanted = save_small() | {"big": tensor("U8", [3 << 20], 3)}
save("m.safetensors", wanted, {"format": "pt"})
original = read("m.safetensors")


def passthrough_line(m):
    return next((line for line in m.text().splitlines() if "passthrough" in line), "built without it, for libfuse 3.17")


def reader(path):
    """Another process that has the file open: a line in is answered with the file's bytes."""
    code = ("import os, sys, zlib; fd = os.open(sys.argv[1], os.O_RDONLY); print(flush=True)\n"
            "for line in sys.stdin: data = os.pread(fd, 1 << 24, 0); print(len(data), zlib.crc32(data), flush=True)")
    child = subprocess.Popen([sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    child.stdout.readline()
    return child


def told(child):
    child.stdin.write("\n")
    child.stdin.flush()
    return child.stdout.readline().split()


def all_of(file):
    return os.pread(file.fileno(), 1 << 24, 0)


def facts(data):
    return [str(len(data)), str(zlib.crc32(data))]


with Mount("m.safetensors") as m:
    line = passthrough_line(m)
    if "is used" not in line:
        one_sentence(line)
        equal(read(m.whole), original, "read through the daemon")
        skip(line)

with Mount("m.safetensors") as m:  # reads, mappings, several at once, other processes
    with open(m.whole, "rb") as first, mmap.mmap(first.fileno(), 0, prot=mmap.PROT_READ) as view, stopped(m.pid()):
        equal(all_of(first), original, "the whole file")
        equal(os.pread(first.fileno(), 100, 1000), original[1000:1100], "a range")
        equal(view[:], original, "mapped")
        equal(os.pread(first.fileno(), 100, len(original) - 10), original[-10:], "beyond the end")
    with open(m.whole, "rb") as first:
        child = reader(m.whole)
        direct = os.open(m.whole, os.O_RDONLY | os.O_DIRECT)
        aligned = mmap.mmap(-1, 1 << 20)
        equal((os.preadv(direct, [aligned], 4096), aligned[:]), (1 << 20, original[4096:4096 + (1 << 20)]), "O_DIRECT")
        with mmap.mmap(direct, 0, prot=mmap.PROT_READ) as view:
            equal(view[-5:], original[-5:], "mapped with O_DIRECT")
        with stopped(m.pid()):
            equal(told(child), facts(original), "the other process")
            equal(all_of(first), original, "this one")
        os.close(direct)
        equal(os.fstat(first.fileno()).st_size, len(original), "size")
        with raises("EROFS", "EACCES", "EPERM"):
            os.open(m.whole, os.O_RDWR)
        child.stdin.close()
        child.wait()
    direct = os.open(m.whole, os.O_RDONLY | os.O_DIRECT)  # the first open decides: this one wants the daemon
    equal((os.preadv(direct, [aligned], 0), aligned[:]), (1 << 20, original[:1 << 20]), "O_DIRECT first")
    equal(read(m.whole), original, "beside it")
    with open(m.whole, "rb") as kept, mmap.mmap(kept.fileno(), 0, prot=mmap.PROT_READ) as view:
        os.close(direct)
        equal(view[:], original, "mapped beside it")
    equal(read(m.whole), original, "after it")
    for _ in range(200):  # opens and closes that overlap
        a, b = open(m.whole, "rb"), open(m.whole, "rb")
        a.close()
        c = open(m.whole, "rb")
        equal((b.read(8), c.read(8)), (original[:8], original[:8]))
        b.close()
        c.close()
    shutil.copyfile(m.whole, "copy")
    equal(read("copy"), original, "copied by the kernel")

with Mount("m.safetensors") as m:  # a commit
    before, old_inode = open(m.whole, "rb"), os.stat(m.whole).st_ino
    old_view = mmap.mmap(before.fileno(), 0, prot=mmap.PROT_READ)
    write(m.staged("a"), bytes(40))
    m.commit()
    wanted["a"] = ("I64", [5], bytes(40))
    committed = read("m.safetensors")
    equal(os.stat(m.whole).st_ino == old_inode, False, "one inode for two models")
    with open(m.whole, "rb") as after, stopped(m.pid()):
        equal(all_of(after), committed, "opened after the commit")
        equal(all_of(before), original, "opened before it")
        equal(old_view[:], original, "mapped before it")
    equal(os.fstat(before.fileno()).st_size, len(original), "size of the old one")
    before.close()
    equal(old_view[:], original, "mapped, and closed")
    old_view.close()
judge("m.safetensors", wanted)
original = committed

with Mount("m.safetensors") as m:  # replaced by rename, and unlinked
    with open(m.whole, "rb") as before:
        save("other.safetensors", {"x": tensor("U8", [4])})
        os.rename("other.safetensors", "m.safetensors")
        equal(before.read(), original, "opened before the file was replaced")
        equal(read(m.whole), original, "opened after it")
        os.unlink("m.safetensors")
        before.seek(0)
        equal(before.read(), original, "opened before it was unlinked")

write("m.safetensors", original)
with Mount("m.safetensors") as m:  # changed in place: the kernel reads what the file has; what reaches the daemon is refused
    with open(m.whole, "rb") as before:
        equal(before.read(8), original[:8], "before")
        time.sleep(0.01)
        with open("m.safetensors", "r+b") as f:
            f.seek(len(original) - 10)
            f.write(b"X")
        before.seek(0)
        changed = read("m.safetensors")
        equal(before.read(), changed, "an open file")
        with raises("ESTALE"):
            read(m.whole)
        with raises("ESTALE"):
            read(m.tensor("big"))
        wait_for(lambda: "changed in place" in m.text(), "a line in status")

write("m.safetensors", original)
with Mount("m.safetensors") as m:  # unmounted while it is open
    with open(m.whole, "rb") as before:
        result = weightfs("umount", "mnt", code=3)
        contains(result.err, "in use")
        weightfs("umount", "--lazy", "mnt")
        equal(before.read(), original, "after --lazy")

with Mount("m.safetensors", "mnt", "-o", "no_passthrough") as m:
    contains(passthrough_line(m), "no_passthrough")
    with open(m.whole, "rb") as file:
        equal(file.read(), original, "-o no_passthrough")
