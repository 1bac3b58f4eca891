# SPDX-License-Identifier: Apache-2.0
"""Power losses, recorded and replayed (docs/staging.md 11).

    scripts/power-loss [--states N] [--fs ext4,xfs,btrfs] [--workload NAME,...] [--seed S] [--jobs N] [--list]

Each workload is run by the real weightfs on each file system, whose disk (disk.c, below a loop device) records every write and
flush, and every acknowledgement as a mark. Then the disk is shown as power losses would have left it: after each mark with and
without what was not flushed, cut at any write, without random writes since the last flush, with a torn last write. Each state
is mounted, read by weightfs, and judged by the ledger. --states is the number over all workloads and file systems.

The environment: WEIGHTFS is the program to judge (default: build/dev/weightfs); it inherits everything else, so that a build
with seeded faults can be told which to commit: WEIGHTFS=build/faults/weightfs WEIGHTFS_FAULT=NAME scripts/power-loss --states 200.
POWER_RECORD_ENV="NAME=VALUE ..." is set while recording only, and not for what reads the states.

Exit 0: nothing was lost; 1: findings, each with its state; 77: this machine cannot.
"""
import argparse
import concurrent.futures
import multiprocessing
import random
import tempfile
import traceback

import storage
from judge import KINDS, Observation, Verdict, fingerprint, judge_state, observe
from ledger import METADATA, REFUSED
from session import Session
from wfs import *
from workloads import WORKLOADS

COLUMNS = ["states", "old", "new", "compared", "refused"] + KINDS
SHOWN = 6  # findings of one workload that are told in full


def program():
    return os.path.join(os.environ.get("WEIGHTFS_BUILD", "build/dev"), "tests/power/disk")


class Run:
    """One workload on one file system."""

    def __init__(self, kind, workload, folder, seed):
        self.kind, self.workload, self.folder = kind, workload, folder
        self.rng = random.Random(f"{seed} {kind} {workload.name}")
        self.boots = storage.Boots(os.path.join(folder, "boot-id"))
        self.seen = {}  # observations by fingerprint
        self.total = Verdict()
        self.total.counts["distinct"] = 0

    def path(self, *names):
        return os.path.join(self.folder, *names)

    # --- recording ---

    def prepare(self, image):
        storage.make_image(self.kind, image)
        old = self.workload.old(self.rng)
        with storage.plain_mount(self.kind, image, self.path("plain")) as mounted:
            self.workload.prepare(mounted.directory, old)
        return old

    def record(self, disk, old, steps):
        """Returns the session, whose ledger says what was promised when."""
        more = dict(word.split("=", 1) for word in os.environ.get("POWER_RECORD_ENV", "").split())
        with disk.mount(), environment(more):
            session = Session(disk, old, self.rng, self.workload.create, self.workload.output)
            with session.mounted():
                steps(session)
        return session

    def new_disk(self, image, name):
        os.makedirs(self.path(name))
        return storage.Disk(program(), self.kind, image, self.path(name))

    def after_a_first_loss(self, image, old):
        """Records the workload that comes before this one, and keeps a state of it: the image to begin with, and what staging
        shows there."""
        disk = self.new_disk(image, "first")
        try:
            self.record(disk, old, WORKLOADS[self.workload.after].steps)
            log = storage.Log(disk.log_path, storage.SUPERBLOCKS[self.kind])
            count = len(log.records) * 3 // 4
            state = storage.State(count, log.epoch(count)[1::2])
            disk.show(state)
            disk.save(self.path("lost"))
            self.boots.next()
            with disk.mount():
                seen = observe(Session(disk, old, self.rng))
        finally:
            disk.close()
        return self.path("lost"), seen

    # --- replaying ---

    def observe_state(self, disk, session, state):
        disk.show(state)
        try:
            mounted = disk.mount()
        except storage.MountError as error:
            seen = Observation()
            seen.failures.append(("unmountable", str(error)))
            return seen
        with mounted:
            key = fingerprint(disk.directory)
            if key not in self.seen:
                self.seen[key] = observe(session)
                self.total.counts["distinct"] += 1
        return self.seen[key]

    def replay(self, disk, session, wanted):
        log = storage.Log(disk.log_path, storage.SUPERBLOCKS[self.kind])
        self.total.counts["writes"] = log.writes()
        for state in self.states(log) if wanted is None else storage.choose_states(log, wanted, self.rng):
            seen = self.observe_state(disk, session, state)
            if any(kind == "unmountable" for kind, _ in seen.failures):
                verdict = Verdict()
                verdict.find("unmountable", seen.failures[0][1])
            else:
                verdict = judge_state(seen, session.ledger, log.moment(state.count))
            self.total.counts.update(verdict.counts)
            place = f"state '{state.words().decode()}' after '{session.ledger.whats[log.moment(state.count)]}'"
            self.total.findings += [(kind, f"{self.workload.name} on {self.kind}, {place}: {kind}: {sentence}")
                                    for kind, sentence in verdict.findings]

    def __call__(self, wanted):
        begun = time.monotonic()
        image = self.path("image")
        old = self.prepare(image)
        seen = None
        if self.workload.after:
            image, seen = self.after_a_first_loss(image, old)
        disk = self.new_disk(image, "main")
        try:
            session = self.record(disk, old, lambda s: self.steps(s, seen))
            self.boots.next()
            self.replay(disk, session, wanted)
        finally:
            disk.close()
        self.total.counts["seconds"] = time.monotonic() - begun
        return self.total

    def steps(self, session, seen):
        if seen:
            now = session.ledger.now
            for name in {*seen.tensors, *now.tensors, *seen.refused} - {METADATA}:
                value = REFUSED if name in seen.refused else seen.tensors.get(name)
                now.history(name).values[0] = (0, value)
            now.history(METADATA).values[0] = (0, REFUSED if METADATA in seen.refused else seen.metadata)
        self.workload.steps(session)


