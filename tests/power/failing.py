# SPDX-License-Identifier: Apache-2.0
"""A disk that fails once, at some write or flush, and is healed: who asked hears it, what is refused is named and can be mended,
and what was acknowledged all the same survives a power loss."""
import collections
import concurrent.futures
import multiprocessing
import random
import re
import tempfile
import traceback

import storage
from ledger import METADATA
from power import Run, why_not
from session import Session
from wfs import *
from workloads import WORKLOADS

EXIT_CODES = {1, 3, 4}  # of a commit that changed nothing; 3 where the file system became read-only


class Attempts:
    """Steps of which any may fail."""

    def __init__(self, session):
        self.session, self.failed, self.log = session, {}, []

    def __call__(self, name, step):
        try:
            step()
        except OSError as error:
            self.failed[name] = errno_name(error)
        self.log.append(f"{name}: {self.failed.get(name, 'ok')}")

    def commit(self):
        """Exit 0 is an acknowledgement of the new file, 1 and 4 of the old one, 5 of neither."""
        s = self.session
        before = s.ledger.generations
        s.ledger.begin_commit(False)
        result = weightfs("commit", s.mountpoint, code=None)
        self.log.append(f"commit: {result.code} {result.err.strip()}")
        if result.code == 0:
            self.check_committed(s.ledger.generations[-2], read(s.file))
            s.ledger.acknowledge_commit(read(s.file), False)
        elif result.code == 5:
            s.ledger.now.data = read(s.file)
            one_sentence(result.err)
        elif result.code in EXIT_CODES:
            before.pop()
            for line in result.err.splitlines():
                contains(one_sentence(line), "weightfs: ")
            with contextlib.suppress(OSError):  # of a file system that gave up
                equal(read(s.file) == before[-1].data, True, f"the file is the old one after: {result}")
        else:
            fail(f"exit code of a commit on a failing disk: {result}")
        return result

    @staticmethod
    def check_committed(generation, data):
        """Each tensor is one that was meant at some time, whole."""
        for name, found in parse(data)[1].items():
            if found not in [value for _, value in generation.history(name).values]:
                fail(f"{name} was committed with bytes that nobody wrote")


def edit(attempt, s, more):
    dtype, shape = "F32", [40, 50]
    attempt("b", lambda: s.write("b", s.random("BF16", [64, 128]), fsync=True))
    whole = s.ledger.now.history("c").values[-1][1] is None  # it was removed, because it was refused
    attempt("c", lambda: s.write("c", s.random("I8", [50000]), fsync=True) if whole
            else s.patch("c", 300, b"patched" * 2000 + more, fsync=True))
    attempt("f", lambda: s.write_npy("f", s.random(dtype, shape), endian=">", fsync=True))
    attempt(METADATA, lambda: s.write_metadata({"format": "pt", "note": more.decode()}, fsync=True))
    attempt("d", lambda: s.write("d", s.random("F32", [5000]), fsync=True))


def is_alive(directory):
    """Whether the file system goes on after the error: some have had enough of their disk."""
    try:
        with open(os.path.join(directory, "of-somebody-else"), "wb") as file:
            file.write(b"probe")
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        return False
    return True


