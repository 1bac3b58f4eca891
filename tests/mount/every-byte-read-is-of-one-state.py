# SPDX-License-Identifier: Apache-2.0
# Many processes read random ranges of every view, in every way, while the model is committed to, replaced by rename, changed in place,
# unmounted, killed and mounted again. Every word of a tensor tells its place, the tensor and the state of the model: each has to be where
# it belongs, and all of one open file of the read-only tree are of one state. ESTALE and a mount that is not there are the only other
# answers. A read that meets a change in place may show that change. WEIGHTFS_RACE_SECONDS makes it longer.
import mmap
import random
import traceback
from array import array

from wfs import *

requires("fuse")
SECONDS = float(os.environ.get("WEIGHTFS_RACE_SECONDS", "10"))
NAMES = {"a": 700, "b": 40_000, "c": 3}  # words
READERS = 5
GONE = ("ESTALE", "ENOENT", "ENOTCONN", "EINVAL", "ECONNABORTED", "EIO", "EFAULT")  # EFAULT: of a mapped page
STATE = 1 << 40  # the lower bits of a word are the same in all states


def words(name, state):
    begin = state * STATE + (list(NAMES).index(name) << 32)
    return array("Q", range(begin, begin + NAMES[name])).tobytes()


def model(state):
    return {name: ("U64", [NAMES[name]], words(name, state)) for name in NAMES}


def everything(state):
    return b"".join(words(name, state) for name in NAMES)


save("m.safetensors", model(1), {"format": "pt"})
START = 8 + struct.unpack("<Q", read("m.safetensors")[:8])[0]
shared = mmap.mmap(-1, 64)
NEWEST, STOP, PAUSE, TORN = 0, 1, 2, 3  # the newest state that was ever begun; flags; changes in place, twice each: begun and over


def get(place):
    return struct.unpack_from("<Q", shared, 8 * place)[0]


def put(place, value):
    shared[8 * place:8 * place + 8] = struct.pack("<Q", value)  # at once, which pack_into() is not


put(NEWEST, 1)
VIEWS = [(f"mnt/{where}/{name}{ending}", begin, name) for name in NAMES
         for where, ending, begin in (("tensors", "", 0), ("npy", ".npy", 128), ("staging/tensors", "", 0), ("staging/npy", ".npy", 128))]
VIEWS += [(path, START, None) for path in ("mnt/m.safetensors", "mnt/staging/m.safetensors", "m.safetensors")] * 3
VIEWS += [("mnt/metadata.json", 0, None)]
DOCUMENT = None  # read once, below: it is the same in all states
page = mmap.mmap(-1, 1 << 18, flags=mmap.MAP_PRIVATE)  # whatever O_DIRECT wants to be aligned is


def pread(fd, length, offset):
    """All of it: an error behind the first pages of a read cuts that read short, and is told by the next one."""
    data = b""
    while len(data) < length and (piece := os.pread(fd, length - len(data), offset + len(data))):
        data += piece
    return data


def direct(fd, length, offset):
    length, done = min(length + 4095 & -4096, len(page)), 0
    while done < length and (count := os.preadv(fd, [memoryview(page)[done:length]], offset + done)):
        done += count
    return page[:done]


def sent(fd, length, offset):
    out = os.memfd_create("sent")
    try:
        while length > 0 and (count := os.sendfile(out, fd, offset, length)):
            offset, length = offset + count, length - count
        return os.pread(out, 1 << 20, 0)
    finally:
        os.close(out)


def mapped(fd, length, offset):
    """The kernel takes the bytes from the mapping: EFAULT where a process would get SIGBUS."""
    size, done = os.fstat(fd).st_size, 0
    out = os.memfd_create("mapped")
    try:
        with mmap.mmap(fd, size, prot=mmap.PROT_READ) as view, memoryview(view) as whole, whole[offset:offset + length] as part:
            while done < len(part):
                done += os.write(out, part[done:])
        return os.pread(out, 1 << 20, 0)
    finally:
        os.close(out)