@contextlib.contextmanager
def environment(more):
    before = dict(os.environ)
    os.environ.update(more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def run_one(kind, name, wanted, seed):
    """In a process of its own, with mounts of its own."""
    try:
        storage.own_namespace()
        with tempfile.TemporaryDirectory(prefix=f"power-{kind}-{name}-", dir=os.environ.get("TEST_TMP")) as folder:
            return kind, name, Run(kind, WORKLOADS[name], folder, seed)(wanted), None
    except BaseException:
        return kind, name, None, traceback.format_exc()


def why_not(kinds):
    """Why this machine cannot, or None."""
    if os.geteuid() != 0:
        return "loop mounts need root"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse is missing or cannot be opened"
    if not os.path.exists(program()):
        return f"{program()} is not built"
    supported = read("/proc/filesystems").decode().split()
    for kind in kinds:
        if run("sh", "-c", f"command -v mkfs.{kind}", code=None).code:
            return f"no mkfs.{kind}"
        if kind not in supported:
            run("sh", "-c", f"modprobe {kind}", code=None)
            if kind not in read("/proc/filesystems").decode().split():
                return f"the kernel has no {kind}"
    if run("losetup", "-f", code=None).code:
        return "no loop device is free"
    return None


def print_row(words):
    print(f"{words[0]:6} {words[1]:9} " + " ".join(f"{word:>{max(6, len(column))}}" for word, column
                                                    in zip(words[2:], ["writes", "states", "distinct", *COLUMNS[1:], "seconds"])), flush=True)


def row_of(kind, name, counts):
    return [kind, name, counts["writes"], counts["states"], counts["distinct"], *(counts[column] for column in COLUMNS[1:]),
            f"{counts['seconds']:.1f}"]


def sweep(kinds, names, states, seed, jobs):
    """Runs all, prints a row for each, and returns (counts, findings, failures of the test itself)."""
    pairs = [(kind, name) for name in names for kind in kinds]
    wanted = -(-states // len(pairs))
    total, findings, broken = Verdict().counts, [], []
    print_row(["fs", "workload", "writes", "states", "distinct", *COLUMNS[1:], "seconds"])
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(jobs, mp_context=context, max_tasks_per_child=None) as pool:
        for future in concurrent.futures.as_completed([pool.submit(isolated, *pair, wanted, seed) for pair in pairs]):
            kind, name, verdict, failure = future.result()
            if failure:
                broken.append(f"{name} on {kind}: {failure}")
                continue
            print_row(row_of(kind, name, verdict.counts))
            total.update(verdict.counts)
            findings += verdict.findings[:SHOWN]
    print_row(row_of("all", "", total))
    return total, findings, broken


def isolated(*words):
    """A process for each run: a namespace cannot be left."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(run_one, words)


def main(words=None):
    options = argparse.ArgumentParser(prog="scripts/power-loss")
    options.add_argument("--states", type=int, default=2000)
    options.add_argument("--fs", default="ext4,xfs,btrfs")
    options.add_argument("--workload", default=",".join(WORKLOADS))
    options.add_argument("--seed", default="1")
    options.add_argument("--jobs", type=int, default=os.cpu_count())
    options.add_argument("--list", action="store_true", help="what the workloads are")
    chosen = options.parse_args(words)
    if chosen.list:
        for name, workload in WORKLOADS.items():
            print(f"{name:10} {workload.steps.__doc__.split(chr(10))[0]}")
        return 0
    kinds, names = chosen.fs.split(","), chosen.workload.split(",")
    reason = why_not(kinds)
    if reason:
        skip(reason)
    total, findings, broken = sweep(kinds, names, chosen.states, chosen.seed, chosen.jobs)
    for _, sentence in findings:
        print(sentence)
    for failure in broken:
        print(f"cannot be judged: {failure}")
    bad = sum(total[kind] for kind in KINDS)
    print(f"{total['states']} states, {total['compared']} entries compared, {bad} findings")
    return 1 if bad or broken else 0


if __name__ == "__main__":
    sys.exit(main())
