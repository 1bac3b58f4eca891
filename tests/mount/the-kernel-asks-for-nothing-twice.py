# SPDX-License-Identifier: Apache-2.0
# What the kernel has been told of the read-only tree it does not ask for again: attributes come with the listing, names that are
# not there are remembered, bytes stay cached across opens and, for a tensor that did not change, across a commit. libfuse's
# debug output is the list of what was asked.
from wfs import *

requires("fuse")
import re  # noqa: E402

MANY = {f"t{i}": tensor("U8", [100 + i], i) for i in range(300)}
TRIES = 3  # the kernel may drop clean pages whenever it likes
KEPT, CHANGED = tensor("F32", [1 << 18], 1), tensor("F32", [1 << 18], 2)
save("m.safetensors", {**MANY, "kept": KEPT, "changed": CHANGED})
os.mkdir("mnt")
log = open("log", "w")
daemon = subprocess.Popen([os.environ["WEIGHTFS"], "mount", "-f", "-o", "debug,no_passthrough", "m.safetensors", "mnt"], stderr=log)
wait_for(lambda: os.path.exists("mnt/tensors"), "the mount", 20)


class Asked:
    """What the kernel asked for in the block."""

    def __enter__(self):
        self.begin = os.path.getsize("log")
        return self

    def __exit__(self, *exception):
        text = read("log")[self.begin:].decode(errors="replace")
        self.requests = re.findall(r"opcode: (\w+) \(\d+\), nodeid: (\d+)", text)

    def count(self, opcode, path=None):
        number = path and str(os.stat(path).st_ino)
        return sum(1 for found, node in self.requests if found == opcode and number in (None, node))


def whole_status():
    return read("mnt/.weightfs/status").decode()


try:
    # what was agreed upon
    init = read("log").decode().split("INIT: 7.", 2)[2].split("unique", 1)[0]
    flags = int(re.search(r"flags=0x(\w+)", init)[1], 16)
    for name, bit, wanted in (("AUTO_INVAL_DATA", 12, True), ("DO_READDIRPLUS", 13, True), ("READDIRPLUS_AUTO", 14, False),
                              ("WRITEBACK_CACHE", 16, False), ("ATOMIC_O_TRUNC", 3, True)):
        equal(bool(flags >> bit & 1), wanted, name)

    # a listing brings the attributes along, and is not asked for again
    with Asked() as first:
        shell("ls -l mnt/tensors > first")
    equal(first.count("LOOKUP"), 0, "names looked up by ls -l")
    equal(first.count("GETATTR"), 0, "attributes asked for by ls -l")
    with Asked() as again:
        shell("ls -l mnt/tensors > again; find mnt/tensors -size +0 > found; cat mnt/tensors/t7 > /dev/null")
    equal(again.count("READDIRPLUS") + again.count("READDIR"), 0, "listings of a directory that was listed")
    directory = str(os.stat("mnt/tensors").st_ino)  # its time of access is another matter
    equal([(what, node) for what, node in again.requests if what in ("LOOKUP", "GETATTR") and node != directory], [],
          "questions about files that were listed")
    equal(read("again"), read("first"), "the second listing")

    # what is not there stays so
    os.stat("mnt/npy")
    with Asked() as absent:
        for _ in range(5):
            for name in ("mnt/tensors/nothing", "mnt/npy/nothing.npy", "mnt/nothing"):
                equal(os.path.exists(name), False, name)
    equal(absent.count("LOOKUP"), 3, "lookups of three names that are not there")

    # bytes stay cached across opens
    for path in ("mnt/tensors/kept", "mnt/tensors/changed", "mnt/npy/kept.npy", "mnt/m.safetensors"):
        with Asked() as cold:
            before = read(path)
        equal(cold.count("READ", path) > 0, True, f"reading {path}")
        for _ in range(TRIES):
            with Asked() as warm:
                equal(read(path), before, path)
            if warm.count("READ") == 0:
                break
        equal(warm.count("READ"), 0, f"reading {path} again")

    # and, where nothing changed, across a commit
    number = os.stat("mnt/tensors/kept").st_ino
    for attempt in range(TRIES):
        data = pattern(1 << 20, 77 + attempt)
        write("mnt/staging/tensors/changed", data)
        weightfs("commit", "mnt")
        equal(os.stat("mnt/tensors/kept").st_ino, number, "inode of a tensor that did not change")
        with Asked() as kept:
            equal(read("mnt/tensors/kept"), KEPT[2], "a tensor that did not change")
            equal(read("mnt/npy/kept.npy")[-len(KEPT[2]):], KEPT[2], "the same as .npy")
        if kept.count("READ") == 0:
            break
    equal(kept.count("READ"), 0, "reading a tensor that did not change")
    with Asked() as changed:
        equal(read("mnt/tensors/changed"), data, "a tensor that changed")
    equal(changed.count("READ") > 0, True, "reading a tensor that changed")

    # the read-ahead of the mount, raised where that is allowed
    device = os.stat("mnt").st_dev
    ahead = f"/sys/class/bdi/{os.major(device)}:{os.minor(device)}/read_ahead_kb"
    if os.geteuid() == 0 and os.access(ahead, os.W_OK):
        equal(read(ahead), b"960\n", ahead)
        contains(whole_status(), "read-ahead raised to 960 KiB")
        with Asked() as streamed:
            os.posix_fadvise(fd := os.open("mnt/tensors/kept", os.O_RDONLY), 0, 0, os.POSIX_FADV_DONTNEED)
            while os.read(fd, 65536):
                pass
            os.close(fd)
        equal(streamed.count("READ") <= 5, True, f"READ requests for 1 MiB ({streamed.count('READ')})")
    else:
        contains(whole_status(), "read-ahead left at the kernel's default")
finally:
    weightfs("umount", "mnt", code=None)
    daemon.wait(20)
