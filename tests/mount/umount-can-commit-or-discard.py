# SPDX-License-Identifier: Apache-2.0
from wfs import *

requires("fuse")
wanted = save_small()
original = read("m.safetensors")

m = Mount("m.safetensors")
write(m.staged("a"), bytes(40))
m.umount("--discard")
equal((os.path.ismount("mnt"), read("m.safetensors"), sorted(os.listdir("."))), (False, original, ["m.safetensors", "mnt"]), "after --discard")

m = Mount("m.safetensors")
equal(m.changes(), {}, "changes after --discard")
write(m.staged("a"), bytes(40))
write(m.staged("bad"), b"1")
result = m.umount("--commit", code=1)  # stops at the first failure
contains(result.err, "bad", "DtypeUndeclared")
equal((os.path.ismount("mnt"), read("m.safetensors")), (True, original), "after a failed --commit")
equal(read(m.staged("a")), bytes(40), "edits after a failed --commit")
os.unlink(m.staged("bad"))
m.umount("--commit")
wanted["a"] = ("I64", [5], bytes(40))
judge("m.safetensors", wanted)
equal((os.path.ismount("mnt"), sorted(os.listdir("."))), (False, ["m.safetensors", "mnt"]), "after --commit")

# Busy: refused without --lazy, the mount stays.
m = Mount("m.safetensors")
fd = os.open(m.tensor("a"), os.O_RDONLY)
result = m.umount(code=3)
one_sentence(result.err)
equal(os.path.ismount("mnt"), True, "mounted after a refused umount")
equal(os.pread(fd, 40, 0), bytes(40), "the open file")
m.umount("--lazy")
equal(os.path.ismount("mnt"), False, "mounted after --lazy")
equal(os.pread(fd, 40, 0), bytes(40), "the open file after --lazy")
os.close(fd)

# Where nothing can be edited there is nothing to discard either.
with Mount("m.safetensors", "mnt", "-o", "ro") as m:
    m.umount("--discard")
    equal(os.path.ismount("mnt"), False, "still mounted")
