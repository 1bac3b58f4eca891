# SPDX-License-Identifier: Apache-2.0
# -o ro, and a directory where no staging can be made: staging/ is there, every change is EROFS, status says which option helps.
from wfs import *

requires("fuse")
wanted = save_small()
with Mount("m.safetensors", "mnt", "-o", "ro") as m:
    equal(m.status()["read_only"], True, "read_only")
    equal(read(m.staged("a")), wanted["a"][2], "staging is there")
    for call in (lambda: write(m.staged("a"), b"1"), lambda: write(m.staged("new"), b"1"), lambda: os.unlink(m.staged("a")),
                 lambda: os.rename(m.staged("a"), m.staged("b")), lambda: os.truncate(m.staged("a"), 0),
                 lambda: os.setxattr(m.staged("a"), "user.safetensors.shape", b"[1]"), lambda: write(m / "staging/metadata.json", b"{}")):
        with raises("EROFS"):
            call()
equal(os.listdir("."), ["m.safetensors", "mnt"] if os.listdir(".")[0] == "m.safetensors" else ["mnt", "m.safetensors"], "files")

# A directory that cannot be written: a read-only bind mount (root may write anywhere else).
if os.geteuid() == 0 and run("sh", "-c", "mkdir ro && cp m.safetensors ro/ && mount --bind ro ro && mount -o remount,ro,bind ro", code=None).code == 0:
    try:
        with Mount("ro/m.safetensors") as m:
            with raises("EROFS"):
                write(m.staged("a"), bytes(40))
            contains(m.text(), "staging=")
        with Mount("ro/m.safetensors", "mnt", "-o", "staging=elsewhere,output=out.safetensors") as m:
            write(m.staged("a"), bytes(40))
            m.commit()
            wanted["a"] = ("I64", [5], bytes(40))
        judge("out.safetensors", wanted)
    finally:
        run("umount", "ro")