def states_in(data, name, offset, what, known={}):
    """The states in a range of a tensor (None: of all of them); fails where a word is not where it belongs."""
    skip = -offset % 8
    found = array("Q", data[skip:skip + (len(data) - skip) // 8 * 8]) if len(data) >= skip + 8 else array("Q")
    if not found:
        return set()
    state = found[0] // STATE
    if 0 < state <= get(NEWEST):
        if (name, state) not in known:
            if len(known) > 20:
                known.clear()
            known[name, state] = words(name, state) if name else everything(state)
        if known[name, state][offset:offset + len(data)] == data:
            return {state}
    right = array("Q", words(name, 0) if name else everything(0))[(offset + skip) // 8:]
    may_be_empty = "staging/tensors" in what or "staging/npy" in what  # zeros: emptied, and written anew, during this read
    for word, expected in zip(found, right):
        if word % STATE != expected and not (word == 0 and may_be_empty):
            fail(f"{what}: {word:#x} in the place of ...{expected:x}")
    return {word // STATE for word in found if word or not may_be_empty}


def look(rng):
    """One open file, read a few times. What is staged may change meanwhile, so of that only the place of each word counts."""
    path, begin, name = rng.choice(VIEWS)
    way = rng.choice([pread, pread, pread, sent, mapped, direct])
    if way is mapped and "staging" in path:  # where a file is just emptied, what is mapped of it is zeros
        way = pread
    torn = get(TORN)
    fd = os.open(path, os.O_RDONLY | (os.O_DIRECT if way is direct and path.startswith("mnt") else 0))
    try:
        if rng.random() < 0.8:  # asks the daemon again
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        if path.endswith(".json"):
            offset = rng.randrange(len(DOCUMENT))
            equal(os.pread(fd, 1 << 20, offset), DOCUMENT[offset:], path)
            return
        size = 8 * (NAMES[name] if name else sum(NAMES.values()))
        states = set()
        for _ in range(rng.randrange(1, 6)):
            offset = max(0, rng.randrange(0, size, 4096) - begin % 4096) if way is direct else rng.randrange(size)
            length = min(rng.choice([8, 100, 5000, 200_000]), size - offset)
            data = way(fd, length, begin + offset)[:size - offset]
            what = f"{path}: {way.__name__} of {length} bytes at {offset}"
            if "staging" not in path:
                equal(len(data) >= length, True, f"{what}: {len(data)}")
            states |= states_in(data, name, offset, what)
        newest = get(NEWEST)
        mixed_by_somebody = "staging" in path or torn % 2 or get(TORN) != torn
        if (len(states) > 1 and not mixed_by_somebody) or any(not 1 <= number <= newest for number in states):
            fail(f"{path}: states {sorted(states)[:10]} in one open file; the newest is {newest}")
    finally:
        os.close(fd)


def reader(number):
    rng = random.Random(f"reader {number}")
    looks = refused = 0
    try:
        while not get(STOP):
            try:
                while get(PAUSE) and not get(STOP):
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


def edit(m, state):
    for name, (_, _, data) in model(state).items():
        write(m.staged(name), data)


def change_in_place(state):
    """The same bytes but for the state. Whoever opens or reads a file that nobody has in the cache is refused from then on."""
    put(TORN, get(TORN) + 1)
    time.sleep(0.01)
    with open("m.safetensors", "r+b", buffering=0) as file:
        file.seek(START)
        file.write(everything(state))
    for path in ("mnt/tensors/a", "mnt/npy/b.npy", "mnt/m.safetensors", "mnt/metadata.json"):
        with raises("ESTALE"):
            read(path)
    time.sleep(0.2)


sys.stdout.flush()
m = Mount("m.safetensors")
DOCUMENT = read("mnt/metadata.json")
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
        what = rng.choice(["commit", "commit", "commit", "replace", "change", "unmount", "kill"])
        did[what] = did.get(what, 0) + 1
        state += 1
        put(NEWEST, state)
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
        elif what == "change":
            change_in_place(state)
        if what in ("replace", "change", "kill"):
            m.kill()
            m = Mount("m.safetensors")
        elif what == "unmount":
            put(PAUSE, 1)  # refused while a reader has a file open: they stop opening for a moment
            wait_for(lambda: m.umount(code=None).code == 0, "an unmount", 30)
            put(PAUSE, 0)
            time.sleep(0.02)
            m = Mount("m.safetensors")
        if what == "change":
            put(TORN, get(TORN) + 1)
        time.sleep(rng.random() * 0.2)  # some time for reading
finally:
    put(STOP, 1)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
print(did)
equal(codes, [0] * READERS, "exit codes of the readers")
pid = m.pid()
m.umount("--discard")
wait_for(lambda: has_ended(pid), "the daemon's end", 30)
