# SPDX-License-Identifier: Apache-2.0
"""scripts/bench format: files opened, verified, summed and written by weightfs and by others, side by side."""
import argparse
import filecmp
import importlib.metadata
import os
import random
import signal
import struct
import sys
import tempfile

from rounds import Side, Table, Unable, interleave, machine

# The most that weightfs / official may be, and what is aimed at without being a failure.
GOALS = {10_000: (0.5, None), 790_000: (0.5, 0.2)}
SIZES = (1, 300, 10_000, 790_000)
OPENED = {1: 200, 300: 100, 10_000: 5, 790_000: 1}  # times in one measurement
FEW = {"stsw": 2, "mlx": 2}  # rounds of the largest, which takes them many seconds
LOADED = 64 << 20  # as in weightfs.c
GIB = "1 GiB"
PARTS = ("open", "largest", "crc", "write")


def make_model(path, count):
    """A canonical file of `count` tensors of 4 bytes, with names as long as those of real models; the size of its header."""
    names = sorted(f"model.layers.{index // 9}.self_attn.q_proj.weight_{index % 9}" for index in range(count))
    entries = (f'"{name}":{{"dtype":"BF16","shape":[2,1],"data_offsets":[{4 * index},{4 * index + 4}]}}'
               for index, name in enumerate(names))
    header = ('{"__metadata__":{"format":"pt"},' + ",".join(entries) + "}").encode()
    header += b" " * (-len(header) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header + bytes(4 * count))
    return len(header)


def tensors(count):
    return f"{count:,} tensor" + ("" if count == 1 else "s")


def new_side(name):
    program = {"weightfs": os.environ["BENCH_WEIGHTFS"], "crate": os.environ["BENCH_CRATE"]}.get(name)
    if program:
        return Side(name, program)
    python = os.environ["BENCH_MLX"] if name == "mlx" and os.path.exists(os.environ["BENCH_MLX"]) else sys.executable
    return Side(name, python, os.path.join(os.path.dirname(__file__), "python_side.py"), name)


