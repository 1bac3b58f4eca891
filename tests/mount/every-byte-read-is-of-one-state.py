# SPDX-License-Identifier: Apache-2.0
# Many processes read random ranges of every view while the model is committed to, replaced by rename, unmounted, killed and mounted
# again. Every word of a tensor is the number of its state, and all of one open file are of one state; ESTALE and a mount that is not
# there are the only other answers. WEIGHTFS_RACE_SECONDS makes it longer.
import mmap
import random
import traceback

from wfs import *

requires("fuse")
SECONDS = float(os.environ.get("WEIGHTFS_RACE_SECONDS", "10"))
NAMES = {"a": 700, "b": 40_000, "c": 3}  # words
READERS = 5
GONE = ("ESTALE", "ENOENT", "ENOTCONN", "EINVAL", "ECONNABORTED", "EIO")


def model(number):
    return {name: ("U64", [words], struct.pack("<Q", number) * words) for name, words in NAMES.items()}


save("m.safetensors", model(1), {"format": "pt"})
START = 8 + struct.unpack("<Q", read("m.safetensors")[:8])[0]
counter = mmap.mmap(-1, 64)  # the newest state that was ever begun; stop; pause
struct.pack_into("<QQ", counter, 0, 1, 0)


def states(data, offset, length):
    """The numbers in a range, cut to whole words."""
    skip = -offset % 8
    words = (len(data) - skip) // 8
    return set(struct.unpack_from(f"<{words}Q", data, skip)) if words > 0 else set()


def views(name):
    words = NAMES[name]
    yield f"mnt/tensors/{name}", 0, words * 8
    yield f"mnt/npy/{name}.npy", 128, words * 8
    yield "mnt/m.safetensors", START, 8 * sum(NAMES.values())
    yield f"mnt/staging/tensors/{name}", 0, words * 8
    yield f"mnt/staging/npy/{name}.npy", 128, words * 8
    yield "mnt/staging/m.safetensors", START, 8 * sum(NAMES.values())
    yield "m.safetensors", START, 8 * sum(NAMES.values())


def look(rng):
    """One open file, read a few times. What is staged may change between two reads, so each of them counts alone there."""
    path, begin, size = rng.choice(list(views(rng.choice(list(NAMES)))))
    fd = os.open(path, os.O_RDONLY)
    try:
        found = set()
        for _ in range(rng.randrange(1, 6)):
            offset = rng.randrange(size)
            data = os.pread(fd, rng.choice([8, 100, 5000, 200_000]), begin + offset)
            if "staging" not in path:
                found |= states(data, offset, size)
                equal(len(data) > 0, True, f"{path}: bytes at {offset}")
        newest = struct.unpack_from("<Q", counter, 0)[0]
        if len(found) > 1 or any(not 1 <= number <= newest for number in found):
            fail(f"{path}: states {sorted(found)[:10]} in one open file; the newest is {newest}")
    finally:
        os.close(fd)


def reader(number):
    rng = random.Random(f"reader {number}")
    looks = refused = 0
    try:
        while not struct.unpack_from("<Q", counter, 8)[0]:
            try:
                while struct.unpack_from("<Q", counter, 16)[0] and not struct.unpack_from("<Q", counter, 8)[0]:
                    time.sleep(0.002)
                look(rng)
                looks += 1
            except OSError as error:
                if errno_name(error) not in GONE:
                    raise
                refused += 1
                time.sleep(0.002)
        print(f"reader {number}: {looks} files, {refused} refused")
        sys.stdout.flush()
        os._exit(0 if looks > 20 else 2)
    except BaseException:
        traceback.print_exc()
        sys.stdout.flush()
        os._exit(1)


def edit(m, number):
    for name, (_, _, data) in model(number).items():
        write(m.staged(name), data)


sys.stdout.flush()
m = Mount("m.safetensors")
pids = []
for number in range(READERS):
    pid = os.fork()
    if pid == 0:
        reader(number)
    pids.append(pid)

rng = random.Random("main")
state, begun, did = 1, time.monotonic(), {}
try:
    while time.monotonic() - begun < SECONDS:
        what = rng.choice(["commit", "commit", "commit", "replace", "unmount", "kill"])
        did[what] = did.get(what, 0) + 1
        state += 1
        counter[0:8] = struct.pack("<Q", state)  # at once, which pack_into() is not
        if what == "commit":
            edit(m, state)
            answer = m.control("commit")
            equal(answer, 0, "commit")
        elif what == "replace":  # by somebody else: what is mounted is still the old one; the next mount has the new
            save("other", model(state), {"format": "pt"})
            os.rename("other", "m.safetensors")
            edit(m, state)
            equal(m.control("commit"), "ESTALE", "commit over somebody else's file")
            equal(m.control("discard"), 0, "discard")
        if what in ("replace", "kill"):
            m.kill()
            m = Mount("m.safetensors")
        elif what == "unmount":
            struct.pack_into("<Q", counter, 16, 1)  # refused while a reader has a file open: they stop opening for a moment
            wait_for(lambda: m.umount(code=None).code == 0, "an unmount", 30)
            struct.pack_into("<Q", counter, 16, 0)
            time.sleep(0.02)
            m = Mount("m.safetensors")
finally:
    struct.pack_into("<Q", counter, 8, 1)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
print(did)
equal(codes, [0] * READERS, "exit codes of the readers")
pid = m.pid()
m.umount("--discard")
wait_for(lambda: has_ended(pid), "the daemon's end", 30)
