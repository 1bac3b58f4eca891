# SPDX-License-Identifier: Apache-2.0
"""A file system on a disk whose power can be cut: made, recorded, and shown again as any power loss would have left it."""
import ctypes
import errno
import fcntl
import os
import signal
import struct
import subprocess
import time

SIZES = {"ext4": 32 << 20, "xfs": 300 << 20, "btrfs": 128 << 20}
MKFS = {"ext4": ["-q", "-F", "-E", "nodiscard"], "xfs": ["-q", "-K"], "btrfs": ["-q", "-K"]}
SUPERBLOCKS = {"ext4": 1024, "xfs": 0, "btrfs": 65536}  # of which each expects that the disk writes it whole or not at all
OPTIONS = {"ext4": b"", "xfs": b"nouuid", "btrfs": b"nodiscard"}
RECORD_HEAD = struct.Struct("<IIQ")
WRITE, FLUSH, MARK = 1, 2, 3
SECTOR = 512

BLKFLSBUF = 0x1261
CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 4096, 16384, 1 << 18
MNT_DETACH = 2
PR_SET_PDEATHSIG = 1
BOOT_ID = "/proc/sys/kernel/random/boot_id"
libc = ctypes.CDLL(None, use_errno=True)


class MountError(OSError):
    pass


def check(result, what):
    if result < 0:
        number = ctypes.get_errno()
        raise MountError(number, f"{what}: {os.strerror(number)}")


def own_namespace():
    """Mounts of this process are its own from here on, and go when it does."""
    check(libc.unshare(CLONE_NEWNS), "unshare")
    check(libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None), "private mounts")
    # A copy of somebody's mount would keep the daemon alive after they unmounted.
    with open("/proc/self/mountinfo", "rb") as mounts:
        for line in mounts:
            if b" - fuse.weightfs " in line:
                libc.umount2(line.split()[4].decode("unicode_escape").encode("latin-1"), MNT_DETACH)


class Boots:
    """The boot id that processes of this namespace read: a power loss is followed by another boot."""

    def __init__(self, path):
        self.path, self.count = path, 0
        self.next()
        check(libc.mount(path.encode(), BOOT_ID.encode(), None, MS_BIND, None), "another boot id")

    def next(self):
        self.count += 1
        with open(self.path, "w") as file:
            file.write(f"{self.count:08x}-0000-4000-8000-{os.getpid():012x}\n")


def make_image(kind, path):
    with open(path, "wb") as file:
        file.truncate(SIZES[kind])
    finished = subprocess.run([f"mkfs.{kind}", *MKFS[kind], path], capture_output=True, text=True)
    if finished.returncode:
        raise RuntimeError(f"mkfs.{kind}: {finished.stderr.strip()}")


def die_with_parent():
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Loop:
    """A loop device over a file, freed with its last user."""

    def __init__(self, path):
        finished = subprocess.run(["losetup", "-f", "--show", path], capture_output=True, text=True)
        if finished.returncode:
            raise RuntimeError(f"losetup: {finished.stderr.strip()}")
        self.path = finished.stdout.strip()
        self.fd = os.open(self.path, os.O_RDWR)
        subprocess.run(["losetup", "-d", self.path], check=True)  # when we close it, or die

    def forget(self):
        """Nothing of the disk stays in memory."""
        fcntl.ioctl(self.fd, BLKFLSBUF)

    def close(self):
        os.close(self.fd)


class Mounted:
    def __init__(self, kind, loop, directory):
        self.directory = directory
        loop.forget()
        os.makedirs(directory, exist_ok=True)
        options = OPTIONS[kind] or None
        check(libc.mount(loop.path.encode(), directory.encode(), kind.encode(), 0, options), f"mount of {kind}")

    def close(self):
        for _ in range(500):
            if libc.umount2(self.directory.encode(), 0) == 0:
                return
            if ctypes.get_errno() != errno.EBUSY:
                break
            time.sleep(0.01)  # a daemon ends a little later than its mount
        check(-1, f"umount of {self.directory}")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


def plain_mount(kind, image, directory):
    """An image that is not recorded, for preparing it."""
    loop = Loop(image)
    mounted = Mounted(kind, loop, directory)
    plain_close = mounted.close

    def close():
        plain_close()
        loop.close()
    mounted.close = close
    return mounted


