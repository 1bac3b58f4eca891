# SPDX-License-Identifier: Apache-2.0
# Processes that write, save by rename, exchange, create and look up, read every view, commit, check and discard in one mount, for some
# seconds: every answer is one that the documents allow, no read mixes two states, nothing acknowledged is lost, and nobody ever waits
# for ever. WEIGHTFS_RACE_SECONDS makes it longer.
import ctypes
import mmap
import random
import traceback

from wfs import *

requires("fuse")
SECONDS = float(os.environ.get("WEIGHTFS_RACE_SECONDS", "12"))
PATIENCE = 60  # seconds without any progress: that worker hangs
WRITERS, WORDS = 3, 3000
libc = ctypes.CDLL(None, use_errno=True)


def filled(number):
    return struct.pack("<Q", number) * WORDS


def model():
    return {f"w{w}.{i}": ("U64", [WORDS], filled(0)) for w in range(WRITERS) for i in range(4)} | {
        "swap.a": ("F32", [300], pattern(1200, 1)), "swap.b": ("F32", [300], pattern(1200, 2)), "still": tensor("BF16", [64, 40], 3)}


save("m.safetensors", model(), {"format": "pt"})
m = Mount("m.safetensors")
progress = mmap.mmap(-1, 8 * 64)  # a counter a worker
stop = mmap.mmap(-1, 1)


def uniform(data, what):
    if data and data != data[:8] * (len(data) // 8):
        fail(f"{what}: two states in one read")
    return struct.unpack("<Q", data[:8])[0] if data else None


def allowed(call, *names):
    """The call's result, or the errno's name if it is one of these."""
    try:
        return call()
    except OSError as error:
        if errno_name(error) not in names:
            fail(f"{errno_name(error)}: {error}; allowed were {names}")
        return errno_name(error)


def writer(number, rng, step):
    """Its tensors are its own: what was acknowledged last is what they hold. In place, over, or by a scratch file and rename."""
    version = step + 1
    name = f"w{number}.{rng.randrange(4)}"
    data = filled(version)
    how = rng.choice(["place", "over", "rename"])
    try:
        if how == "place":
            fd = os.open(m.staged(name), os.O_WRONLY)
            try:
                equal(os.write(fd, data), len(data), "count")
            finally:
                os.close(fd)
        elif how == "over":
            with open(m.staged(name), "wb", buffering=0) as file:
                equal(file.write(data), len(data), "count")
        else:
            write(m.staged(f".{name}.tmp"), data)
            os.replace(m.staged(f".{name}.tmp"), m.staged(name))
    except OSError as error:
        # EBUSY and ESTALE: a commit came in between; a commit or a discard also takes scratch files away
        if errno_name(error) not in ("EBUSY", "ESTALE", "ENOENT"):
            raise
        return "again", name, version
    if number:  # those of writer 0 are discarded now and then
        found = uniform(read(m.staged(name)), f"staging/tensors/{name}")
        equal(found, version, f"what was acknowledged of {name}")
    return "done", name, version


pending = {}  # of a writer's process: the tensor and version that were refused


def write_for_ever(number, rng, step):
    """A refused write may have left its name emptied or half way: it is repeated until it is acknowledged."""
    if pending:
        (name, version), = pending.items()
        if allowed(lambda: write(m.staged(name), filled(version)), "EBUSY", "ESTALE") is None:
            pending.clear()
        return
    result, name, version = writer(number, rng, step)
    if result == "again":
        pending[name] = version


def exchange(rng, step):
    if libc.renameat2(-100, m.staged("swap.a").encode(), -100, m.staged("swap.b").encode(), 2):
        error = OSError(ctypes.get_errno(), "renameat2")
        if errno_name(error) != "EBUSY":
            raise error


def create(number, rng, step):
    """The same few names from several processes: one wins O_EXCL, others open or look up what is there."""
    path = m.staged(f".made.{rng.randrange(3)}")
    how = rng.randrange(4)
    if how == 0:
        fd = allowed(lambda: os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY), "EEXIST", "EBUSY", "ESTALE")
        if isinstance(fd, int):
            allowed(lambda: os.write(fd, b"x"), "EBUSY", "ESTALE")
            os.close(fd)
    elif how == 1:
        allowed(lambda: os.unlink(path), "ENOENT", "EBUSY")
    elif how == 2:
        allowed(lambda: os.stat(path).st_size in (0, 1), "ENOENT", "ESTALE")
    else:
        allowed(lambda: os.rename(path, m.staged(f".made.{rng.randrange(3)}")), "ENOENT", "EBUSY")


