# SPDX-License-Identifier: Apache-2.0
# ENOSPC in the middle of a write, and at a commit: the caller hears it, the model and the edits stay, and room mends it.
from wfs import *

requires("fuse", "root")
os.mkdir("disk")
if run("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", "disk", code=None).code:
    skip("no tmpfs can be mounted")
wanted = {"big": tensor("U8", [5_000_000], 1), "small": tensor("U8", [1000], 2)}
save("disk/m.safetensors", wanted)
original = read("disk/m.safetensors")

with Mount("disk/m.safetensors") as m:
    write(m.staged("small"), bytes(1000))
    with raises("ENOSPC"):  # more than the disk has
        fd = os.open(m.staged("huge"), os.O_CREAT | os.O_WRONLY)
        try:
            for _ in range(100):
                os.write(fd, bytes(100_000))
        finally:
            os.close(fd)
    os.unlink(m.staged("huge"))
    equal(read(m.staged("small")), bytes(1000), "the other edit")

    # Room that is not there is not half taken.
    fd = os.open(m.staged("small"), os.O_RDWR)
    with raises("ENOSPC"):
        os.posix_fallocate(fd, 0, 20_000_000)
    equal(os.fstat(fd).st_size, 1000, "size after an fallocate that failed")
    os.close(fd)
    free = os.statvfs("disk")
    equal(free.f_bavail * free.f_frsize > 1_000_000, True, "room is left after an fallocate that failed")

    # The commit needs 5 MB beside the 5 MB that are there.
    equal(m.control("commit"), "ENOSPC", "commit")
    result = weightfs("commit", "mnt", code=4)
    contains(one_sentence(result.err), "free")
    equal(read("disk/m.safetensors"), original, "source")
    equal(m.changes(), {"small": "replaced"}, "edits")
    equal(sorted(os.listdir("disk")), [".m.safetensors.staging", "m.safetensors"], "files left by the failed commit")
    equal(read(m.tensor("big")), wanted["big"][2], "reading goes on")

    run("mount", "-o", "remount,size=32m", "disk")
    m.commit()
    wanted["small"] = ("U8", [1000], bytes(1000))
    judge("disk/m.safetensors", wanted)