def forget_pages(directory):
    """What the kernel has of staged bytes goes, where it is clean: after a failed write it is not what the disk has."""
    staging = os.path.join(directory, ".m.safetensors.staging")
    with contextlib.suppress(OSError):
        for name in os.listdir(staging):
            descriptor = os.open(os.path.join(staging, name), os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def steps(attempt, s, disk, words, remounts):
    disk.fail(words)
    edit(attempt, s, b"first")
    if remounts:
        disk.fail("")
        weightfs("umount", s.mountpoint, code=None)
        wait_for(lambda: not os.path.ismount(s.mountpoint), "the end of the mount")
    forget_pages(s.disk.directory)
    if remounts:
        if not is_alive(s.disk.directory):
            attempt.log.append("the file system gave up")
            return
        s.mounted()
    result = attempt.commit()
    disk.fail("")
    if not is_alive(s.disk.directory):
        attempt.log.append("the file system gave up")
    elif result.code in EXIT_CODES:
        mend(attempt, s)


def remove_refused(s):
    for tensor, code in s.mount.errors():
        if code == "DocumentInvalid":
            os.unlink(s.mount / "staging/metadata.json")
        elif tensor and os.path.exists(s.mount.staged(tensor)):
            s.remove(tensor)


def mend(attempt, s):
    """On a healed disk whatever was refused can be removed and written again. The first fsync after may still be told of what
    failed before it: an error that the kernel had kept for whoever asks next."""
    for last in (False, True):
        attempt.failed.clear()
        remove_refused(s)
        edit(attempt, s, b"again")
        if not attempt.failed:
            break
        equal(last, False, f"the disk was healed, but {attempt.failed}")
    result = attempt.commit()
    equal(result.code, 0, f"commit after the disk was healed and what it took was written again: {result}")


class FailingRun(Run):
    """`words`: which write or flush fails. `remounts`: whether the daemon ends between the edits and the commit."""

    def __init__(self, kind, workload, folder, seed, words, remounts):
        super().__init__(kind, workload, folder, f"{seed} {words}")
        self.words, self.remounts = words, remounts
        self.attempt = None

    def record(self, disk, old, run_steps):
        with disk.mount():
            session = Session(disk, old, self.rng)
            self.attempt = Attempts(session)
            session.mounted()
            try:
                steps(self.attempt, session, disk, self.words, self.remounts)
            finally:
                disk.fail("")
                if os.path.ismount(session.mountpoint):
                    weightfs("umount", session.mountpoint, code=None)
                wait_for(lambda: not os.path.ismount(session.mountpoint), "the end of the mount")
        return session

    def states(self, log):
        for number, (kind, _, _) in enumerate(log.records):
            if kind == storage.MARK:
                yield storage.State(number + 1)
                yield storage.State(number + 1, log.epoch(number + 1))
        yield storage.State(len(log.records))


def words_of(rng):
    """One write or flush of the first ones, or all from there on for a while."""
    if rng.random() < 0.6:
        return f"write {rng.randrange(25)} {rng.choice([1, 1, 1, 3, 1000])}"
    return f"flush {rng.randrange(20)} {rng.choice([1, 1, 3])}"


def run_one(kind, number, seed):
    """In a process of its own: (what failed, what came of the steps, verdict, failure of a claim)."""
    rng = random.Random(f"{seed} {kind} {number}")
    words, remounts = words_of(rng), rng.random() < 0.4
    run_it = None
    try:
        storage.own_namespace()
        with tempfile.TemporaryDirectory(prefix=f"failing-{kind}-{number}-", dir=os.environ.get("TEST_TMP")) as folder:
            run_it = FailingRun(kind, WORKLOADS["commit"], folder, seed, words, remounts)
            verdict = run_it(None)
            return f"{kind}, {words}{', remounted' if remounts else ''}", run_it.attempt.log, verdict, None
    except BaseException:
        log = run_it.attempt.log if run_it and run_it.attempt else []
        return f"{kind}, {words}{', remounted' if remounts else ''}", log, None, traceback.format_exc()


def isolated(*words):
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(run_one, words)


def main(runs, seed="1", kinds=("ext4", "xfs", "btrfs")):
    """`runs` disks of each file system. 0, or 1 after telling what was wrong."""
    reason = why_not(kinds)
    if reason:
        skip(reason)
    total, wrong, came = collections.Counter(), [], collections.Counter()
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("fork")) as pool:
        for future in [pool.submit(isolated, kind, number, seed) for kind in kinds for number in range(runs)]:
            what, log, verdict, failure = future.result()
            for line in log:
                came[re.sub(r"^\w+: (\w+).*", r"\1", line) if not line.startswith("commit") else line[:9]] += 1
            if failure:
                wrong.append(f"{what}: {log}\n{failure}")
                continue
            total.update(verdict.counts)
            wrong += [f"{what}: {log}: {sentence}" for _, sentence in verdict.findings[:2]]
    for outcome, count in sorted(came.items()):
        print(f"{count:5} {outcome}")
    print(f"{runs * len(kinds)} failing disks, {total['states']} power losses, {total['compared']} entries compared, "
          f"{len(wrong)} findings")
    for sentence in wrong:
        print(sentence)
    return 1 if wrong else 0
