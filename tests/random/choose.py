# SPDX-License-Identifier: Apache-2.0
"""Seeded operations for world.py: mostly such that something happens, sometimes such that they must be refused."""
import random

from pending import Refused
from world import FILE_NAMES, INVALID_NAMES, KEEP_SIZE, LONG, PUNCH_HOLE, SCRATCH_NAMES

SHAPES = [("F32", [33]), ("F32", [11, 3]), ("BF16", [16, 32]), ("F16", [12, 10]), ("U8", [600]), ("I64", [5]), ("F64", []), ("BOOL", [13]),
          ("F8_E5M2", [21]), ("F8_E4M3", [7, 3]), ("C64", [3, 2]), ("U16", [40]), ("I8", [3, 4, 5]), ("F32", [0, 3]), ("F4", [10]), ("I32", [2, 3, 4])]
DTYPES = ["F32", "BF16", "F16", "U8", "I64", "F8_E4M3", "F4", "BOOL", "U16", "I8"]
BROKEN_DOCUMENTS = ['{"a": {"dtype": "F32", ', "[]", '{"__metadata__": {"a": 1}}', '{"a": {"dtype": "F99", "shape": [1]}}', "nonsense",
                    '{"a": {"dtype": "I64", "shape": [5]}, "a": {"dtype": "I64", "shape": [5]}}', '{"a": 1}']
MAPS = [None, {}, {"format": "pt"}, {"format": "pt", "k": "v"}, {"k": "line\n\"quoted\" é"}]

WEIGHTS = {
    "pread": 12, "pwrite": 12, "read": 10, "stat": 8, "open": 8, "close": 5, "open_model": 2, "fstat": 4, "ftruncate": 3, "fallocate": 2, "fsync": .6,
    "mmap": 3, "create": 2, "unlink": 3, "rename": 7, "truncate": 3, "put": 8, "append": 3, "patch": 5, "copy": 6, "setxattr": 4, "removexattr": 1,
    "getxattr": 3, "chmod": 1, "utime": 1, "npy": 5, "document": 1, "edit_document": 1.5, "document_emptied": .1, "keep_document": .3, "list": 1,
    "status": .5, "preview": .4, "verify": .25, "fsyncdir": .2, "check": .3, "commit": 1.0, "official": .05, "discard": .6, "remount": .12, "kill": .25,
}


