# SPDX-License-Identifier: Apache-2.0
"""The sides of scripts/bench that are Python libraries: python_side.py official|stsw|mlx|zlib.

weightfs.c explains the conversation. An import that fails is answered to every line, and becomes the reason of a SKIP.
"""
import os
import sys
import time
import warnings
import zlib

TENSORS, BLOCK = 16, 1 << 20
NAMES = [f"blocks.{index:02d}.weight" for index in range(TENSORS)]


def sync(path):
    """What makes a written file durable: its bytes, and its name in the directory."""
    for place in (path, os.path.dirname(path)):
        descriptor = os.open(place, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


class Official:
    def __init__(self):
        import numpy
        import safetensors
        import safetensors.numpy
        self.numpy, self.safe_open, self.save_file = numpy, safetensors.safe_open, safetensors.numpy.save_file

    def load(self, path):
        self.tensors = dict.fromkeys(NAMES, self.numpy.fromfile(path, "<f4").reshape(-1, 4096))

    def open(self, path):
        with self.safe_open(path, framework="np"):
            pass

    def write(self, path):
        self.save_file(self.tensors, path)
        sync(path)

    def whole(self, path):
        with self.safe_open(path, framework="np") as file:
            for name in file.keys():
                file.get_tensor(name)

    def sum(self, paths):
        for path in paths.split("\t"):
            self.numpy.load(path, mmap_mode="r").sum()

    def extract(self, what):
        path, name, out = what.split("\t")
        with self.safe_open(path, framework="np") as file:
            file.get_tensor(name).tofile(out)


class Stsw:
    def __init__(self):
        sys.modules["xxhash"] = None  # with it stsw computes XXH32 and calls it a CRC-32
        import stsw
        self.stsw = stsw
        warnings.simplefilter("ignore")  # at most files, that it cannot map them and reads instead

    def load(self, path):
        with open(path, "rb") as file:
            self.bytes = file.read()

    def open(self, path):
        self.stsw.StreamReader(path).close()

    def crc(self, path):
        with self.stsw.StreamReader(path, verify_crc=True) as reader:
            for name in reader.keys():
                reader.get_slice(name).release()

    def extract(self, what):
        path, name, out = what.split("\t")
        with self.stsw.StreamReader(path) as reader, open(out, "wb") as file:
            view = reader.get_slice(name)
            file.write(view)
            view.release()

    def write(self, path):
        size = len(self.bytes)
        metas = [self.stsw.TensorMeta(name, "F32", (size // 4 // 4096, 4096), index * size, (index + 1) * size)
                 for index, name in enumerate(NAMES)]
        view = memoryview(self.bytes)
        with self.stsw.StreamWriter.open(path, metas) as writer:
            for name in NAMES:
                for at in range(0, size, BLOCK):
                    writer.write_block(name, view[at:at + BLOCK])
                writer.finalize_tensor(name)
        sync(path)


class Mlx:
    """A reader in C++; it makes an array of each tensor, whose bytes it reads when they are used."""

    def __init__(self):
        import mlx.core
        self.mlx = mlx.core

    def open(self, path):
        self.mlx.load(path)


class Zlib:
    """No library at all: what one pass of zlib over the file costs."""

    def crc(self, path):
        block = bytearray(256 * 1024)
        value = 0
        with open(path, "rb", buffering=0) as file:
            while size := file.readinto(block):
                value = zlib.crc32(memoryview(block)[:size], value)


class Missing:
    def __init__(self, error):
        self.error = error

    def __getattr__(self, verb):
        raise self.error


def main():
    try:
        side = {"official": Official, "stsw": Stsw, "mlx": Mlx, "zlib": Zlib}[sys.argv[1]]()
    except ImportError as error:
        side = Missing(error)
    for line in sys.stdin:
        verb, count, path = line.rstrip("\n").split(" ", 2)
        try:
            work = getattr(side, verb)
            start = time.perf_counter_ns()
            for _ in range(int(count)):
                work(path)
            print("ok", time.perf_counter_ns() - start, flush=True)
        except Exception as error:  # whatever it is, it is the answer
            print("error", type(error).__name__ + ":", " ".join(str(error).split()), flush=True)


if __name__ == "__main__":
    main()
