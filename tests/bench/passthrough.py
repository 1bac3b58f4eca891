# SPDX-License-Identifier: Apache-2.0
"""scripts/bench passthrough: reading that the kernel does without the daemon, beside the same bytes in a plain file. Needs root,
libfuse 3.17 and Linux 6.9: on another system, scripts/test-debian13 run scripts/bench passthrough."""
import argparse
import contextlib
import json
import mmap
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time

from commit import filesystem
from rounds import Table, Unable, interleave, machine

# The most that weightfs / native may be, in time: 0.90 and 0.80 of native's speed.
GOALS = {"dd": 1 / 0.9, "cat": 1 / 0.9, "mmap": 1 / 0.9, "cold": 1 / 0.9, "random": 1 / 0.8}
WORKS = {"dd": "dd bs=1M, cached", "cat": "cat, cached", "mmap": "mmap walk, cached", "cold": "dd bs=1M after drop_caches",
         "random": "random 4 KiB x 5000, cached"}
MIB = 1 << 20
TENSORS = {"large": 1024 * MIB, "middle": 64 * MIB, "small": MIB, "rest": 959 * MIB}  # in the file's order
BLOCK = bytes(i % 251 for i in range(MIB))  # without the byte that the mmap walk looks for


def make_model(path):
    """2 GiB, in which every tensor begins at a whole block."""
    entries, offset = {}, 0
    for name, size in TENSORS.items():
        entries[name] = {"dtype": "U8", "shape": [size], "data_offsets": [offset, offset + size]}
        offset += size
    header = json.dumps(entries).encode()
    header += b" " * (-(8 + len(header)) % 4096)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        for _ in range(offset // MIB):
            file.write(BLOCK)
        os.fsync(file.fileno())


def make_plain(path, size):
    with open(path, "wb") as file:
        for _ in range(size // MIB):
            file.write(BLOCK)
        os.fsync(file.fileno())


@contextlib.contextmanager
def mounted(program, model, place, *options):
    os.makedirs(place, exist_ok=True)
    subprocess.run([program, "mount", *options, model, place], check=True)
    try:
        yield place
    finally:
        subprocess.run([program, "umount", place], check=True)


# --- one measurement each: nanoseconds

def timed(job):
    begun = time.perf_counter_ns()
    job()
    return time.perf_counter_ns() - begun


def copy_out(*command):
    return timed(lambda: subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True))


def dd(path):
    return copy_out("dd", f"if={path}", "of=/dev/null", "bs=1M")


def cat(path):
    return copy_out("cat", path)


def walk(path):
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view:
        return timed(lambda: view.find(b"\xff"))


def cold(path):
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as control:
        control.write("3")
    return dd(path)


def read_randomly(path):
    size = os.stat(path).st_size
    chance = random.Random(1)
    places = [chance.randrange(size // 4096) * 4096 for _ in range(5000)]
    fd = os.open(path, os.O_RDONLY)
    try:
        return timed(lambda: [os.pread(fd, 4096, place) for place in places])
    finally:
        os.close(fd)


MEASURE = {"dd": dd, "cat": cat, "mmap": walk, "cold": cold, "random": read_randomly}


# --- the rows

def compare(table, what, paths, options):
    """`paths`: {side: the same bytes}. A cached tensor is cloned when it is opened for the second time: not in the first row."""
    first = dd(paths["weightfs"])
    table.rows.append([f"{what}: first dd, the model's file cached", "weightfs", f"{first / 1e6:.0f} ms", "", "", ""])
    for work in [options.work] if options.work else WORKS:
        sides = {name: path for name, path in paths.items() if not (work == "cold" and name == "daemon")}
        rounds = options.rounds * (1 if work == "cold" else 3)  # what takes a tenth of a second is measured more often
        measured, unable = interleave({name: (lambda path=path: MEASURE[work](path)) for name, path in sides.items()}, rounds,
                                      {"daemon": options.rounds})
        table.add(f"{what}: {WORKS[work]}", measured, unable, {"native": (GOALS[work], None)}, rounds)


def measure(kind, directory, options, table):
    model, plain = os.path.join(directory, "model.safetensors"), os.path.join(directory, "plain")
    make_model(model)
    with mounted(options.program, model, os.path.join(options.data, "kernel")) as kernel, \
            mounted(options.program, model, os.path.join(options.data, "daemon"), "-o", "ro,no_passthrough") as daemon:
        with open(f"{kernel}/.weightfs/status") as status:
            line = next((line.strip() for line in status if "passthrough" in line), "built for a libfuse older than 3.17")
        if "is used" not in line:
            print(f"SKIP: {line}")
            sys.exit(77)
        dd(model)
        if options.view in (None, "whole"):
            compare(table, f"{kind}: whole-file view, 2 GiB",
                    {"weightfs": f"{kernel}/model.safetensors", "native": model, "daemon": f"{daemon}/model.safetensors"}, options)
        if options.view in (None, "tensor") and kind != "ext4":
            make_plain(plain, TENSORS["large"])
            cold(plain)  # how pages came into the cache, by a write or by read-ahead, matters on btrfs
            dd(model)
            compare(table, f"{kind}: tensor, 1 GiB",
                    {"weightfs": f"{kernel}/tensors/large", "native": plain, "daemon": f"{daemon}/tensors/large"}, options)
            os.unlink(plain)
    os.unlink(model)


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench passthrough", description=__doc__)
    parser.add_argument("--fs", choices=("ext4", "xfs", "btrfs"), help="only this file system (ext4: a loop mount, as the others)")
    parser.add_argument("--view", choices=("whole", "tensor"), help="only this view")
    parser.add_argument("--work", choices=WORKS, help="only this work")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--program", default=os.environ["BENCH_WEIGHTFS"], help="a weightfs to measure")
    options = parser.parse_args()
    options.program = os.path.abspath(options.program)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if os.geteuid() != 0:
        print("SKIP: needs root")
        sys.exit(77)

    print(machine(), flush=True)
    table = Table()
    with tempfile.TemporaryDirectory(prefix="data.", dir=os.environ["BENCH_DATA"]) as options.data:
        for kind in [options.fs] if options.fs else ("ext4", "xfs", "btrfs"):
            try:
                with filesystem(kind, options.data, 4500 * MIB) as directory:
                    measure(kind, directory, options, table)
            except Unable as error:
                table.skipped.append(f"SKIP {kind}: {error}")
    table.show()
    if table.missed:
        sys.exit(1)


if __name__ == "__main__":
    main()