class Disk:
    """disk.c over `image`, with a loop device. First everything is recorded; show() then makes it a state."""

    def __init__(self, program, kind, image, folder):
        self.kind, self.log_path = kind, os.path.join(folder, "log")
        self.files = os.path.join(folder, "disk")
        self.directory = os.path.join(folder, "fs")
        os.makedirs(self.files, exist_ok=True)
        with open(self.log_path, "wb"):
            pass
        self.process = subprocess.Popen([program, image, self.log_path, self.files], preexec_fn=die_with_parent)
        while not os.path.exists(os.path.join(self.files, "disk")):
            if self.process.poll() is not None:
                raise RuntimeError(f"{program} ended with {self.process.returncode}")
            time.sleep(0.01)
        self.marks = os.open(os.path.join(self.files, "mark"), os.O_WRONLY)
        self.states = os.open(os.path.join(self.files, "state"), os.O_WRONLY)
        self.loop = Loop(os.path.join(self.files, "disk"))

    def mount(self):
        return Mounted(self.kind, self.loop, self.directory)

    def mark(self, text):
        os.write(self.marks, text.encode())

    def fail(self, words):
        with open(os.path.join(self.files, "fail"), "wb", buffering=0) as file:
            file.write(words.encode() or b" ")

    def show(self, state):
        os.write(self.states, state.words())

    def save(self, path):
        """The disk as it is now, as an image of its own."""
        subprocess.run(["cp", "--sparse=always", os.path.join(self.files, "disk"), path], check=True)

    def close(self):
        os.close(self.marks)
        os.close(self.states)
        self.loop.close()
        for _ in range(100):
            if libc.umount2(self.files.encode(), 0) == 0:
                break
            time.sleep(0.02)
        else:
            self.process.kill()
        self.process.wait()


class Log:
    """What was recorded: records as (kind, length, offset)."""

    def __init__(self, path, superblock):
        self.superblock = superblock
        self.records = []
        with open(path, "rb") as file:
            while head := file.read(RECORD_HEAD.size):
                kind, length, offset = RECORD_HEAD.unpack(head)
                self.records.append((kind, length, offset))
                file.seek(length, os.SEEK_CUR)

    def writes(self):
        return sum(kind == WRITE for kind, _, _ in self.records)

    def moment(self, count):
        """How many marks the first `count` records hold."""
        return sum(kind == MARK for kind, _, _ in self.records[:count])

    def may_tear(self, number):
        """Whether a power loss can cut this write in two."""
        _, length, offset = self.records[number]
        return length > SECTOR and not offset <= self.superblock < offset + length

    def epoch(self, count):
        """The writes since the last flush before record `count`: those that a disk may have lost."""
        found = []
        for number in range(count - 1, -1, -1):
            if self.records[number][0] == FLUSH:
                break
            if self.records[number][0] == WRITE:
                found.append(number)
        return found[::-1]


class State:
    """The first `count` records without some writes; of the last write only `torn` bytes."""

    def __init__(self, count, dropped=(), torn=None):
        self.count, self.dropped, self.torn = count, tuple(sorted(dropped)), torn

    def words(self):
        torn = [] if self.torn is None else [f"~{self.torn}"]
        return " ".join([str(self.count), *torn, *(f"-{number}" for number in self.dropped)]).encode()

    def key(self):
        return self.count, self.dropped, self.torn


def choose_states(log, wanted, rng):
    """About `wanted` states: first those just after each mark, without and with all and some of what was not flushed, then
    prefixes, random subsets and torn writes in turn."""
    chosen = {}

    def add(*words, **more):
        state = State(*words, **more)
        chosen.setdefault(state.key(), state)

    def subset(count):
        epoch = log.epoch(count)
        rate = rng.choice([0.1, 0.5, 0.5, 0.9])
        return [number for number in epoch if rng.random() < rate]

    marks = [number + 1 for number, (kind, _, _) in enumerate(log.records) if kind == MARK]
    writes = [number + 1 for number, (kind, _, _) in enumerate(log.records) if kind == WRITE]
    for count in marks + [len(log.records)]:
        add(count)
        add(count, log.epoch(count))
        add(count, subset(count))
    prefixes = rng.sample(writes, len(writes))
    for attempt in range(20 * wanted):
        if len(chosen) >= wanted or not writes:
            break
        if prefixes:
            add(prefixes.pop())
        count = rng.choice(marks + writes)
        add(count, subset(count))
        count = rng.choice(writes)
        if log.may_tear(count - 1):
            add(count, torn=SECTOR * rng.randrange(1, log.records[count - 1][1] // SECTOR))
    return [chosen[key] for key in sorted(chosen, key=lambda key: (key[0], key[1], key[2] or 0))]
