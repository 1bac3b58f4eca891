# SPDX-License-Identifier: Apache-2.0
"""scripts/bench commit: what a commit costs beside `cp --reflink=never` of the file, on XFS, btrfs and ext4."""
import argparse
import contextlib
import json
import os
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time

from rounds import Table, Unable, duration, interleave, machine, mebibytes

# The most that commit / cp may be.
GOALS = {"xfs": 0.02, "btrfs": 0.02, "ext4": 1.10}
MIB = 1 << 20
TENSOR = 16 * MIB
TENSORS = 256
CLONES = ("xfs", "btrfs")
EDITS = {"replace": "a tensor of 16 MiB replaced", "rename": "a tensor renamed", "duplicate": "a tensor duplicated",
         "drop": "the last tensor dropped", "metadata": "metadata changed"}
# What disk use may grow by besides the tensor: journals, and the records of shared blocks.
DISK_SLACK = 4 * MIB
MEMORY = {4096: 16, 100_000: 100_000, 790_000: 790_000}  # {name of the row: tensors}


def memory_limit(header):
    return 32 * MIB + 6 * header


# --- a file system in a file

@contextlib.contextmanager
def filesystem(kind, directory, size):
    """The directory of a new file system in a sparse file; all of it goes at the end."""
    image, place = os.path.join(directory, "image"), os.path.join(directory, "mounted")
    with open(image, "wb") as file:
        file.truncate(size)
    run({"xfs": "mkfs.xfs -q -f", "btrfs": "mkfs.btrfs -q -f", "ext4": "mkfs.ext4 -q -F"}[kind], image)
    os.makedirs(place, exist_ok=True)
    device = run("losetup --find --show --direct-io=on", image).strip()
    try:
        run("mount", device, place)
    finally:
        run("losetup --detach", device)  # at the unmount, if it is mounted
    try:
        yield place
    finally:
        run("umount", place)
        os.unlink(image)


def run(words, *more):
    finished = subprocess.run([*words.split(), *more], capture_output=True, text=True)
    if finished.returncode:
        raise Unable(f"{words}: {finished.stderr.strip().splitlines()[-1] if finished.stderr.strip() else finished.returncode}")
    return finished.stdout


def settle(place):
    """Whatever was written or removed before is not this measurement's business."""
    run("sync -f", place)


def used(place):
    """Bytes in use, when the file system has finished removing what was removed."""
    before = None
    for _ in range(50):
        settle(place)
        fs = os.statvfs(place)
        now = (fs.f_blocks - fs.f_bfree) * fs.f_frsize
        if now == before:
            break
        before = now
        time.sleep(0.1)
    return now


