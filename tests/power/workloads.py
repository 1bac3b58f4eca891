# SPDX-License-Identifier: Apache-2.0
"""What was under way when the power went. A workload is a generator's worth of steps: a function of a Session whose model is
mounted; WORKLOADS says how the session begins."""
from ledger import METADATA
from wfs import build


def commit(s):
    """A commit that replaces, renames, drops and adds, of edits that were synced in part."""
    s.write("b", s.random("BF16", [64, 128]))
    s.write("c", s.random("I8", [50000]), fsync=True)
    s.rename("d", "e")
    s.remove("a")
    s.commit()


def backup(s):
    """Two commits that keep the old file as NAME~: the second replaces the first one's."""
    s.write("b", s.random("BF16", [64, 128]), fsync=True)
    s.commit(backup=True)
    s.write("c", s.random("I8", [50000]))
    s.commit(backup=True)


def create(s):
    """A model from nothing, its first commit and an edit after."""
    s.write_npy("x", s.random("F32", [100, 60]), fsync=True)
    s.write_npy("y", s.random("F64", [3000]))
    s.flush()
    s.write_metadata({"made": "here"}, fsync=True)
    s.commit()
    s.write("y", s.random("F64", [3000]), fsync=True)


def output(s):
    """The first commit to another file, and edits that go on there."""
    s.write("b", s.random("BF16", [64, 128]), fsync=True)
    s.write("c", s.random("I8", [50000]))
    s.commit()
    s.write("c", s.random("I8", [50000]), fsync=True)
    s.remove("d")
    s.fsync_directory("d")


def unsynced(s):
    """Nothing is asked for, and the system writes out what it likes."""
    s.write("b", s.random("BF16", [64, 128]))
    s.write_npy("f", s.random("F32", [90, 70]), order="F", endian=">")
    s.flush()
    s.patch("c", 12345, b"patched" * 100)
    s.rename("a", "z")
    s.flush()
    s.remove("d")
    s.elsewhere()
    s.write_metadata({"format": "pt", "note": "unsynced"})
    s.elsewhere()
    s.write("b", s.random("BF16", [64, 128]))


def synced(s):
    """Each edit is fsynced by the call that fits it."""
    s.dd("b", s.random("BF16", [64, 128]))
    s.write("c", s.random("I8", [50000]), fsync=True)
    s.rename("a", "z")
    s.fsync_directory("a", "z")
    s.remove("d")
    s.fsync_directory("d")
    s.write_metadata({"format": "pt", "note": "synced"}, fsync=True)
    s.write("b", s.random("BF16", [64, 128]))
    s.flush()
    s.fsync("b")
    s.write_metadata({"format": "pt", "note": "synced later"})
    s.fsync(METADATA, path=s.mount / "staging/metadata.json")


def npy(s):
    """Arrays in the order of others: they are rewritten after the close."""
    s.write_npy("f", s.random("F32", [90, 70]), order="F", endian=">", fsync=True)
    s.flush()
    s.write_npy("g", s.random("F64", [40, 50]), endian=">")
    s.fsync("g")
    s.write_npy("h", s.random("I64", [999]), fsync=True)
    s.write_npy("f", s.random("F32", [30, 50]), order="F", fsync=True)
    s.flush()


def patch(s):
    """A big tensor patched here and there, and copies that are references."""
    s.patch("big", 1 << 20, b"first patch" * 50, fsync=True)
    s.duplicate("b", "b.copy")
    s.fsync("b.copy")
    s.patch("big", 77, b"second patch", fsync=True)
    s.duplicate("big", "big.copy")
    s.fsync("big.copy")
    s.scatter("big", b"patches here and there" * 300)
    s.elsewhere()
    s.flush()
    s.fsync("big")


def discard(s):
    """Single edits dropped, then all, then edits anew."""
    s.write("b", s.random("BF16", [64, 128]), fsync=True)
    s.write("c", s.random("I8", [50000]), fsync=True)
    s.rename("a", "z")
    s.remove("d")
    s.fsync_directory("a", "z", "d")
    s.discard("b")
    s.write_metadata({"note": "to be dropped"}, fsync=True)
    s.discard()
    s.rename("d", "e")
    s.fsync_directory("d", "e")
    s.discard("e", both=["d"])
    s.rename("a", "z")
    s.fsync_directory("a", "z")
    s.discard()
    s.write("c", s.random("I8", [50000]), fsync=True)