def read_model(rng, step):
    """The read-only tree: an open file is one generation, from its first byte to its last."""
    how = rng.randrange(4)
    name = f"w{rng.randrange(WRITERS)}.{rng.randrange(4)}"
    if how == 0:
        uniform(read(m.tensor(name)), f"tensors/{name}")
    elif how == 1:
        uniform(read(f"mnt/npy/{name}.npy")[128:], f"npy/{name}.npy")
    else:
        data = read(m.whole if how == 2 else "m.safetensors")
        tensors = parse(data)[1]
        equal(len(tensors), len(model()), "tensors of the whole file")
        for name, (_, _, found) in tensors.items():
            if name.startswith("w"):
                uniform(found, f"{name} of the whole file")
        equal(sorted((tensors["swap.a"][2], tensors["swap.b"][2])), sorted((pattern(1200, 1), pattern(1200, 2))), "exchanged tensors")


def read_staging(rng, step):
    how = rng.randrange(5)
    if how == 0:
        names = os.listdir("mnt/staging/tensors")
        equal(len(names), len(set(names)), "names, none twice")
        equal([name for name in model() if name not in names], [], "names that are not listed")
    elif how == 1:
        equal(sorted(name for name in m.document() if name != "__metadata__"), sorted(model()), "names in the document")
    elif how == 2:
        m.status()
        m.text()
    elif how == 3:
        data = allowed(lambda: read(m.preview), "EINVAL", "ESTALE", "ENOENT")
        if isinstance(data, bytes):
            equal(sorted(parse(data)[1]), sorted(model()), "tensors of the preview")
    else:
        for name in ("swap.a", "swap.b"):
            equal(len(read(m.staged(name))), 1200, f"size of {name}")


def commit(rng, step):
    result = m.control(rng.choice(["commit", "commit", "commit --backup", "check", "discard w0.1 w0.2", "commit-start", "cancel"]))
    equal(result in (0, "EBUSY", "EINVAL", "ECANCELED", "ENOENT"), True, f"answer of control ({result})")
    time.sleep(rng.random() * 0.05)


workers = {f"writer {w}": (lambda rng, step, w=w: write_for_ever(w, rng, step)) for w in range(WRITERS)}
workers |= {"exchange": exchange, "reader 0": read_model, "reader 1": read_model, "staging": read_staging, "commit 0": commit, "commit 1": commit}
workers |= {f"create {i}": (lambda rng, step, i=i: create(i, rng, step)) for i in range(2)}


def work(index, name):
    """A worker's process: until told to stop, and nothing of its own is half way. Its counter goes up with every step."""
    rng = random.Random(f"race {name}")
    step = 0
    try:
        while not stop[0] or pending:
            workers[name](rng, step)
            step += 1
            struct.pack_into("<Q", progress, 8 * index, step)
            if name.startswith("writer"):
                time.sleep(rng.random() * 0.01)  # leaves commits a chance
        os._exit(0)
    except BaseException:
        print(f"{name}, step {step}:")
        traceback.print_exc()
        sys.stdout.flush()
        os._exit(1)


sys.stdout.flush()
pids = {}
for index, name in enumerate(workers):
    pid = os.fork()
    if pid == 0:
        work(index, name)
    pids[pid] = index, name

begun = moved = time.monotonic()
seen = [0] * len(workers)
moved_at = [begun] * len(workers)
failed = []
while pids:
    now = time.monotonic()
    if now - begun > SECONDS:
        stop[0] = 1
    pid, status = os.waitpid(-1, os.WNOHANG)
    if pid:
        index, name = pids.pop(pid)
        if status:
            failed.append(name)
            stop[0] = 1
        continue
    for pid, (index, name) in pids.items():
        steps = struct.unpack_from("<Q", progress, 8 * index)[0]
        if steps != seen[index]:
            seen[index], moved_at[index] = steps, now
        elif now - moved_at[index] > PATIENCE:
            print(f"{name} (pid {pid}) hangs after {steps} steps: {read(f'/proc/{pid}/stack').decode()}")
            failed.append(name)
    if failed and now - begun > SECONDS + PATIENCE:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
    time.sleep(0.05)
print(", ".join(f"{name}: {struct.unpack_from('<Q', progress, 8 * index)[0]}" for index, name in enumerate(workers)))
equal(failed, [], "workers that failed")

# All commits are done, all writes acknowledged: one more commit makes a whole model of it.
wait_for(lambda: m.status()["commit"]["state"] != "running", "the last commit", 30)
for name in os.listdir("mnt/staging/tensors"):
    if name.startswith("."):
        os.unlink(m.staged(name))
for w in range(WRITERS):
    for i in range(4):
        uniform(read(m.staged(f"w{w}.{i}")), f"staging/tensors/w{w}.{i}")
expected = {name: (dtype, shape, read(m.staged(name))) for name, (dtype, shape, _) in model().items()}
m.commit()
pid = m.pid()
m.umount()
wait_for(lambda: has_ended(pid), "the daemon's end", 30)
judge("m.safetensors", expected, {"format": "pt"})
