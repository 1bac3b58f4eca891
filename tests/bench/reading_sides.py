# SPDX-License-Identifier: Apache-2.0
"""The sides of scripts/bench reading: plain files, the mount, and the mount of libfuse's example passthrough_hp.

The model has tensors of 1 MiB, 64 MiB and 1 GiB, none at a multiple of a page. Beside it lie the same bytes in plain files.
"""
import json
import os
import random
import signal
import struct
import subprocess
import sys
import time
from array import array

from rounds import Side, Unable

MIB = 1 << 20
DATA_START = 1000  # modulo a page: no tensor is aligned
PAGE = 4096
BIG, MIDDLE, SMALL = ["big.0", "big.1"], [f"middle.{index}" for index in range(4)], [f"small.{index:02d}" for index in range(64)]
SIZES = {**dict.fromkeys(BIG, 1024 * MIB), **dict.fromkeys(MIDDLE, 64 * MIB), **dict.fromkeys(SMALL, MIB)}
NPY_HEADER = 128


def header_of(entries, start=None):
    """Prefix and header; with `start`, data begin at that offset modulo a page."""
    header = json.dumps(entries, separators=(",", ":")).encode()
    length = 8 + len(header)
    header += b" " * (-length % 8 if start is None else (start - length) % PAGE)
    return struct.pack("<Q", len(header)) + header


def npy_header(count):
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({count},), }}"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", NPY_HEADER - 10) + text.ljust(NPY_HEADER - 11).encode() + b"\n"


def write_blocks(path, head, block, size):
    with open(path, "wb") as file:
        file.write(head)
        for _ in range(size // len(block)):
            file.write(block)


def make_model(directory):
    """The model, and its bytes as plain files in plain/."""
    chance = random.Random(6)
    block = array("f", (chance.random() for _ in range(MIB // 4))).tobytes()
    entries, at = {}, 0
    for name, size in SIZES.items():
        entries[name] = {"dtype": "F32", "shape": [size // 4], "data_offsets": [at, at + size]}
        at += size
    write_blocks(os.path.join(directory, "model.safetensors"), header_of(entries, DATA_START), block, at)
    plain = os.path.join(directory, "plain")
    os.mkdir(plain)
    for name in BIG:
        write_blocks(os.path.join(plain, name), b"", block, SIZES[name])
    for name in MIDDLE:
        write_blocks(os.path.join(plain, name + ".npy"), npy_header(SIZES[name] // 4), block, SIZES[name])


def make_many(path, count):
    """A model of many tensors of 4 bytes, as that of scripts/bench format."""
    names = sorted(f"model.layers.{index // 9}.self_attn.q_proj.weight_{index % 9}" for index in range(count))
    entries = {name: {"dtype": "BF16", "shape": [2, 1], "data_offsets": [4 * index, 4 * index + 4]}
               for index, name in enumerate(names)}
    with open(path, "wb") as file:
        file.write(header_of(entries) + bytes(4 * count))
    return names


def make_files(directory, names):
    """All of them or none: with --keep the directory is used again."""
    os.makedirs(directory + ".new", exist_ok=True)
    for name in names:
        with open(os.path.join(directory + ".new", name), "wb") as file:
            file.write(b"abcd")
    os.rename(directory + ".new", directory)


def drop(path):
    """What the page cache holds of a file; of a file in a mount that is what was read through the mount."""
    descriptor = os.open(path, os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def drop_everything():
    if os.geteuid() != 0:
        raise Unable("only root may drop the page cache")
    os.sync()
    try:
        with open("/proc/sys/vm/drop_caches", "w") as file:
            file.write("3")
    except OSError as error:
        raise Unable(f"the page cache cannot be dropped: {error.strerror}") from error


def is_running(pid):
    """Not so a process that has ended, and which nobody has waited for."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


class Plain:
    """Files of the file system itself: no cache to be dropped before a first read."""

    def __init__(self, directory):
        self.directory = directory
        self.whole = os.path.join(directory, "model.safetensors")

    def tensor(self, name):
        return os.path.join(self.directory, "plain", name)

    def npy(self, name):
        return self.tensor(name + ".npy")

    def drop(self, path):
        pass

    def stop(self):
        pass


class Weightfs:
    def __init__(self, program, source, point, options=""):
        self.program, self.source, self.point = program, source, point
        self.command = [program, "mount", *(["-o", options] if options else []), source, point]
        self.whole = os.path.join(point, os.path.basename(source))
        self.mounted = False

    def start(self):
        os.makedirs(self.point, exist_ok=True)
        done = subprocess.run(self.command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise Unable(done.stderr.strip() or f"exit {done.returncode}")
        self.mounted = True
        return self

    def tensor(self, name):
        return os.path.join(self.point, "tensors", name)

    def npy(self, name):
        return os.path.join(self.point, "npy", name + ".npy")

    drop = staticmethod(drop)

    def status(self):
        with open(os.path.join(self.point, ".weightfs", "status.json")) as file:
            return json.load(file)

    def stop(self):
        """Returns when the daemon has ended: the next measurement is not to share the machine with it. But where another mount
        namespace has copied the mount, it lives on."""
        if not self.mounted:
            return
        pid = self.status()["pid"]
        subprocess.run([self.program, "umount", self.point], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 5
        while is_running(pid) and time.monotonic() < deadline:
            time.sleep(0.001)
        self.mounted = False


class Passthrough:
    """libfuse's example passthrough_hp over the plain files (scripts/peers passthrough_hp)."""

    def __init__(self, program, directory, point):
        self.command = [program, "--foreground", os.path.join(directory, "plain"), point]
        self.point, self.process = point, None

    def start(self):
        if not os.access(self.command[0], os.X_OK):
            raise Unable("not built (scripts/peers passthrough_hp tells why)")
        os.makedirs(self.point, exist_ok=True)
        before = os.stat(self.point).st_dev
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        while os.stat(self.point).st_dev == before:
            if self.process.poll() is not None:
                self.process = None
                raise Unable("it cannot mount here")
            time.sleep(0.01)
        return self

    def tensor(self, name):
        return os.path.join(self.point, name)

    drop = staticmethod(drop)

    def stop(self):
        if self.process:
            subprocess.run(["fusermount3", "-u", self.point], check=False)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGKILL)
                self.process.wait()
            self.process = None


def reader(program):
    return Side("reader", program)


def library(name):
    return Side(name, sys.executable, os.path.join(os.path.dirname(__file__), "python_side.py"), name)
