# SPDX-License-Identifier: Apache-2.0
# Also when the mount lies over the directory of its own source.
from wfs import *

requires("fuse")
os.mkdir("d")
wanted = save_small("d/m.safetensors")
for mountpoint in ("mnt", "d"):
    with Mount("d/m.safetensors", mountpoint):
        result = weightfs("ls", "--json", mountpoint)
        equal(sorted(line["name"] for line in result.json_lines()), sorted(wanted), mountpoint)
        contains(one_sentence(result.err), f"{mountpoint} stands for ", "m.safetensors")
        equal(weightfs("cat", mountpoint, "flags").out.encode("latin-1"), wanted["flags"][2], "cat")

# What is staged is listed by naming staging/, whose preview is the one model in it.
with Mount("d/m.safetensors", "mnt") as m:
    write(m.staged("a"), bytes(40))
    os.unlink(m.staged("flags"))
    names = [line["name"] for line in weightfs("ls", "--json", "mnt/staging").json_lines()]
    equal(sorted(names), sorted(set(wanted) - {"flags"}), "the staged model")
    contains(weightfs("verify", "mnt/staging", "mnt/m.safetensors").out, "mnt/staging/m.safetensors: ok, 11 tensors", "mnt/m.safetensors: ok, 12 tensors")

    # A daemon that does not answer is given up.
    pid = m.pid()
    os.kill(pid, signal.SIGSTOP)
    while any(read(f"/proc/{pid}/task/{task}/stat").rsplit(b")", 1)[1].split()[0] != b"T" for task in os.listdir(f"/proc/{pid}/task")):
        time.sleep(0.01)  # a signal takes its time
    try:
        began = time.monotonic()
        result = weightfs("ls", "mnt", code=None, timeout=20)
        equal(result.code != 0 and time.monotonic() - began < 10, True, f"ls of a stopped daemon: {result}")
    finally:
        os.kill(pid, signal.SIGCONT)
