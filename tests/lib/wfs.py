# SPDX-License-Identifier: Apache-2.0
"""What the Python tests share: models made and read without the product, the product's mount, and assertions.

The format is written down here a second time, independently of src/format: build() writes canonical files (and, with `entries`,
broken ones), parse() reads without judging. official() asks the safetensors library, the judge wherever it can be.

A test is a script: `from wfs import *`, statements, assertions. Its directory is the current one (tests/lib/run).
As a command: python3 -m wfs small FILE | cat FILE TENSOR | list FILE | official FILE.
"""
import contextlib
import errno
import json
import os
import signal
import stat
import struct
import subprocess
import sys
import time

DTYPES = ["BOOL", "F4", "F6_E2M3", "F6_E3M2", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ",
          "I16", "U16", "F16", "BF16", "I32", "U32", "F32", "C64", "F64", "I64", "U64"]
BITS = dict(BOOL=8, F4=4, F6_E2M3=6, F6_E3M2=6, U8=8, I8=8, F8_E5M2=8, F8_E4M3=8, F8_E8M0=8, F8_E4M3FNUZ=8, F8_E5M2FNUZ=8,
            I16=16, U16=16, F16=16, BF16=16, I32=32, U32=32, F32=32, C64=64, F64=64, I64=64, U64=64)


# --- models ----------------------------------------------------------------------------------------------------

def byte_size(dtype, shape):
    count = 1
    for dimension in shape:
        count *= dimension
    assert count * BITS[dtype] % 8 == 0
    return count * BITS[dtype] // 8


