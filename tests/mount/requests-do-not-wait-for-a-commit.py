# SPDX-License-Identifier: Apache-2.0
# Readers, writers, creators, listers and commits at once: no deadlock, no wrong byte; a change during a commit gets EBUSY.
from wfs import *

requires("fuse")
import threading  # noqa: E402

COUNT = 8
SECONDS = 4  # of all at once; more where no commit was done by then
PATIENCE = 50  # a commit is as slow as the disk's fsync, and so is what writes over bytes that were synced: neither hangs
save("m.safetensors", {f"t{i}": tensor("U8", [200000], i) for i in range(COUNT)} | {"fill": tensor("U8", [20_000_000], 7)})
allowed = {"EBUSY", "ENOENT", "ESTALE"}
stop = threading.Event()
whole = threading.Event()  # nothing is emptied and not yet written
whole.set()
failures, busy, commits, longest = [], [0], [0], {}


def worker(step):
    def loop():
        i = 0
        while not stop.is_set() or (step.__name__ == "writer" and not whole.is_set()):
            begun = time.monotonic()
            try:
                step(i)
            except OSError as error:
                name = errno_name(error)
                if name == "EBUSY":
                    busy[0] += 1
                if name not in allowed:
                    failures.append(f"{step.__name__}: {error}")
            except AssertionError as error:
                failures.append(f"{step.__name__}: {error}")
            longest[step.__name__] = max(longest.get(step.__name__, 0), time.monotonic() - begun)
            i += 1
    return threading.Thread(target=loop, daemon=True)


with Mount("m.safetensors") as m:
    acknowledged = [0]

    def writer(i):
        # a commit that comes between truncating and writing finds a tensor that is too short, so that one is written again
        whole.clear()
        write(m.staged(f"t{acknowledged[0] % 4}"), bytes([i % 256]) * 200000)
        acknowledged[0] += 1
        whole.set()
        time.sleep(0.02)

    def creator(i):
        write(m.staged(f".scratch{i % 3}"), b"x")
        os.rename(m.staged(f".scratch{i % 3}"), m.staged(f".other{i % 3}"))
        os.unlink(m.staged(f".other{i % 3}"))

    def reader(i):
        data = read(m.tensor(f"t{4 + i % 4}"))
        equal(data, pattern(200000, 4 + i % 4), "an unchanged tensor")
        data = read(m.tensor(f"t{i % 4}"))
        equal(len(data), 200000, "size of a changing tensor")

    def lister(i):
        names = set(os.listdir("mnt/tensors"))
        equal(len(names), COUNT + 1, "names")
        for name in names:
            os.stat(m.tensor(name))
        os.listdir("mnt/staging/tensors")
        os.listdir("mnt/staging")

    def committer(i):
        whole.wait(1)
        if m.control("commit") == 0:
            commits[0] += 1
        time.sleep(0.02)

    threads = [worker(step) for step in (writer, creator, reader, lister, committer)]
    for thread in threads:
        thread.start()
    time.sleep(SECONDS)
    try:
        wait_for(lambda: commits[0] > 0, "a commit", PATIENCE)
    finally:
        stop.set()
        deadline = time.monotonic() + PATIENCE
        for thread in threads:
            thread.join(timeout=max(0, deadline - time.monotonic()))
        print(f"{commits[0]} commits, {busy[0]} times EBUSY; the longest: "
              + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in longest.items()))
    equal([t.is_alive() for t in threads], [False] * len(threads), "threads that hang")
    equal(failures[:5], [], "failures")
    m.commit()
    for i in range(4, COUNT):
        equal(read(m.tensor(f"t{i}")), pattern(200000, i), f"t{i}")
weightfs("verify", "m.safetensors")
