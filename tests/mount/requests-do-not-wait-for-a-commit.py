# SPDX-License-Identifier: Apache-2.0
# Readers, writers, creators, listers and commits at once: no deadlock, no wrong byte; a change during a commit gets EBUSY.
from wfs import *

requires("fuse")
import threading  # noqa: E402

COUNT = 8
save("m.safetensors", {f"t{i}": tensor("U8", [200000], i) for i in range(COUNT)} | {"fill": tensor("U8", [20_000_000], 7)})
allowed = {"EBUSY", "ENOENT", "ESTALE"}
stop = threading.Event()
failures, busy, commits = [], [0], [0]


def worker(step):
    def loop():
        i = 0
        while not stop.is_set():
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
            i += 1
    return threading.Thread(target=loop)


with Mount("m.safetensors") as m:
    def writer(i):
        write(m.staged(f"t{i % 4}"), bytes([i % 256]) * 200000)
        time.sleep(0.02)  # a commit that comes between truncating and writing finds a tensor that is too short

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
        if m.control("commit") == 0:
            commits[0] += 1
        time.sleep(0.02)

    threads = [worker(step) for step in (writer, creator, reader, lister, committer)]
    for thread in threads:
        thread.start()
    time.sleep(4)
    stop.set()
    for thread in threads:
        thread.join(timeout=20)
    equal([t.is_alive() for t in threads], [False] * len(threads), "threads that hang")
    equal(failures[:5], [], "failures")
    equal(commits[0] > 0, True, "commits")
    print(f"{commits[0]} commits, {busy[0]} times EBUSY")
    for i in range(4):  # a commit may have come between a writer's O_TRUNC and its bytes
        write(m.staged(f"t{i}"), bytes(200000))
    m.commit()
    for i in range(4, COUNT):
        equal(read(m.tensor(f"t{i}")), pattern(200000, i), f"t{i}")
weightfs("verify", "m.safetensors")