class Chooser:
    def __init__(self, world, seed):
        self.world = world
        self.rng = random.Random(f"operations {seed}")
        self.names = [*FILE_NAMES, LONG]
        self.operations = list(WEIGHTS)
        self.weights = list(WEIGHTS.values())

    def next(self):
        operation = self.rng.choices(self.operations, self.weights)[0]
        return (operation, *getattr(self, operation)())

    def seed(self):
        return self.rng.randrange(1 << 30)

    # --- what an operation is about ---

    def place(self):
        return self.rng.choices(["tensors", "npy", "root"], [6, 3, 1])[0]

    def name(self, place):
        """A file name, mostly of a file that is there."""
        rng, roll = self.rng, self.rng.random()
        if roll < 0.72:
            present = self.world.model.list(place)
            if place == "root":
                present.remove("metadata.json")
            if present:
                return rng.choice(present)
        if place == "root" or roll > 0.94:
            return rng.choice(SCRATCH_NAMES[place])
        if roll > 0.93:
            return rng.choice(INVALID_NAMES[:2])
        name = "__metadata__" if roll > 0.927 else rng.choice([n for n in self.names if n != "__metadata__"])
        return self.world.model.file_names[name] + (".npy" if place == "npy" else "")

    def somewhere(self):
        place = self.place()
        return place, self.name(place)

    def length_of(self, place, name):
        try:
            view = self.world.model.view(self.world.model.find(place, name), place)
            return len(view or b"")
        except Refused:
            return 100

    def declared_size(self, place, name):
        """What the file should have, as a rule; or anything."""
        rng = self.rng
        try:
            key = self.world.model.key(place, name)
            declared = self.world.model.last_declaration(key)
            if declared.complete() and isinstance(declared.size(), int) and declared.size() < 1 << 20 and rng.random() < 0.8:
                return declared.size()
        except Refused:
            pass
        return rng.choice([0, 1, rng.randrange(100), rng.randrange(5000), rng.randrange(5000), rng.randrange(40000)])

    def handle(self):
        slots = list(self.world.handles)
        return self.rng.choice(slots) if slots else 0

    def shown_length(self, slot):
        handle = self.world.handles.get(slot)
        return len(self.world.shown_by(handle)) if handle else 100

    def spot(self, length):
        """An offset and a length, mostly within."""
        rng = self.rng
        if length and rng.random() < 0.85:
            offset = rng.randrange(length)
            return offset, rng.randrange(1, min(length - offset, rng.choice([8, 200, 5000, 50000])) + 1)
        return rng.randrange(length + 300), rng.randrange(1, 3000)

    # --- the operations ---

    def open(self):
        return (self.rng.randrange(6), *self.somewhere(), self.rng.choice(["r", "w", "rw", "rw", "rw"]), self.rng.random() < 0.15, self.rng.random() < 0.1)

    def open_model(self):
        return self.rng.randrange(6), self.rng.choice(["tensors", "npy", "whole"]), self.rng.choice(self.names)

    def close(self):
        return (self.handle(),)

    def pread(self):
        slot = self.handle()
        return (slot, *self.spot(self.shown_length(slot)))

    def fstat(self):
        return (self.handle(),)

    def pwrite(self):
        slot = self.handle()
        return (slot, *self.spot(self.shown_length(slot)), self.seed())

    def ftruncate(self):
        slot = self.handle()
        return slot, self.size_near(self.shown_length(slot))

    def size_near(self, length):
        return self.rng.choice([0, length, length, self.rng.randrange(length + 1), length + self.rng.randrange(500), self.rng.randrange(5000)])

    def fallocate(self):
        slot = self.handle()
        return (slot, self.rng.choice([0, 0, 0, KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE]), *self.spot(self.shown_length(slot)))

    def fsync(self):
        return (self.handle(),)

    def mmap(self):
        slot = self.handle()
        return (slot, *self.spot(self.shown_length(slot)), self.seed())

    def create(self):
        return (*self.somewhere(), self.rng.random() < 0.5, self.rng.choice([0o600, 0o644, 0o400]))

    def unlink(self):
        if self.rng.random() < 0.04:
            return "root", "metadata.json"
        return self.somewhere()

    def rename(self):
        rng = self.rng
        place, name = self.somewhere()
        to_place = place if rng.random() < 0.8 else self.place()
        to_name = self.name(to_place)
        if rng.random() < 0.02:
            place, name, to_place = "root", "metadata.json", rng.choice(["root", "root", "tensors"])
            to_name = rng.choice(SCRATCH_NAMES[to_place])
        return place, name, to_place, to_name, rng.choices(["", "noreplace", "exchange"], [6, 1, 2])[0]

    def truncate(self):
        place, name = self.somewhere()
        return place, name, self.rng.choice([self.size_near(self.length_of(place, name)), self.declared_size(place, name)])

    def put(self):
        place, name = self.somewhere()
        if place == "npy":
            place, name = "tensors", self.name("tensors")
        return place, name, self.declared_size(place, name), self.seed(), self.rng.choice([1, 1, 3])

    def append(self):
        return (*self.somewhere(), self.rng.randrange(1, 200), self.seed())

    def patch(self):
        place, name = self.somewhere()
        return (place, name, *self.spot(self.length_of(place, name)), self.seed())

    def copy(self):
        rng = self.rng
        tree = rng.choice(["model", "staging"])
        place = rng.choice(["tensors", "tensors", "npy"]) if tree == "model" else self.place()
        if tree == "model":
            name = self.world.model.file_names[rng.choice(list(self.world.model.base.tensors) or ["a"])] + (".npy" if place == "npy" else "")
        else:
            name = self.name(place)
        to_place = place if rng.random() < 0.85 else self.place()
        to_name = name if to_place == place and rng.random() < 0.2 else self.name(to_place)
        if rng.random() < 0.7:
            return tree, place, name, to_place, to_name, 0, 1 << 20, 0, False
        offset, length = self.spot(self.length_of(place, name))
        to_offset = rng.choice([offset, 0, rng.randrange(500)])
        return tree, place, name, to_place, to_name, rng.choice([0, offset]), length, to_offset, rng.random() < 0.8

    def setxattr(self):
        rng = self.rng
        place, name = self.somewhere()
        which = rng.choice(["dtype", "shape", "shape", "name"])
        if which == "dtype":
            value = rng.choice(DTYPES + ["F99"])
        elif which == "name":
            value = rng.choice([LONG, LONG, "a"])
        else:
            value = self.shape_for(self.length_of("tensors", name) if place == "tensors" else 10)
        return place, name, which, value

    def shape_for(self, length):
        rng = self.rng
        return rng.choice([f"[{length}]", f"[{length // 2}]", f"[{length // 4}]", f"[2,{length // 4}]", "[]", "[0]", "[5]", "[18446744073709551615,2]", "five"])

    def removexattr(self):
        return (*self.somewhere(), self.rng.choice(["dtype", "shape", "name"]))

    def getxattr(self):
        return self.somewhere()

    def chmod(self):
        return (*self.somewhere(), self.rng.choice([0o600, 0o640, 0o400, 0o777]))

    def utime(self):
        return (*self.somewhere(), self.rng.randrange(1 << 60))

    def npy(self):
        rng = self.rng
        dtype, shape = rng.choice([pair for pair in SHAPES if pair[0] != "F4"])
        scratch = rng.random() < 0.2
        name = rng.choice(SCRATCH_NAMES["npy"]) if scratch else self.name("npy")
        cut = rng.choice([3, 100, 130, 150]) if rng.random() < 0.15 else 1 << 30
        return "npy", name, dtype, shape, self.seed(), rng.random() < 0.2, rng.random() < 0.15, rng.choice([1, 1, 1, 2, 3]), cut, rng.choice([1, 1, 4])

    def document(self):
        rng = self.rng
        text = rng.choice([rng.choice(BROKEN_DOCUMENTS), "", " \n", "{}", rng.randrange(6), rng.randrange(6), rng.randrange(6)])
        return text, rng.choices(["plain", "open", "rename", "killed"], [6, 2, 3, 1])[0]

    def edit_document(self):
        rng = self.rng
        edits = []
        for _ in range(rng.choice([1, 1, 2, 4])):
            if rng.random() < 0.25:
                edits.append(("__metadata__", rng.choice(MAPS)))
                continue
            name = rng.choice([n for n in self.names if n != "__metadata__"])
            edits.append((name, *self.declaration_for(name)))
        return edits, rng.choices(["plain", "open", "rename", "killed"], [6, 2, 3, .3])[0]

    def declaration_for(self, name):
        rng = self.rng
        length = self.length_of("tensors", self.world.model.file_names[name])
        if rng.random() < 0.6:
            return rng.choice([("U8", [length]), ("I8", [length]), ("U8", [1, length])])
        dtype, shape = rng.choice(SHAPES)
        return rng.choice([(dtype, shape), (dtype, None), (None, shape)])

    def document_emptied(self):
        return ()

    keep_document = status = preview = verify = check = official = remount = kill = document_emptied

    def read(self):
        if self.rng.random() < 0.08:
            return "root", "metadata.json"
        return self.somewhere()

    def stat(self):
        return self.read()

    def list(self):
        return (self.place(),)

    def fsyncdir(self):
        return (self.place(),)

    def commit(self):
        rng = self.rng
        return rng.choice([None, None, None, "canonical", "keep", "align=4096"]), rng.random() < 0.2, rng.random() < 0.1, rng.random() < 0.004

    def discard(self):
        rng, model = self.rng, self.world.model
        if rng.random() < 0.35:
            return ([],)
        names = [slot.key[1] for slot in model.slots.values() if slot.key[0] == "tensor"] + ["__metadata__", "a", "nothing"]
        return ([rng.choice(names) for _ in range(rng.choice([1, 1, 2]))],)