class Format:
    def __init__(self, directory, rounds, openers):
        self.directory, self.rounds, self.openers, self.table = directory, rounds, openers, Table()
        self.sides = {name: new_side(name) for name in ("weightfs", "official", "crate", "mlx", "stsw", "zlib")}

    def path(self, name):
        return os.path.join(self.directory, name)

    def measure(self, what, jobs, rounds, goals=None, few=()):
        """`jobs`: {row: (side, verb, path, count)}; `few`: {row: rounds} of those that take part in fewer."""
        calls = {row: lambda job=job: self.sides[job[0]].ask(*job[1:]) for row, job in jobs.items()}
        measured, unable = interleave(calls, rounds, dict(few))
        self.table.add(what, measured, unable, goals, rounds)

    # --- opening

    def open_and_verify(self, count):
        path, times = self.path(f"{count}.safetensors"), OPENED[count]
        make_model(path, count)
        rounds = min(self.rounds, 5) if count > 100_000 else self.rounds
        goals = {"official": GOALS[count]} if count in GOALS else None
        self.measure(f"open {tensors(count)}", {
            name: (name, "open", path, times) for name in self.openers}, rounds, goals, FEW if count > 100_000 else ())
        self.measure(f"verify {tensors(count)}", {
            "weightfs": ("weightfs", "verify", path, times), "official (opens)": ("official", "open", path, times)}, rounds)

    def peak_memory(self, count):
        """In a fresh process each. Ours may have three headers and 16 MiB."""
        path = self.path(f"{count}.safetensors")
        with open(path, "rb") as file:
            header, = struct.unpack("<Q", file.read(8))
        sizes, unable = {}, {}
        for name in self.openers:
            side = new_side(name)
            try:
                side.ask("open", path)
                sizes[name] = side.peak()
            except Unable as error:
                unable[name] = str(error)
            finally:
                side.stop()
        self.table.add_memory(f"peak memory, {count:,} tensors", sizes, unable, 3 * header + (16 << 20), header, "header")

    # --- one GiB

    def load(self):
        with open(self.path("block"), "wb") as file:
            file.write(random.Random(4).randbytes(LOADED))
        for name in ("weightfs", "official", "stsw"):
            try:
                self.sides[name].ask("load", self.path("block"))
            except Unable:
                pass  # the measurement will say so

    def checksums(self, rounds):
        path = self.path("summed.safetensors")
        self.sides["weightfs"].ask("write-crc", path)
        self.measure(f"CRC-32 of {GIB}", {
            "weightfs": ("weightfs", "crc", path, 1), "stsw": ("stsw", "crc", path, 1),
            "zlib in Python": ("zlib", "crc", path, 1)}, rounds)
        os.unlink(path)

    def write(self, side, verb):
        """Behind the same unmeasured write whoever writes: what page cache costs depends on the memory that the one before left
        (docs/performance.md, 2)."""
        path = self.path("written.safetensors")
        try:
            self.sides["weightfs"].ask("plain", path)
            os.unlink(path)
            return self.sides[side].ask(verb, path)
        finally:
            if os.path.exists(path):
                os.unlink(path)

    def writing(self, rounds):
        jobs = {"weightfs": ("weightfs", "write"), "official": ("official", "write"), "stsw": ("stsw", "write"),
                "write(2) and fsync(2)": ("weightfs", "plain"), "weightfs with CRC-32": ("weightfs", "write-crc")}
        measured, unable = interleave({row: lambda job=job: self.write(*job) for row, job in jobs.items()}, rounds)
        self.table.add(f"write {GIB}, synced", measured, unable, None, rounds)

    def compare_written(self):
        """Both must have written the same bytes, or the times say nothing."""
        paths = [self.path(side) for side in ("weightfs", "official")]
        try:
            for path in paths:
                self.sides[os.path.basename(path)].ask("write", path)
        except Unable:
            return
        if not filecmp.cmp(*paths, shallow=False):
            sys.exit("weightfs and the official library wrote different bytes")
        for path in paths:
            os.unlink(path)

    def everything_else(self, parts):
        if "largest" in parts:
            self.peak_memory(SIZES[-1])
        if "crc" in parts or "write" in parts:
            self.load()
        if "crc" in parts:
            self.checksums(self.rounds)
        if "write" in parts:
            self.compare_written()
            self.writing(min(self.rounds, 7))

    def stop(self):
        for side in self.sides.values():
            side.stop()


def versions():
    for name in ("safetensors", "stsw", "numpy"):
        try:
            yield f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            pass


def run(options, directory):
    openers = ["weightfs", "official", "crate"] + ([] if options.quick else ["mlx", "stsw"])
    bench = Format(directory, options.rounds or (5 if options.quick else 9), openers)
    parts = options.only or PARTS
    try:
        for count in SIZES[1:3] if options.quick else SIZES:
            if ("largest" if count == SIZES[-1] else "open") in parts:
                bench.open_and_verify(count)
        if not options.quick:
            bench.everything_else(parts)
    finally:
        bench.stop()
    return bench.table


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench format", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only opening 300 and 10,000 tensors, in few rounds")
    parser.add_argument("--only", choices=PARTS, action="append", help="this part, or these; default: all")
    parser.add_argument("--rounds", type=int, help="default: 9, or 5 with --quick")
    parser.add_argument("--program", help="a build of tests/bench/weightfs.c to measure")
    options = parser.parse_args()
    if options.program:
        os.environ["BENCH_WEIGHTFS"] = os.path.abspath(options.program)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    print(f"{machine()}; Python {sys.version.split()[0]}, {', '.join(versions())}", flush=True)
    with tempfile.TemporaryDirectory(prefix="data.", dir=os.environ["BENCH_DATA"]) as directory:
        table = run(options, directory)
    table.show()
    if table.missed:
        sys.exit(1)
    if not table.judged and not options.only or any("official" in line for line in table.skipped):
        sys.exit(77)


if __name__ == "__main__":
    main()