def fsync(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


# --- models

def make_model(path, count, size, sparse=False):
    """`count` tensors of `size` bytes, canonical; the size of the header."""
    names = sorted(f"model.layers.{index // 9}.self_attn.q_proj.weight_{index % 9}" for index in range(count))
    entries = (f'"{name}":{{"dtype":"BF16","shape":[{size // 2}],"data_offsets":[{size * index},{size * index + size}]}}'
               for index, name in enumerate(names))
    header = ('{"__metadata__":{"format":"pt"},' + ",".join(entries) + "}").encode()
    header += b" " * (-len(header) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        if sparse:
            file.truncate(8 + len(header) + count * size)
            return len(header)
        block = os.urandom(size)
        for _ in range(count):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    return len(header)


def tensors_in_order(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    header.pop("__metadata__", None)
    return sorted(header, key=lambda name: header[name]["data_offsets"])


class Mount:
    def __init__(self, program, model, directory):
        self.program, self.directory = program, directory
        os.makedirs(directory, exist_ok=True)
        run(program, "mount", model, directory)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        run(self.program, "umount", "--discard", self.directory)
        os.rmdir(self.directory)

    def staged(self, name):
        return os.path.join(self.directory, "staging", "tensors", name)

    def commit(self):
        return json.loads(run(self.program, "commit", "--json", self.directory))

    def peak(self):
        pid = json.load(open(os.path.join(self.directory, ".weightfs", "status.json")))["pid"]
        with open(f"/proc/{pid}/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))

    def change_metadata(self):
        document = {"__metadata__": {"format": "pt", "edited": str(time.monotonic_ns())}}
        with open(os.path.join(self.directory, "staging", "metadata.json"), "w") as file:
            json.dump(document, file)


# --- time

class Commits:
    """One model on one file system, edited and committed, and copied."""

    def __init__(self, program, place, tensors):
        self.place, self.model = place, os.path.join(place, "model.safetensors")
        self.header = make_model(self.model, tensors, TENSOR)
        self.mount = Mount(program, self.model, place + ".mnt")
        self.number = 0
        self.costs = {}

    def edit(self, what):
        names = tensors_in_order(self.model)
        self.number += 1
        if what == "replace":
            with open(self.mount.staged(names[len(names) // 2 + self.number % 8 - 4]), "wb") as file:
                file.write(os.urandom(TENSOR))
        elif what == "rename":
            name = names[len(names) // 3]
            os.rename(self.mount.staged(name), self.mount.staged(f"{name.split('@')[0]}@{self.number}"))
        elif what == "duplicate":
            run("cp", self.mount.staged(names[7]), self.mount.staged(f"duplicate.{self.number}"))
        elif what == "drop":
            os.unlink(self.mount.staged(names[-1]))
        elif what == "metadata":
            self.mount.change_metadata()

    def commit(self, what):
        self.edit(what)
        settle(self.place)
        begun = time.perf_counter_ns()
        outcome = self.mount.commit()
        taken = time.perf_counter_ns() - begun
        self.costs[what] = outcome["cost"]
        settle(self.place)
        return taken

    def copy(self):
        target = os.path.join(self.place, "copy")
        settle(self.place)
        begun = time.perf_counter_ns()
        run("cp --reflink=never", self.model, target)
        fsync(target)
        fsync(self.place)
        taken = time.perf_counter_ns() - begun
        os.unlink(target)
        settle(self.place)
        return taken

    def growth(self):
        """By how much disk use grows when a tensor is replaced."""
        before = used(self.place)
        self.commit("replace")
        return used(self.place) - before

    def with_little_room(self):
        """A tensor replaced with three times its size free."""
        filler = os.path.join(self.place, "filler")
        with open(filler, "wb") as file:
            while True:
                used(self.place)
                fs = os.statvfs(self.place)
                surplus = fs.f_bavail * fs.f_frsize - 3 * TENSOR
                if surplus <= MIB:
                    break
                size = file.tell()
                step = max(surplus * 3 // 4, min(surplus, 8 * MIB))
                os.posix_fallocate(file.fileno(), size, step)
                file.seek(size + step)
        try:
            self.commit("replace")
        finally:
            os.unlink(filler)

    def stop(self):
        self.mount.__exit__()


def time_commits(kind, options, directory, table):
    with filesystem(kind, directory, (2 * options.tensors * TENSOR + 2048 * MIB)) as place:
        commits = Commits(options.program, place, options.tensors)
        try:
            edits = [edit for edit in EDITS if options.only in (None, edit)]
            jobs = {edit: lambda edit=edit: commits.commit(edit) for edit in edits} | {"cp": commits.copy}
            measured, _ = interleave(jobs, options.rounds)
            for edit in edits:
                cost = commits.costs[edit]
                cloned = f" ({mebibytes(cost['cloned'])} shared, {mebibytes(cost['copied'] + cost['written'])} written)"
                table.add(f"{kind}: {EDITS[edit]}{cloned}", {"weightfs": measured[edit], "cp": measured["cp"]}, {},
                          {"cp": (GOALS[kind], None)}, options.rounds)
            if kind in CLONES:
                add_size(table, f"{kind}: disk use, a tensor replaced", commits.growth(), TENSOR + DISK_SLACK)
                commits.with_little_room()
                add_size(table, f"{kind}: room that was enough", 3 * TENSOR, 3 * TENSOR)
            add_size(table, f"{kind}: peak memory of the daemon", commits.mount.peak(), memory_limit(commits.header))
        finally:
            commits.stop()


def add_size(table, what, size, limit):
    table.rows.append([what, "weightfs", mebibytes(size), "", "", table.judge(what, size, limit, form=mebibytes)])


# --- the first write to a large tensor

def time_patch(kind, options, directory, table):
    """Some bytes of a tensor of 1 GiB, beside cp of as many bytes."""
    with filesystem(kind, directory, 4096 * MIB) as place:
        model, copied = os.path.join(place, "model.safetensors"), os.path.join(place, "copy")
        make_model(model, 1, 1024 * MIB)
        with Mount(options.program, model, place + ".mnt") as mount:
            staged = mount.staged(tensors_in_order(model)[0])

            def patch():
                settle(place)
                begun = time.perf_counter_ns()
                fd = os.open(staged, os.O_WRONLY)
                os.pwrite(fd, b"patched", 512 * MIB + 1)
                taken = time.perf_counter_ns() - begun
                os.close(fd)
                run(options.program, "discard", mount.directory)
                return taken

            def copy():
                settle(place)
                begun = time.perf_counter_ns()
                run("cp --reflink=never", model, copied)
                taken = time.perf_counter_ns() - begun
                os.unlink(copied)
                return taken

            measured, _ = interleave({"weightfs": patch, "cp": copy}, options.rounds)
            table.add(f"{kind}: first write to a tensor of 1 GiB", measured, {}, None, options.rounds)


# --- many tensors, many edits

def memory(program, directory, count, size, table):
    """The daemon's peak over a commit of metadata, and how long that took."""
    model = os.path.join(directory, "many.safetensors")
    header = make_model(model, count, size, sparse=True)
    try:
        with Mount(program, model, os.path.join(directory, "mnt")) as mount:
            idle = mount.peak()
            mount.change_metadata()
            begun = time.perf_counter_ns()
            if size <= MIB:
                mount.commit()
            else:
                run(program, "check", mount.directory)
            what = f"{count:,} tensors, header {mebibytes(header)}"
            table.rows.append([f"{what}: metadata committed", "weightfs", duration(time.perf_counter_ns() - begun), "", "", ""])
            table.rows.append([f"{what}: memory of the daemon, mounted", "weightfs", mebibytes(idle), "", "", ""])
            add_size(table, f"{what}: peak memory over the commit", mount.peak(), memory_limit(header))
    finally:
        os.unlink(model)


def many_edits(program, directory, rounds, table):
    """10,000 tensors, each of which is written anew, in one commit."""
    model = os.path.join(directory, "many.safetensors")
    times = []
    try:
        for _ in range(rounds):
            header = make_model(model, 10_000, 64)
            with Mount(program, model, os.path.join(directory, "mnt")) as mount:
                for name in tensors_in_order(model):
                    with open(mount.staged(name), "wb") as file:
                        file.write(os.urandom(64))
                begun = time.perf_counter_ns()
                mount.commit()
                times.append(time.perf_counter_ns() - begun)
                peak = mount.peak()
        what = "10,000 tensors, each written anew"
        table.rows.append([f"{what} ({rounds} rounds)", "weightfs", duration(statistics.median(times)), "", "", ""])
        add_size(table, f"{what}: peak memory over the commit", peak, memory_limit(header))
    finally:
        os.unlink(model)


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench commit", description=__doc__)
    parser.add_argument("--fs", choices=GOALS, help="only this file system")
    parser.add_argument("--only", choices=[*EDITS, "time", "patch", "memory", "edits"], help="only this measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tensors", type=int, default=TENSORS, help="of 16 MiB, in the model that is committed; default: 256")
    parser.add_argument("--program", default=os.environ["BENCH_WEIGHTFS"], help="a weightfs to measure")
    options = parser.parse_args()
    options.program = os.path.abspath(options.program)
    part, options.only = options.only, options.only if options.only in EDITS else None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if os.geteuid() != 0 and part not in ("memory", "edits"):
        print("needs root, for the loop mounts")
        sys.exit(77)

    print(f"{machine()}; {run('cp --version').splitlines()[0]}", flush=True)
    table = Table()
    with tempfile.TemporaryDirectory(prefix="data.", dir=os.environ["BENCH_DATA"]) as directory:
        for kind in [options.fs] if options.fs else GOALS:
            if part in (None, "time", *EDITS):
                time_commits(kind, options, directory, table)
            if part in (None, "patch"):
                time_patch(kind, options, directory, table)
        if part in (None, "memory") and not options.fs:
            for count in (100_000, 790_000):
                memory(options.program, directory, count, 4, table)
        if part in (None, "edits") and not options.fs:
            many_edits(options.program, directory, options.rounds, table)
    table.show()
    if table.missed:
        sys.exit(1)


if __name__ == "__main__":
    main()
