# SPDX-License-Identifier: Apache-2.0
# The daemon has at most 8 MiB and two and a half times the header, also after 2 GiB were read through it; metadata.json is made
# when it is opened, and its memory given back when it is closed.
from wfs import *

requires("fuse")
build_directory = os.environ["WEIGHTFS_BUILD"]
if b"WEIGHTFS_SANITIZE:STRING=\n" not in read(f"{build_directory}/CMakeCache.txt"):
    skip("a sanitizer needs memory of its own")

COUNT, BIG = 20_000, 2 << 30
MIB = 1 << 20
entries = {f"model.layers.{i // 9}.self_attn.q_proj.weight_{i % 9}": {"dtype": "BF16", "shape": [2, 1], "data_offsets": [4 * i, 4 * i + 4]}
           for i in range(COUNT)}
entries["big"] = {"dtype": "U8", "shape": [BIG], "data_offsets": [4 * COUNT, 4 * COUNT + BIG]}
header = json.dumps(entries).encode()
write("m.safetensors", frame(header))
os.truncate("m.safetensors", 8 + len(header) + 4 * COUNT + BIG)  # sparse
limit = 8 * MIB + len(header) * 5 // 2


def resident(pid):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10


def at_most(pid, most, when):
    found = resident(pid)
    if found > most:
        fail(f"{found / MIB:.1f} MiB resident {when}, expected at most {most / MIB:.1f}")


with Mount("m.safetensors", "mnt", "-o", "ro,drop_behind") as m:
    pid = m.pid()
    at_most(pid, limit, "when mounted")
    shell(f"ls -l {m.directory}/tensors > /dev/null")
    at_most(pid, limit, "after a listing")
    fd = os.open(m.tensor("big"), os.O_RDONLY)
    for begin in range(0, BIG, 256 * MIB):  # the page cache of the machine is not to overflow
        shell(f"dd if={m.tensor('big')} of=/dev/null bs=1M skip={begin // MIB} count=256 status=none")
        os.posix_fadvise(fd, begin, 256 * MIB, os.POSIX_FADV_DONTNEED)
    os.close(fd)
    at_most(pid, limit, "after 2 GiB were read")

    before = resident(pid)
    with open(m / "metadata.json") as file:
        size = len(file.read())
        equal(size > MIB, True, "a document worth counting")
        equal(resident(pid) >= before + size // 2, True, "a document in memory while it is open")
    wait_for(lambda: resident(pid) <= before + size // 4, "the memory of a document that was closed")
    for _ in range(5):
        read(m / "metadata.json")
    wait_for(lambda: resident(pid) <= before + size // 4, "the memory of five documents")
    at_most(pid, limit, "in the end")
