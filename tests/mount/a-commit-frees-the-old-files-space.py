# SPDX-License-Identifier: Apache-2.0
# After a commit and the last close of what was opened before it, the file system has the old file's space back, although the
# kernel still has every inode of the mount cached; and staging takes nothing either.
from wfs import *

requires("fuse", "root", "mkfs.ext4", "losetup")
MIB = 1 << 20

with open("image", "wb") as file:
    file.truncate(96 * MIB)
run("mkfs.ext4", "-q", "-F", "image")
os.mkdir("disk")
mounted = run("mount", "-o", "loop", "image", "disk", code=None)
if mounted.code:
    skip(f"no loop mounts here: {mounted.err.strip()}")


def used():
    run("sync", "-f", "disk")
    status = os.statvfs("disk")
    return (status.f_blocks - status.f_bfree) * status.f_frsize


def touch_every_inode(m):
    """Returns how many there are. Reading a byte of each puts its pages into the cache, too."""
    count = 0
    for folder, _, files in os.walk(m.directory):
        for name in files:
            if ".weightfs" not in folder:
                with open(os.path.join(folder, name), "rb") as file:
                    file.read(1)
            count += 1
    return count


empty = used()
tensors = {name: ("U8", [8 * MIB], pattern(8 * MIB, seed)) for seed, name in enumerate("abc")}
save("disk/m.safetensors", tensors)
os.sync()
alone = used()
equal(alone - empty >= 24 * MIB, True, "the model takes its room")

with Mount("disk/m.safetensors") as m:
    for _ in range(3):
        equal(touch_every_inode(m) >= 16, True, "files of the mount")
        kept = [open(path, "rb") for path in (m.tensor("a"), m.whole, m.staged("b"), m.npy("c"))]
        seen = [file.read(1000) for file in kept]
        for name in "ab":
            tensors[name] = ("U8", [8 * MIB], bytes(255 - byte for byte in tensors[name][2]))
            write(m.staged(name), tensors[name][2])
        touch_every_inode(m)
        m.commit()
        touch_every_inode(m)
        equal(used() - alone >= 20 * MIB, True, "two files while the old one is read")
        for file, head in zip(kept[:2], seen):
            file.seek(0)
            equal(file.read(1000), head, "what was opened before the commit")
        for file in kept:
            file.close()
        wait_for(lambda: used() - alone < MIB, "the old file's space")
        equal(os.listdir("disk/lost+found") + sorted(os.listdir("disk")), ["lost+found", "m.safetensors"], "files")
    judge("disk/m.safetensors", tensors)
run("umount", "disk")
