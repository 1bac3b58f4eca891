# SPDX-License-Identifier: Apache-2.0
# A patch begins as a copy of the model's bytes. Those of a model that was changed in place must not get into staging: edits stay
# good for the model that they were made against, and come back with it.
from wfs import *

requires("fuse")
wanted = save_small()
wanted["big"] = tensor("U8", [100000], 1)
save("m.safetensors", wanted)
original, stat = read("m.safetensors"), os.stat("m.safetensors")

with Mount("m.safetensors") as m:
    write(m.staged("a"), pattern(40, 3))
    big, copy = os.open(m.staged("big"), os.O_RDWR), os.open(m.staged("copy"), os.O_WRONLY | os.O_CREAT)
    origin = os.open(m.staged("big"), os.O_RDONLY)
    with open("m.safetensors", "r+b") as file:
        file.seek(-50000, os.SEEK_END)
        file.write(b"\xff" * 5000)
    with raises("ESTALE"):
        os.pwrite(big, b"x", 5)
    with raises("ESTALE"):
        os.ftruncate(big, 200000)
    with raises("ESTALE"):
        os.copy_file_range(origin, copy, 50000, 25000, 0)
    for fd in (big, copy, origin):
        os.close(fd)
    os.unlink(m.staged("copy"))
    equal(m.changes(), {"a": "replaced"}, "changes")

write("m.safetensors", original)
os.utime("m.safetensors", ns=(stat.st_atime_ns, stat.st_mtime_ns))
with Mount("m.safetensors") as m:
    equal(m.changes(), {"a": "replaced"}, "changes against the original again")
    m.commit()
    judge("m.safetensors", wanted | {"a": ("I64", [5], pattern(40, 3))})
