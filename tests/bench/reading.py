# SPDX-License-Identifier: Apache-2.0
"""scripts/bench reading: tensors read through the mount, beside plain files, libfuse's passthrough_hp and other libraries."""
import argparse
import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

from reading_sides import (BIG, MIDDLE, SIZES, Passthrough, Plain, Weightfs, drop_everything, library, make_files, make_many,
                           make_model, reader)
from rounds import Unable, duration, interleave, machine

LEAST, MOST = "at least", "at most"

# {work: {side: (kind, limit, what is aimed at or None)}}. "at least": the speed of weightfs against that side; "at most": its time
# against it. For weightfs itself: its own time, in milliseconds.
GOALS = {
    "cat, first": {"plain": (LEAST, 0.45, 0.53), "passthrough_hp": (LEAST, 1.10, None)},
    "cat, second": {"plain": (LEAST, 0.66, 0.8), "passthrough_hp": (LEAST, 0.95, None)},
    "dd bs=1M, first": {"plain": (LEAST, 0.45, 0.53), "passthrough_hp": (LEAST, 1.10, None)},
    "dd bs=1M, second": {"plain": (LEAST, 0.66, 0.8), "passthrough_hp": (LEAST, 0.95, None)},
    "cat, cold": {"plain": (LEAST, 0.85, 0.95), "passthrough_hp": (LEAST, 1.0, None)},
    "two readers of two tensors": {"plain": (LEAST, 0.22, 0.3), "passthrough_hp": (LEAST, 1.0, None)},
    "mmap walk, first": {"plain": (LEAST, 0.40, 0.5), "passthrough_hp": (LEAST, 1.10, None)},
    "random 4 KiB, cached": {"plain": (LEAST, 0.80, None), "passthrough_hp": (LEAST, 0.95, None)},
    "ls -l, 100,000 tensors, first": {"plain": (MOST, 1.2, None)},
    "find -size, 100,000 tensors, first": {"plain": (MOST, 2.0, None)},
    "safe_open, every tensor, first": {"plain": (LEAST, 0.45, None)},
    "np.load(mmap_mode='r').sum(), first": {"plain": (LEAST, 0.40, None)},
    "exec to first byte, 300 tensors": {"weightfs": (MOST, 10, None)},
    "exec to first byte, 790,000 tensors": {"official (opens)": (MOST, 1.0, None)},
    "one tensor of 64 MiB to a file": {"dd": (MOST, 1.1, None), "official": (MOST, 1.0, None), "stsw": (MOST, 1.0, None)},
}
RANDOM_READS = 20_000


