# SPDX-License-Identifier: Apache-2.0
"""The real weightfs at work on a recorded file system, each step written down in the ledger before it begins and after it was
acknowledged."""
import concurrent.futures
import io
import subprocess
import threading

from ledger import METADATA, Ledger
from wfs import *

SOURCE = "m.safetensors"
ELSEWHERE = "of-somebody-else"
CODES = {"F32": "f4", "F64": "f8", "I64": "i8", "U8": "u1"}  # NumPy's letters


def data_of(model):
    return build(*model)


class Session:
    """The model's place: `file` is what a commit replaces, `source` what is mounted."""

    def __init__(self, disk, model, rng, create=False, output=None, source=None):
        self.disk, self.rng = disk, rng
        self.source = os.path.join(disk.directory, source or SOURCE)
        self.file = os.path.join(disk.directory, output) if output else self.source
        self.create, self.output = create, output
        self.mountpoint = disk.directory + ".mnt"
        self.mount = None
        is_new = create or output
        self.ledger = Ledger(disk.mark, None if is_new else read(self.file), *model)

    def options(self, exists):
        """How to mount, once there is a file or not yet."""
        if self.create and not exists:
            return ["--create"]
        return ["-o", f"output={self.file}"] if self.output and not exists else []

    def mounted(self, *more):
        exists = os.path.exists(self.file)
        source = self.file if exists else self.source
        self.mount = Mount(source, self.mountpoint, *self.options(exists), *more)
        return self.mount

    def random(self, dtype, shape):
        return dtype, list(shape), self.rng.randbytes(byte_size(dtype, shape))

    # --- steps ---

    def flush(self):
        """The system writes out what it holds, when it likes: nothing is promised by that."""
        run("sync", "-f", self.disk.directory)

    def elsewhere(self):
        """Somebody else fsyncs a file: a file system may write out what happened to names until now, and no bytes of ours."""
        with open(os.path.join(self.disk.directory, ELSEWHERE), "ab", buffering=0) as file:
            file.write(b"something else")
            os.fsync(file.fileno())

    def fsync(self, *names, path=None):
        with open(path or self.mount.staged(names[0]), "rb") as file:
            os.fsync(file.fileno())
        self.ledger.acknowledge(f"fsync of {names[0]}", names)

    def fsync_directory(self, *names):
        descriptor = os.open(self.mount.staging + "/tensors", os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(descriptor)
        os.close(descriptor)
        self.ledger.acknowledge("fsync of the directory", names)

    def write(self, name, value, fsync=False):
        """As cp does: the file is emptied and written; declared already."""
        self.ledger.begin(f"write {name}", {name: value})
        with open(self.mount.staged(name), "wb", buffering=0) as file:
            for at in range(0, len(value[2]), 65536):
                file.write(value[2][at:at + 65536])
            if fsync:
                os.fsync(file.fileno())
                self.ledger.acknowledge(f"fsync of {name}", [name])

    def write_preallocated(self, name, value):
        """As rsync --preallocate and memory maps do: the size is there before the bytes, which come in any order."""
        size, places = len(value[2]), list(range(0, len(value[2]), 8192))
        self.rng.shuffle(places)
        self.ledger.begin(f"write {name}, its size first", {name: value})
        with open(self.mount.staged(name), "wb", buffering=0) as file:
            os.posix_fallocate(file.fileno(), 0, size)
            self.elsewhere()
            for number, at in enumerate(places):
                os.pwrite(file.fileno(), value[2][at:at + 8192], at)
                if number == len(places) // 2:
                    self.flush()

    def dd(self, name, value):
        self.ledger.begin(f"dd {name}", {name: value})
        subprocess.run(["dd", f"of={self.mount.staged(name)}", "bs=64k", "iflag=fullblock", "conv=fsync", "status=none"],
                       input=value[2], check=True)
        self.ledger.acknowledge(f"dd conv=fsync of {name}", [name])

    def patch(self, name, offset, data, fsync=False):
        dtype, shape, before = self.ledger.now.history(name).values[-1][1]
        after = before[:offset] + data + before[offset + len(data):]
        self.ledger.begin(f"patch {name}", {name: (dtype, shape, after)})
        with open(self.mount.staged(name), "r+b", buffering=0) as file:
            file.seek(offset)
            file.write(data)
            if fsync:
                os.fsync(file.fileno())
                self.ledger.acknowledge(f"fsync of {name}", [name])

    def scatter(self, name, data):
        """Patches in many places at once, and no fsync."""
        dtype, shape, before = self.ledger.now.history(name).values[-1][1]
        after, places = bytearray(before), range(5000, len(before) - len(data), len(before) // 8)
        for offset in places:
            after[offset:offset + len(data)] = data
        self.ledger.begin(f"patches of {name}", {name: (dtype, shape, bytes(after))})
        with open(self.mount.staged(name), "r+b", buffering=0) as file:
            for offset in places:
                os.pwrite(file.fileno(), data, offset)

    def write_npy(self, name, value, order="C", endian="<", fsync=False):
        """As np.save does; the elements arrive in another order than they will be kept in."""
        import numpy
        dtype, shape, data = value
        array = numpy.frombuffer(data, "<" + CODES[dtype]).reshape(shape).astype(endian + CODES[dtype])
        saved = io.BytesIO()
        numpy.save(saved, numpy.asfortranarray(array) if order == "F" else array)
        self.ledger.begin(f"npy {name}", {name: value})
        with open(self.mount.npy(name), "wb", buffering=0) as file:
            file.write(saved.getvalue())
            if fsync:
                os.fsync(file.fileno())
                self.ledger.acknowledge(f"fsync of {name}.npy", [name])

    def duplicate(self, source, name):
        value = self.ledger.now.history(source).values[-1][1]
        self.ledger.begin(f"cp {source} {name}", {name: value})
        run("cp", self.mount.staged(source), self.mount.staged(name))

    def rename(self, source, name):
        value = self.ledger.now.history(source).values[-1][1]
        self.ledger.begin(f"mv {source} {name}", {source: None, name: value})
        os.rename(self.mount.staged(source), self.mount.staged(name))

    def rename_often(self, source, name, times):
        """To and fro: the journal grows long."""
        value = self.ledger.now.history(source).values[-1][1]
        self.ledger.begin(f"mv {source} {name}, often", {source: None, name: value})
        for _ in range(times):
            os.rename(self.mount.staged(source), self.mount.staged(name))
            os.rename(self.mount.staged(name), self.mount.staged(source))
        os.rename(self.mount.staged(source), self.mount.staged(name))

    @contextlib.contextmanager
    def busy(self):
        """Meanwhile somebody else fsyncs without end: what happens to names reaches the disk step by step."""
        done = threading.Event()

        def work():
            while not done.is_set():
                self.elsewhere()
        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def at_once(self, *steps):
        """Each in a thread of its own."""
        with concurrent.futures.ThreadPoolExecutor(len(steps)) as pool:
            for future in [pool.submit(step) for step in steps]:
                future.result()

    def remove(self, name):
        self.ledger.begin(f"rm {name}", {name: None})
        os.unlink(self.mount.staged(name))

    def write_metadata(self, metadata, fsync=False):
        self.ledger.begin("write metadata.json", {METADATA: metadata})
        with open(self.mount / "staging/metadata.json", "wb", buffering=0) as file:
            file.write(json.dumps({"__metadata__": metadata}).encode())
            if fsync:
                os.fsync(file.fileno())
                self.ledger.acknowledge("fsync of metadata.json", [METADATA])

    def discard(self, *names, both=()):
        """`both`: the other names of those that were renamed, which go along."""
        now = self.ledger.now
        dropped = [*names, *both] or list(now.histories)
        self.ledger.begin(f"discard {' '.join(names)}",
                          {name: now.metadata if name == METADATA else now.tensors.get(name) for name in dropped})
        weightfs("discard", self.mountpoint, *names)
        self.ledger.acknowledge(f"discard {' '.join(names)}", dropped)

    def commit(self, backup=False):
        self.ledger.begin_commit(backup)
        weightfs("commit", *(["--backup"] if backup else []), self.mountpoint)
        data = read(self.file)
        self.ledger.acknowledge_commit(data, backup)
        same_tensors(parse(data)[1], self.ledger.now.tensors)
        equal(parse(data)[0] or {}, self.ledger.now.metadata, "__metadata__")
