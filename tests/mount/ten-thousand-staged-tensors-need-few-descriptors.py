# SPDX-License-Identifier: Apache-2.0
# 10,000 staged tensors under `ulimit -n 512`, committed and resumed.
import resource

from wfs import *

requires("fuse")
COUNT = 10000
os.mkdir("fast")  # where an fsync costs nothing, if that can be had: it is the descriptors that count here
run("mount", "-t", "tmpfs", "tmpfs", "fast", code=None)
os.chdir("fast")
save("m.safetensors", {f"t.{i}": ("U32", [1], struct.pack("<I", i)) for i in range(COUNT)})
resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512))
wanted = {}
with Mount("m.safetensors") as m:
    for i in range(COUNT):
        fd = os.open(m.staged(f"t.{i}"), os.O_WRONLY | os.O_TRUNC)
        data = struct.pack("<I", i * 3)
        os.write(fd, data)
        os.close(fd)
        wanted[f"t.{i}"] = ("U32", [1], data)
    equal(len(os.listdir(f"/proc/{m.pid()}/fd")) < 400, True, "the daemon holds few descriptors")
    m.umount()
with Mount("m.safetensors") as m:
    equal(len(m.status()["staging"]["changes"]), COUNT, "changes resumed")
    m.commit()
judge("m.safetensors", wanted)