class Results:
    HEAD = ("work", "side", "median", "weightfs against it", "range", "goal")

    def __init__(self):
        self.rows, self.skipped, self.missed, self.judged = [], [], [], 0

    def add(self, work, measured, unable, rounds):
        if "weightfs" in unable:
            raise Unable(f"{work}: {unable['weightfs']}")
        ours = measured["weightfs"]
        for side, reason in unable.items():
            self.skipped.append({"work": work, "side": side, "skipped": reason})
        for side, times in measured.items():
            goal = GOALS[work].get(side)
            row = {"work": work, "side": side, "rounds": rounds, "nanoseconds": statistics.median(times)}
            if side == "weightfs":
                row["range"] = [min(times), max(times)]
                found = row["nanoseconds"] / 1e6
            else:
                kind = goal[0] if goal else LEAST
                ratios = [other / mine if kind == LEAST else mine / other for mine, other in zip(ours, times)]
                found = row["ratio"] = statistics.median(ratios)
                row["kind"], row["range"] = kind, [min(ratios), max(ratios)]
            if goal:
                row["goal"] = self.judge(work, side, found, *goal)
            self.rows.append(row)
            self.show_row(row)

    def judge(self, work, side, found, kind, limit, aim):
        self.judged += 1
        unit = " ms" if side == "weightfs" else ""
        met = found >= limit if kind == LEAST else found <= limit
        text = f"{kind} {limit:g}{unit}: {'met' if met else 'MISSED'}"
        if aim is not None:
            text += f"; {aim:g}: {'met' if found >= aim else 'not met'}"
        if not met:
            self.missed.append(f"MISSED {work}: {found:.3g}{unit} of {side}, {kind} {limit:g}{unit}")
        return text

    @staticmethod
    def cells(row):
        form = duration if row["side"] == "weightfs" else "{:.3f}".format
        against = "" if row["side"] == "weightfs" else f"{row['ratio']:.3f} of its {'speed' if row['kind'] == LEAST else 'time'}"
        work = f"{row['work']} ({row['rounds']} rounds)" if row["side"] == "weightfs" else ""
        return [work, row["side"], duration(row["nanoseconds"]), against, " to ".join(map(form, row["range"])), row.get("goal", "")]

    def show_row(self, row):
        print("...", " | ".join(self.cells(row)), file=sys.stderr, flush=True)

    def show(self):
        lines = [self.HEAD, *map(self.cells, self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.HEAD))]
        lines.insert(1, ["-" * width for width in widths])
        for line in lines:
            print("|", " | ".join(cell.ljust(width) for cell, width in zip(line, widths)), "|")
        skipped = [f"SKIP {one['work']}: {one['side']}: {one['skipped']}" for one in self.skipped]
        print(*["", *skipped, *self.missed], sep="\n")