def pattern(size, seed=0):
    """Bytes in which every place can be told from every other near it."""
    block = bytes((i * 167 + (i >> 8) * 59 + seed * 31) & 0xFF for i in range(min(size, 65536)))
    return (block * (size // 65536 + 1))[:size]


def tensor(dtype, shape, seed=0):
    return dtype, list(shape), pattern(byte_size(dtype, shape), seed)


def frame(header, data=b""):
    """Prefix, header bytes as they come, data."""
    if isinstance(header, str):
        header = header.encode()
    return struct.pack("<Q", len(header)) + header + data


def build(tensors, metadata=None):
    """The canonical file of {name: (dtype, shape, bytes)}."""
    order = sorted(tensors, key=lambda name: (-DTYPES.index(tensors[name][0]), name.encode()))
    entries = {} if metadata is None else {"__metadata__": dict(sorted(metadata.items()))}
    offset = 0
    for name in order:
        dtype, shape, data = tensors[name]
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    header = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return frame(header, b"".join(tensors[name][2] for name in order))


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def append(path, data):
    with open(path, "ab") as file:
        file.write(data)


def save(path, tensors, metadata=None):
    write(path, build(tensors, metadata))


def parse(data):
    """(metadata or None, {name: (dtype, shape, bytes)}) of a file's bytes or path, trusting it."""
    if isinstance(data, (str, os.PathLike)):
        data = read(data)
    start = 8 + struct.unpack("<Q", data[:8])[0]
    entries = json.loads(data[8:start])
    metadata = entries.pop("__metadata__", None)
    return metadata, {name: (entry["dtype"], entry["shape"], data[start + entry["data_offsets"][0]:start + entry["data_offsets"][1]])
                      for name, entry in entries.items()}


def official(path):
    """The same tensors, as the official library sees them: {name: (dtype, shape, bytes)}."""
    import safetensors
    return {name: (view["dtype"], list(view["shape"]), bytes(view["data"]))
            for name, view in safetensors.deserialize(read(path))}


def has_official():
    try:
        import safetensors  # noqa: F401
    except ImportError:
        return False
    return True


def judge(path, tensors, metadata="any"):
    """`path` holds exactly these tensors, by our own reader and, where it is installed, by the official library."""
    found_metadata, found = parse(path)
    same_tensors(found, tensors)
    if has_official():
        same_tensors(official(path), tensors)
    if metadata != "any":
        equal(found_metadata, metadata, "__metadata__")


def same_tensors(found, expected):
    equal(sorted(found), sorted(expected), "tensor names")
    for name, (dtype, shape, data) in expected.items():
        equal((found[name][0], list(found[name][1])), (dtype, list(shape)), f"dtype and shape of {name!r}")
        equal(found[name][2], data, f"bytes of {name!r}")


def small():
    """A model with a bit of everything, small enough to be copied in every test."""
    return {
        "model.embed.weight": tensor("BF16", [64, 32], 1),
        "lm_head.weight": tensor("BF16", [64, 32], 2),
        "model.norm.weight": tensor("F32", [32], 3),
        "layers.0.w": tensor("F16", [16, 16], 4),
        "layers.10.w": tensor("F16", [16, 16], 5),
        "layers.2.w": tensor("F16", [16, 16], 6),
        "optimizer.m": tensor("F32", [100], 7),
        "optimizer.v": tensor("F32", [100], 8),
        "a": tensor("I64", [5], 9),
        "scalar": tensor("F64", [], 10),
        "empty": tensor("F32", [0, 7], 11),
        "flags": tensor("BOOL", [13], 0),
    }


def save_small(path="m.safetensors"):
    """Writes small() to `path`; returns its tensors."""
    tensors = small()
    tensors["flags"] = ("BOOL", [13], bytes(i % 2 for i in range(13)))
    save(path, tensors, {"format": "pt"})
    return tensors


# --- the product -------------------------------------------------------------------------------------------------

def skip(reason):
    print(f"SKIP: {reason}")
    sys.exit(77)


def requires(*needs):
    """fuse, root, python:MODULE or a command."""
    for need in needs:
        if need == "fuse":
            if os.environ.get("WEIGHTFS_MOUNT") == "OFF":
                skip("built without the mount")
            if not os.access("/dev/fuse", os.R_OK | os.W_OK):
                skip("/dev/fuse is missing or cannot be opened")
        elif need == "root":
            if os.geteuid() != 0:
                skip("needs root")
        elif need.startswith("python:"):
            try:
                __import__(need[7:])
            except ImportError:
                skip(f"Python has no {need[7:]} (scripts/venv)")
        elif subprocess.run(["sh", "-c", f"command -v {need}"], stdout=subprocess.DEVNULL).returncode:
            skip(f"no {need}")


@contextlib.contextmanager
def disk(kind, mebibytes, directory="disk"):
    """`directory` is a new file system (xfs, btrfs, ext4) in a sparse file meanwhile; skips where there cannot be one."""
    requires("root", f"mkfs.{kind}")
    image = directory + ".image"
    write(image, b"")
    os.truncate(image, mebibytes << 20)
    made = run(f"mkfs.{kind}", "-q", "-F" if kind == "ext4" else "-f", image, code=None)
    os.makedirs(directory, exist_ok=True)
    if made.code or run("mount", "-o", "loop", image, directory, code=None).code:
        skip(f"no {kind} can be made and mounted here {made.err[-200:]}")
    try:
        yield directory
    finally:
        if run("umount", directory, code=None).code:  # a container may have a copy of what is mounted in it
            run("umount", "--lazy", directory)
        os.unlink(image)


def room(directory):
    """Bytes that anybody may still write on its file system, when that has settled."""
    before = None
    for _ in range(50):
        run("sync", "-f", directory)
        fs = os.statvfs(directory)
        if before == fs.f_bavail * fs.f_frsize:
            break
        before = fs.f_bavail * fs.f_frsize
        time.sleep(0.05)
    return before


class Result:
    """A finished command."""

    def __init__(self, command, finished):
        self.command = " ".join(map(str, command))
        self.code, self.out, self.err = finished.returncode, finished.stdout, finished.stderr

    def __str__(self):
        return f"{self.command}\n  exit {self.code}\n  stdout: {self.out[:3000]!r}\n  stderr: {self.err[:3000]!r}"

    def json(self):
        return json.loads(self.out)

    def json_lines(self):
        return [json.loads(line) for line in self.out.splitlines()]


def run(*command, code=0, input=None, timeout=60, **more):
    """Runs a command and asserts its exit code (None: any)."""
    finished = subprocess.run([str(word) for word in command], input=input, capture_output=True, text=True, timeout=timeout,
                              errors="surrogateescape", **more)
    result = Result(command, finished)
    if code is not None and finished.returncode != code:
        fail(f"expected exit code {code}: {result}")
    return result


def weightfs(*words, code=0, **more):
    return run(os.environ["WEIGHTFS"], *words, code=code, **more)


def shell(line, code=0, **more):
    """A line of bash with pipefail."""
    return run("bash", "-c", "set -eu -o pipefail; " + line, code=code, **more)


class Mount:
    """A mounted model: paths, the control file, status. As a context manager it unmounts at the end."""

    def __init__(self, source, directory="mnt", *options, code=0, **more):
        self.source, self.directory = str(source), str(directory)
        with contextlib.suppress(FileExistsError):  # also the mount point of a dead daemon
            os.mkdir(directory)
        self.result = weightfs("mount", *options, source, directory, code=code, **more)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if os.path.ismount(self.directory):
            result = weightfs("umount", self.directory, code=None)
            if exception[0] is None and result.code != 0:
                fail(f"umount: {result}")

    def __truediv__(self, name):
        return os.path.join(self.directory, name)

    @property
    def staging(self):
        return self / "staging"

    def tensor(self, file_name):
        return f"{self.directory}/tensors/{file_name}"

    def staged(self, file_name):
        return f"{self.directory}/staging/tensors/{file_name}"

    def npy(self, file_name):
        return f"{self.directory}/staging/npy/{file_name}.npy"

    @property
    def preview(self):
        """The whole-file view of staging/."""
        name = os.path.basename(self.source)
        return f"{self.directory}/staging/{name}"

    @property
    def whole(self):
        return f"{self.directory}/{os.path.basename(self.source)}"

    def status(self):
        return json.loads(read(self / ".weightfs/status.json"))

    def text(self):
        return read(self / ".weightfs/status").decode()

    def changes(self):
        """{tensor: kind}"""
        return {change["tensor"]: change["kind"] for change in self.status()["staging"]["changes"]}

    def problems(self):
        return self.status()["staging"]["problems"]

    def errors(self):
        """Problems that block, as (tensor, code)."""
        return [(p["tensor"], p["code"]) for p in self.problems() if p["severity"] == "error"]

    def document(self):
        return json.loads(read(self / "staging/metadata.json"))

    def control(self, command):
        """One write(2) to the control file; returns 0 or the errno's name."""
        fd = os.open(self / ".weightfs/control", os.O_WRONLY)
        try:
            data = command.encode()
            with children_end_unheard():
                equal(os.write(fd, data), len(data), "count of a write to control")
            return 0
        except OSError as error:
            return errno_name(error)
        finally:
            os.close(fd)

    def commit(self, *options, code=0):
        return weightfs("commit", *options, self.directory, code=code)

    def umount(self, *options, code=0):
        return weightfs("umount", *options, self.directory, code=code)

    def pid(self):
        return self.status()["pid"]

    def kill(self):
        """SIGKILL to the daemon; the dead mount stays."""
        pid = self.pid()
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: has_ended(pid), "the daemon's end")


@contextlib.contextmanager
def children_end_unheard():
    """A signal interrupts a write to control, which cancels its commit. SIGCHLD is one of those when a child ends while the thread
    that began it still has its signals blocked (Python does so around vfork): then it comes to another thread, to this one."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def stopped(pid):
    """The daemon answers nothing meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def filesystem(kind, directory, size=400 << 20):
    """An empty file system of that kind, mounted at `directory`; skips the test where that cannot be."""
    requires("root", f"mkfs.{kind}", "losetup")
    with open(f"{directory}.image", "wb") as file:
        file.truncate(size)
    run(f"mkfs.{kind}", "-q", f"{directory}.image")
    os.makedirs(directory, exist_ok=True)
    mounted = run("mount", "-o", "loop", f"{directory}.image", directory, code=None)
    if mounted.code:
        skip(f"cannot mount {kind} here: {mounted.err.strip()}")
    try:
        yield directory
    finally:
        # a daemon whose mount another namespace has a copy of for a moment ends later than `weightfs umount`
        wait_for(lambda: run("umount", directory, code=None).code == 0, f"the last use of {directory}")
        os.unlink(f"{directory}.image")


def has_ended(pid):
    """Whether a process is gone with all its threads, or waits only for its parent to notice."""
    try:
        return len(os.listdir(f"/proc/{pid}/task")) <= 1 and read(f"/proc/{pid}/stat").rsplit(b")", 1)[1].split()[0] in (b"Z", b"X")
    except OSError:
        return True


def wait_for(condition, what, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            fail(f"waited {seconds} s in vain for {what}")
        time.sleep(0.02)


# --- assertions --------------------------------------------------------------------------------------------------

def fail(message):
    raise AssertionError(message)


def shown(value):
    if isinstance(value, (bytes, bytearray)) and len(value) > 200:
        return f"{bytes(value[:40])!r}... ({len(value)} bytes)"
    text = repr(value)
    return text if len(text) < 1500 else text[:1500] + "..."


def equal(found, expected, what="value"):
    if found != expected:
        place = ""
        if isinstance(found, (bytes, bytearray)) and isinstance(expected, (bytes, bytearray)):
            first = next((i for i, (a, b) in enumerate(zip(found, expected)) if a != b), min(len(found), len(expected)))
            place = f" (first difference at byte {first}, sizes {len(found)} and {len(expected)})"
        fail(f"{what}: found {shown(found)}, expected {shown(expected)}{place}")


def contains(text, *pieces):
    for piece in pieces:
        if piece not in text:
            fail(f"{piece!r} is not in {shown(text)}")


def one_sentence(text):
    """A message for a person: one line, nothing that a terminal would obey."""
    lines = text.strip("\n").split("\n")
    equal(len(lines), 1, f"lines of {text!r}")
    equal([c for c in lines[0] if ord(c) < 32 or 127 <= ord(c) < 160], [], f"control characters of {text!r}")
    return lines[0]


def errno_name(error):
    """Of two names for one number, the one that the documents use."""
    name = errno.errorcode.get(error.errno, str(error.errno))
    return {"ENOTSUP": "EOPNOTSUPP", "EDEADLOCK": "EDEADLK"}.get(name, name)


@contextlib.contextmanager
def raises(*names):
    """The block must fail with an OSError of one of these errno names."""
    try:
        yield
    except OSError as error:
        if errno_name(error) not in names:
            fail(f"failed with {errno_name(error)} ({error}), expected {' or '.join(names)}")
        return
    fail(f"succeeded, expected {' or '.join(names)}")


def main(words):
    if words[0] == "small":
        save_small(words[1])
    elif words[0] == "cat":
        sys.stdout.buffer.write(parse(words[1])[1][words[2]][2])
    elif words[0] == "list":
        for name, (dtype, shape, _) in sorted(parse(words[1])[1].items()):
            print(name, dtype, json.dumps(shape, separators=(",", ":")))
    elif words[0] == "official":
        for name, (dtype, shape, _) in sorted(official(words[1]).items()):
            print(name, dtype, json.dumps(shape, separators=(",", ":")))
    else:
        sys.exit(f"wfs: unknown command {words[0]}")


if __name__ == "__main__":
    main(sys.argv[1:])