def again(s):
    """A commit, edits of what it wrote, another commit, and edits again."""
    s.write("b", s.random("BF16", [64, 128]), fsync=True)
    s.commit()
    s.write("c", s.random("I8", [50000]), fsync=True)
    s.rename("d", "e")
    s.fsync_directory("d", "e")
    s.commit()
    s.write("b", s.random("BF16", [64, 128]))
    s.flush()
    s.patch("c", 100, b"after two commits", fsync=True)


def recovery(s):
    """Edits taken up after a power loss, new ones, and another power loss. (The first one is in power.py.)"""
    s.flush()
    s.write("a", s.random("F32", [64, 32]), fsync=True)
    s.write("b", s.random("BF16", [64, 128]))


def replaced(s):
    """What was fsynced is replaced, renamed over and removed, and somebody else has the file system write that down."""
    s.write("a", s.random("F32", [64, 32]), fsync=True)
    s.write("b", s.random("BF16", [64, 128]), fsync=True)
    s.write("c", s.random("I8", [50000]), fsync=True)
    s.remove("b")
    s.elsewhere()
    s.write("c", s.random("I8", [50000]))
    s.elsewhere()
    s.rename("c", "a")
    s.elsewhere()
    s.fsync("a")
    s.fsync_directory("b", "c")
    s.write("d", s.random("F32", [5000]), fsync=True)
    s.duplicate("a", "d")
    s.elsewhere()


def preallocated(s):
    """Files that have their size before they have their bytes."""
    s.write_preallocated("d", s.random("F32", [5000]))
    s.elsewhere()
    s.write_preallocated("c", s.random("I8", [50000]))
    s.elsewhere()
    s.fsync("d")
    s.write_preallocated("d", s.random("F32", [5000]))
    s.elsewhere()
    s.flush()


def busy(s):
    """Fsyncs, discards and commits on a file system that never rests."""
    with s.busy():
        s.write("b", s.random("BF16", [64, 128]), fsync=True)
        s.write("c", s.random("I8", [50000]))
        s.rename("a", "z")
        s.commit(backup=True)
        s.write("c", s.random("I8", [50000]), fsync=True)
        s.write("c", s.random("I8", [50000]))
        s.remove("c")
        s.write("b", s.random("BF16", [64, 128]), fsync=True)
        s.commit(backup=True)
        s.rename("z", "a")
        s.fsync_directory("a", "z")
        s.write("b", s.random("BF16", [64, 128]), fsync=True)
        s.discard()


def together(s):
    """Fsyncs at the same time, each of which has to wait for its own."""
    for _ in range(3):
        s.at_once(*(lambda name=name, dtype=dtype, shape=shape: s.write(name, s.random(dtype, shape), fsync=True)
                    for name, dtype, shape in [("a", "F32", [64, 32]), ("b", "BF16", [64, 128]), ("c", "I8", [50000])]))


def compact(s):
    """A journal that grows until it is written anew."""
    s.write("b", s.random("BF16", [64, 128]), fsync=True)
    s.write("c", s.random("I8", [50000]))
    s.rename_often("d", "e", 2500)
    s.elsewhere()
    s.fsync_directory("d", "e")
    s.rename_often("a", "z", 2500)
    s.fsync("c")


def model(rng, big):
    tensors = {"a": ("F32", [64, 32]), "b": ("BF16", [64, 128]), "c": ("I8", [50000]), "d": ("F32", [5000])}
    if big:
        tensors["big"] = ("U8", [(3 << 20) + 123])
    sizes = {"F32": 4, "BF16": 2, "I8": 1, "U8": 1}
    values = {}
    for name, (dtype, shape) in tensors.items():
        count = sizes[dtype]
        for dimension in shape:
            count *= dimension
        values[name] = dtype, shape, rng.randbytes(count)
    return values, {"format": "pt"}


class Workload:
    def __init__(self, steps, big=False, create=False, output=None, after=None):
        self.steps, self.big, self.create, self.output, self.after = steps, big, create, output, after
        self.name = steps.__name__

    def old(self, rng):
        """The model at the beginning."""
        return ({}, {}) if self.create else model(rng, self.big)

    def prepare(self, directory, old):
        if not self.create:
            with open(f"{directory}/m.safetensors", "wb") as file:
                file.write(build(*old))


WORKLOADS = {workload.name: workload for workload in [
    Workload(commit), Workload(backup), Workload(create, create=True), Workload(output, output="out.safetensors"),
    Workload(unsynced), Workload(synced), Workload(npy), Workload(patch, big=True), Workload(discard), Workload(again),
    Workload(replaced), Workload(preallocated), Workload(together), Workload(busy), Workload(compact),
    Workload(recovery, after="unsynced")]}