class Reading:
    def __init__(self, program, directory, rounds, mount_options):
        self.directory, self.rounds, self.mount_options = directory, rounds, mount_options
        self.program = program
        self.reader, self.results = reader(os.environ["BENCH_READER"]), Results()
        self.libraries = {name: library(name) for name in ("official", "stsw")}
        self.plain, self.mounts = Plain(directory), {}

    def path(self, name):
        return os.path.join(self.directory, name)

    def point(self, name):
        return os.path.join(self.directory, "mnt", name)

    def weightfs(self, source):
        return Weightfs(self.program, self.path(source), self.point("weightfs"), self.mount_options)

    def ask(self, verb, *arguments, count=1):
        return self.reader.ask(verb, "\t".join(arguments), count)

    # --- the sides of the model

    def sides(self, peers=True):
        """Those that can be had; the model is mounted once, and stays so."""
        if not self.mounts:
            self.mounts["weightfs"] = self.weightfs("model.safetensors").start()
            self.unable = {}
            peer = Passthrough(os.environ["BENCH_PASSTHROUGH_HP"], self.directory, self.point("passthrough_hp"))
            try:
                self.mounts["passthrough_hp"] = peer.start()
            except Unable as error:
                self.unable["passthrough_hp"] = str(error)
        mounts = self.mounts if peers else {"weightfs": self.mounts["weightfs"]}
        return {"plain": self.plain, **mounts}

    def unmount(self):
        for mount in self.mounts.values():
            mount.stop()
        self.mounts = {}

    def measure(self, works, job, peers=True):
        """`job(side)`: a time for each of `works`, all of one visit."""
        sides = self.sides(peers)
        order = {name: sides[name] for name in ("weightfs", *sides)}
        measured, unable = interleave({name: lambda side=side: job(side) for name, side in order.items()}, self.rounds)
        for index, work in enumerate(works):
            times = {name: [visit[index] for visit in visits] for name, visits in measured.items()}
            self.results.add(work, times, {**unable, **(self.unable if peers else {})}, self.rounds)

    # --- one function a row, or two that are measured in one visit

    def first_and_second(self, works, *verb):
        def job(side):
            side.drop(side.tensor(BIG[0]))
            return [self.ask(*(word.format(side.tensor(BIG[0])) for word in verb)) for _ in works]
        self.measure(works, job)

    def cat(self):
        self.first_and_second(["cat, first", "cat, second"], "cats", "{}")

    def dd(self):
        self.first_and_second(["dd bs=1M, first", "dd bs=1M, second"], "run", "dd", "if={}", "of=/dev/null", "bs=1M", "status=none")

    def cold(self):
        def job(side):
            drop_everything()
            return [self.ask("cats", side.tensor(BIG[0]))]
        self.measure(["cat, cold"], job)

    def two(self):
        def job(side):
            for name in BIG:
                side.drop(side.tensor(name))
            return [self.ask("cats", *map(side.tensor, BIG))]
        self.measure(["two readers of two tensors"], job)

    def mmap(self):
        def job(side):
            side.drop(side.tensor(BIG[0]))
            return [self.ask("walk", side.tensor(BIG[0]))]
        self.measure(["mmap walk, first"], job)

    def random(self):
        def job(side):
            self.ask("cats", side.tensor(BIG[0]))
            return [self.ask("random", side.tensor(BIG[0]), count=RANDOM_READS)]
        self.measure(["random 4 KiB, cached"], job)

    def whole(self):
        def job(side):
            side.drop(side.whole)
            return [self.libraries["official"].ask("whole", side.whole)]
        self.measure(["safe_open, every tensor, first"], job, peers=False)

    def npy(self):
        def job(side):
            for name in MIDDLE:
                side.drop(side.npy(name))
            return [self.libraries["official"].ask("sum", "\t".join(map(side.npy, MIDDLE)))]
        self.measure(["np.load(mmap_mode='r').sum(), first"], job, peers=False)

    # --- directories

    def directories(self):
        count = 100_000
        files = self.path(f"files.{count}")
        if not os.path.exists(files):
            make_files(files, make_many(self.path("100000.safetensors"), count))
        commands = {"ls -l": lambda directory: ["ls", "-l", directory],
                    "find -size": lambda directory: ["find", directory, "-size", "+0"]}
        for name, command in commands.items():
            def mounted(command=command):
                mount = self.weightfs("100000.safetensors").start()
                try:
                    return self.ask("run", *command(mount.tensor("")))
                finally:
                    mount.stop()
            measured, unable = interleave(
                {"weightfs": mounted, "plain": lambda command=command: self.ask("run", *command(files))}, self.rounds)
            self.results.add(f"{name}, 100,000 tensors, first", measured, unable, self.rounds)

    # --- beginnings

    def exec_to_first_byte(self, count):
        source = f"{count}.safetensors"
        names = make_many(self.path(source), count)
        mount = self.weightfs(source)
        os.makedirs(mount.point, exist_ok=True)

        def job():
            try:
                return self.ask("mount", mount.tensor(names[count // 2]), *mount.command)
            finally:
                mount.mounted = os.path.ismount(mount.point)
                mount.stop()
        return job

    def startup(self):
        measured, unable = interleave({"weightfs": self.exec_to_first_byte(300)}, self.rounds)
        self.results.add("exec to first byte, 300 tensors", measured, unable, self.rounds)

    def startup_of_many(self):
        job = self.exec_to_first_byte(790_000)
        path = self.path("790000.safetensors")
        measured, unable = interleave(
            {"weightfs": job, "official (opens)": lambda: self.libraries["official"].ask("open", path)}, self.rounds)
        self.results.add("exec to first byte, 790,000 tensors", measured, unable, self.rounds)

    # --- extracting

    def extract(self):
        name, out = MIDDLE[1], self.path("extracted")
        size, begin = SIZES[name], os.path.getsize(self.plain.whole) - sum(SIZES.values())
        begin += sum(SIZES[before] for before in list(SIZES)[:list(SIZES).index(name)])
        from_library = "\t".join([self.plain.whole, name, out])

        def into(work):
            def job():
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(out)
                return work()
            return job
        jobs = {
            "weightfs": lambda: self.ask("into", out, self.program, "cat", self.plain.whole, name),
            "dd": lambda: self.ask("run", "dd", f"if={self.plain.whole}", f"of={out}", "bs=1M", f"skip={begin}", f"count={size}",
                                   "iflag=skip_bytes,count_bytes", "status=none"),
            **{side: lambda side=side: self.libraries[side].ask("extract", from_library) for side in ("official", "stsw")},
        }
        measured, unable = interleave({side: into(job) for side, job in jobs.items()}, self.rounds)
        self.results.add("one tensor of 64 MiB to a file", measured, unable, self.rounds)

    # --- all of it

    def stop(self):
        self.unmount()
        self.reader.stop()
        for side in self.libraries.values():
            side.stop()


ROWS = {"cat": Reading.cat, "dd": Reading.dd, "cold": Reading.cold, "two": Reading.two, "mmap": Reading.mmap,
        "random": Reading.random, "directories": Reading.directories, "whole": Reading.whole, "npy": Reading.npy,
        "startup": Reading.startup, "startup-of-many": Reading.startup_of_many, "extract": Reading.extract}
WITHOUT_MODEL = {"directories", "startup", "startup-of-many"}


def file_system(path):
    found = subprocess.run(["findmnt", "-n", "-o", "FSTYPE", "-T", path], stdout=subprocess.PIPE, text=True).stdout.strip()
    return found or "an unknown file system"


def libfuse():
    return subprocess.run(["fusermount3", "--version"], stdout=subprocess.PIPE, text=True).stdout.strip()


def place(directory):
    return f"{machine()}; {file_system(directory)}; Python {sys.version.split()[0]}; {libfuse()}"


def run(options, directory):
    if not os.path.exists(os.path.join(directory, "plain")) and set(options.only) - WITHOUT_MODEL:
        make_model(directory)
    bench = Reading(options.program, directory, options.rounds or (5 if options.quick else 15), options.options)
    try:
        if options.picture:
            from reading_picture import draw
            draw(bench, bench.rounds, options.picture, place(directory))
            return bench.results
        for name in options.only:
            if name in WITHOUT_MODEL:
                bench.unmount()
            ROWS[name](bench)
    finally:
        bench.stop()
    return bench.results


def at_least_one(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("one round at least")
    return number


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench reading", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="5 rounds instead of 15")
    parser.add_argument("--rounds", type=at_least_one, help="that many")
    parser.add_argument("--only", action="append", choices=ROWS, metavar="ROW", help="one of " + ", ".join(ROWS) + "; repeatable")
    parser.add_argument("--json", action="store_true", help="print JSON, a row a line, instead of the table")
    parser.add_argument("--keep", action="store_true", help="use and leave the files in build/bench/reading")
    parser.add_argument("--picture", metavar="FILE", help="draw throughput by request size and listings by size, instead of the table")
    parser.add_argument("--program", default=os.environ.get("BENCH_WEIGHTFS"), help="a build of weightfs to measure")
    parser.add_argument("-o", dest="options", default="", metavar="OPTIONS", help="of weightfs mount")
    options = parser.parse_args()
    options.only = options.only or list(ROWS)
    return options


def data_directory(options):
    if not options.keep:
        return tempfile.TemporaryDirectory(prefix="data.", dir=os.environ["BENCH_DATA"])
    kept = os.path.join(os.environ["BENCH_DATA"], "reading")
    os.makedirs(kept, exist_ok=True)
    return contextlib.nullcontext(kept)


def main():
    options = arguments()
    os.environ["LC_ALL"] = "C"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with data_directory(options) as directory:
        where = place(directory)
        if not options.json:
            print(where, flush=True)
        results = run(options, directory)
    if options.json:
        for row in results.rows + results.skipped:
            print(json.dumps({"machine": where, **row}))
    elif results.rows:
        results.show()
    sys.exit(1 if results.missed else 0)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except (Unable, OSError) as error:
        print(f"scripts/bench reading: cannot measure: {error}", file=sys.stderr)
        sys.exit(2)  # 1 says that a row falls short
