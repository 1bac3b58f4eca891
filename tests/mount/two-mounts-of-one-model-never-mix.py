# SPDX-License-Identifier: Apache-2.0
# Both may read; the first edit takes the lock, the other's edits get EBUSY; after the first has ended, the second mount point may
# edit; a mount right behind an umount waits for the daemon that is ending; two symlinks meet one lock.
from wfs import *

requires("fuse")
wanted = save_small()
os.mkdir("elsewhere")
os.symlink("../m.safetensors", "elsewhere/link.safetensors")

first = Mount("m.safetensors", "first")
second = Mount("elsewhere/link.safetensors", "second")
equal(read(first.tensor("a")), read(second.tensor("a")), "both read")
write(first.staged("a"), bytes(40))
for call in (lambda: write(second.staged("a"), b"1"), lambda: os.unlink(second.staged("flags")), lambda: os.rename(second.staged("a"), second.staged("b")),
             lambda: write("second/staging/metadata.json", b"{}")):
    with raises("EBUSY"):
        call()
contains(second.text(), str(first.pid()))
equal(weightfs("mount", "m.safetensors", "third", code=None).code != 0, True, "a third mount to edit")
os.makedirs("third", exist_ok=True)
contains(weightfs("mount", "m.safetensors", "third", code=3).err, str(first.pid()))
first.commit()
equal(read(first.tensor("a")), bytes(40), "committed through the first")
equal(read(second.tensor("a")), wanted["a"][2], "the second serves what it opened")
first.umount()
equal(second.control("commit") in (0, "ESTALE"), True, "a commit of nothing")
second.umount()
equal(parse("m.safetensors")[1]["a"][2], bytes(40), "the first one's commit")

for i in range(10):  # edits, umount, mount: at once
    m = Mount("m.safetensors")
    write(m.staged("a"), bytes([i] * 40))
    if i:
        equal(len(m.changes()), 1, "changes")
    m.umount()
m = Mount("m.safetensors")
equal(read(m.staged("a")), bytes([9] * 40), "the last edit")
m.umount("--commit")
for i in range(5):  # and with fusermount3, which returns before the daemon has ended
    m = Mount("m.safetensors")
    equal(read(m.tensor("a")), bytes([9] * 40), "committed")
    write(m.staged("a"), bytes([i] * 40))
    run("fusermount3", "-u", "mnt")
weightfs("discard", "m.safetensors")
