# SPDX-License-Identifier: Apache-2.0
"""A mounted model and its model in memory (pending.py), driven by operations that are plain tuples, so that a sequence can be
printed, replayed and shrunk. Every method op_NAME does one operation to both sides and compares what each says.
"""
import contextlib
import ctypes
import mmap
import os
import random
import time

from pending import Pending, Base, Refused, DTYPES, npy_header, read_document
from wfs import *

AT_FDCWD, NOREPLACE, EXCHANGE, KEEP_SIZE, PUNCH_HOLE = -100, 1, 2, 1, 2
libc = ctypes.CDLL(None, use_errno=True)
FLAGS = {"": 0, "noreplace": NOREPLACE, "exchange": EXCHANGE}
LONG = "long." + "x" * 300
FILE_NAMES = {name: name for name in ("a", "b.w", "layers.0.w", "layers.2.w", "layers.10.w", "lm_head", "norm", "flags", "f4", "empty", "big",
                                      "new.0", "new.1", "new.2", "new.3", "été", "__metadata__")}
FILE_NAMES |= {"x/y": "x%2Fy", ".dot": "%2Edot", "tilde~": "tilde%7E", "sedabcdef": "%73edabcdef", "": "%", "per%cent": "per%25cent"}
SCRATCH_NAMES = {"tensors": [".tmp.x", "b.w~", "4913", "sedXXXXXX"], "npy": ["part.tmp", "bar", ".hidden.npy"],
                 "root": ["model.tmp", "copy.npy", "backup.json", ".swp"]}
INVALID_NAMES = ["%41", "bad%2f", "%"]
PLACES = {"root": "staging", "tensors": "staging/tensors", "npy": "staging/npy"}


class Mismatch(Exception):
    """The mount and the model in memory disagree."""


def read(path):
    """The bytes of a file, in as few calls as can be."""
    fd = os.open(path, os.O_RDONLY)
    try:
        pieces = []
        while piece := os.read(fd, 1 << 20):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(fd)


def content(size, seed):
    return random.Random(seed).randbytes(size)


def first_model(rng):
    shapes = {"a": ("I64", [5]), "b.w": ("BF16", [16, 32]), "layers.0.w": ("F16", [12, 10]), "layers.2.w": ("F16", [12, 10]),
              "layers.10.w": ("F16", [12, 10]), "lm_head": ("BF16", [16, 32]), "norm": ("F32", [33]), "flags": ("BOOL", [13]),
              "f4": ("F4", [10]), "empty": ("F32", [0, 3]), "big": ("U8", [rng.choice([9000, 70001, 200000])]), "x/y": ("F8_E4M3", [7, 3]),
              "": ("F64", []), LONG: ("U16", [40])}
    return {name: tensor(dtype, shape, seed) for seed, (name, (dtype, shape)) in enumerate(shapes.items())}


class Handle:
    def __init__(self, fd, entry, place, writable, append, frozen=None):
        self.fd, self.entry, self.place, self.writable, self.append = fd, entry, place, writable, append
        self.frozen = frozen  # bytes of a file of the read-only tree


class World:
    def __init__(self, directory, seed, options=()):
        self.directory, self.options = directory, options
        self.source = os.path.join(directory, "m.safetensors")
        self.mountpoint = os.path.join(directory, "mnt")
        os.makedirs(self.mountpoint, exist_ok=True)
        rng = random.Random(f"model {seed}")
        tensors, metadata = first_model(rng), rng.choice([None, {}, {"format": "pt"}, {"format": "pt", "a": "b"}])
        save(self.source, tensors, metadata)
        self.file_bytes = read(self.source)
        self.mount()
        names = dict(FILE_NAMES)
        names[LONG] = next(name for name in os.listdir(self.mountpoint + "/tensors") if name.startswith("long."))
        metadata, in_order = parse(self.file_bytes)
        self.model = Pending(Base(in_order, metadata), names)
        self.handles = {}
        self.documents = [read(self.mountpoint + "/metadata.json")]  # stale copies
        self.counts, self.spent = {}, {}

    # --- doing both ---

    def mount(self):
        self.m = Mount(self.source, self.mountpoint, *self.options)

    def path(self, place, name):
        return f"{self.mountpoint}/{PLACES[place]}/{name}"

    def both(self, what, real, model):
        """Runs the call and the model's; both results or both errors must be the same."""
        try:
            expected = ("ok", model())
        except Refused as refusal:
            expected = ("failed", str(refusal))
        try:
            found = ("ok", real())
        except OSError as error:
            found = ("failed", errno_name(error))
        if found[0] != expected[0] or (found[0] == "failed" and found[1] != expected[1]):
            raise Mismatch(f"{what}: {shown(found)}, expected {shown(expected)}")
        return found[0] == "ok", found[1], expected[1]

    def same(self, what, found, expected):
        if found == expected:
            return
        if isinstance(found, list):  # only what differs
            found, expected = [item for item in found if item not in expected], [item for item in expected if item not in found]
        if isinstance(found, dict):
            found, expected = ({key: value for key, value in one.items() if other.get(key) != value} for one, other in ((found, expected), (expected, found)))
        try:
            equal(found, expected, what)
        except AssertionError as error:
            raise Mismatch(str(error)) from None
        raise Mismatch(f"{what}: not in the same order, or not as often")

    def do(self, op):
        self.counts[op[0]] = self.counts.get(op[0], 0) + 1
        getattr(self, "op_" + op[0])(*op[1:])

    # --- handles ---

    def op_open(self, slot, place, name, access, append, truncate):
        if slot in self.handles:
            self.op_close(slot)
        if name == "metadata.json":
            return
        flags = {"r": os.O_RDONLY, "w": os.O_WRONLY, "rw": os.O_RDWR}[access] | (os.O_APPEND if append else 0) | (os.O_TRUNC if truncate else 0)

        def model():
            entry = self.model.find(place, name)
            if truncate:
                self.model.truncate(entry, place, 0)
            return entry
        ok, fd, entry = self.both(f"open {place}/{name}", lambda: os.open(self.path(place, name), flags), model)
        if ok:
            entry.handles += 1
            entry.writers += access != "r"
            self.handles[slot] = Handle(fd, entry, place, access != "r", append)

    def op_open_model(self, slot, view, name):
        """A file of the read-only tree: what it shows does not change while it is open."""
        if slot in self.handles:
            self.op_close(slot)
        base = self.model.base
        if view == "whole":
            path, frozen = self.m.whole, self.file_bytes
        elif name not in base.tensors:
            return
        else:
            dtype, shape, frozen = base.tensors[name]
            path = f"{self.mountpoint}/{view}/{self.model.file_names[name]}" + (".npy" if view == "npy" else "")
            if view == "npy":
                if dtype == "F4":
                    return
                frozen = npy_header(dtype, shape) + frozen
        self.handles[slot] = Handle(os.open(path, os.O_RDONLY), None, view, False, False, frozen)

    def op_close(self, slot):
        handle = self.handles.pop(slot, None)
        if not handle:
            return
        os.close(handle.fd)
        if handle.entry:
            handle.entry.handles -= 1
            if handle.writable:
                handle.entry.writers -= 1
                if not handle.entry.writers:
                    self.model.settle_draft(handle.entry)

    def shown_by(self, handle):
        return handle.frozen if handle.entry is None else self.model.view(handle.entry, handle.place)

    def op_pread(self, slot, offset, length):
        handle = self.handles.get(slot)
        if not handle:
            return

        def model():
            if handle.entry and handle.writable and not os.O_RDWR & self.flags_of(handle):
                raise Refused("EBADF")
            return self.shown_by(handle)[offset:offset + length]
        ok, found, expected = self.both("pread", lambda: os.pread(handle.fd, length, offset), model)
        if ok:
            self.same(f"pread of {length} at {offset}", found, expected)

    def flags_of(self, handle):
        import fcntl
        return fcntl.fcntl(handle.fd, fcntl.F_GETFL)

    def op_fstat(self, slot):
        handle = self.handles.get(slot)
        if not handle:
            return
        found = os.fstat(handle.fd)
        self.same("st_size by fstat", found.st_size, len(self.shown_by(handle)))
        if handle.entry:
            self.same("st_nlink", found.st_nlink, int(handle.entry.slot is not None))

    def op_pwrite(self, slot, offset, length, seed):
        handle = self.handles.get(slot)
        if not handle or not handle.entry:
            return
        data = content(length, seed)

        def model():
            if not handle.writable:
                raise Refused("EBADF")
            if data:
                self.model.write(handle.entry, handle.place, data, offset, handle.append)
            return length
        ok, found, expected = self.both("pwrite", lambda: os.pwrite(handle.fd, data, offset), model)
        if ok:
            self.same("count written", found, expected)

    def op_ftruncate(self, slot, size):
        handle = self.handles.get(slot)
        if not handle or not handle.entry:
            return

        def model():
            if not handle.writable:
                raise Refused("EINVAL")
            self.model.truncate(handle.entry, handle.place, size)
        self.both(f"ftruncate to {size}", lambda: os.ftruncate(handle.fd, size), model)

    def op_fallocate(self, slot, mode, offset, length):
        handle = self.handles.get(slot)
        if not handle or not handle.entry:
            return

        def real():
            if libc.fallocate(handle.fd, mode, ctypes.c_long(offset), ctypes.c_long(length)):
                raise OSError(ctypes.get_errno(), "")

        def model():
            if not handle.writable:
                raise Refused("EBADF")
            if mode & PUNCH_HOLE:
                raise Refused("EOPNOTSUPP")
            self.model.allocate(handle.entry, handle.place, offset, length, mode == KEEP_SIZE)
        self.both("fallocate", real, model)

    def op_fsync(self, slot):
        handle = self.handles.get(slot)
        if handle:
            os.fsync(handle.fd)

    def op_mmap(self, slot, offset, length, seed):
        handle = self.handles.get(slot)
        if not handle or not handle.entry or not handle.writable or handle.entry.retired or not self.flags_of(handle) & os.O_RDWR:
            return
        size = len(self.shown_by(handle))
        offset = max(offset, len(self.model.header(handle.entry, handle.place)))
        length = min(length, size - offset)
        if length <= 0:
            return
        data = content(length, seed)
        with mmap.mmap(handle.fd, size) as view:
            self.same("bytes through a mapping", view[:], self.shown_by(handle))
            view[offset:offset + length] = data
            view.flush()
        # the kernel writes whole pages, which count as written from where a write to that page begins
        self.model.write(handle.entry, handle.place, data, offset)

    # --- names ---

    def op_create(self, place, name, exclusive, mode):
        if name == "metadata.json":
            return
        flags = os.O_CREAT | os.O_WRONLY | (os.O_EXCL if exclusive else 0)

        def model():
            try:
                entry = self.model.find(place, name)
            except Refused:
                return self.model.create(place, name, mode)
            if exclusive:
                raise Refused("EEXIST")
            return entry
        ok, fd, entry = self.both(f"create {place}/{name}", lambda: os.open(self.path(place, name), flags, mode), model)
        if ok:
            os.close(fd)
            if not entry.writers:
                self.model.settle_draft(entry)

    def op_unlink(self, place, name):
        self.both(f"unlink {place}/{name}", lambda: os.unlink(self.path(place, name)), lambda: self.model.unlink(place, name))

    def op_rename(self, place, name, to_place, to_name, flag):
        if name == "metadata.json" and place == "root" and not self.model.document.staged and not self.model.document_gone:
            self.model.rendered = read(self.path("root", "metadata.json"))

        def real():
            if libc.renameat2(AT_FDCWD, self.path(place, name).encode(), AT_FDCWD, self.path(to_place, to_name).encode(), FLAGS[flag]):
                raise OSError(ctypes.get_errno(), "")
        self.both(f"rename {place}/{name} {to_place}/{to_name} {flag}", real,
                  lambda: self.model.rename(place, name, to_place, to_name, flag) and None)

    def op_truncate(self, place, name, size):
        if name == "metadata.json":
            return

        def model():
            entry = self.model.find(place, name)
            self.model.truncate(entry, place, size)
            if not entry.writers:
                self.model.settle_draft(entry)
        self.both(f"truncate {place}/{name} to {size}", lambda: os.truncate(self.path(place, name), size), model)

    def op_put(self, place, name, size, seed, pieces):
        """What `cat > FILE` does: O_CREAT | O_TRUNC, writes, close."""
        self.write_whole(place, name, content(size, seed), pieces)

    def write_whole(self, place, name, data, pieces):
        def model():
            try:
                entry = self.model.find(place, name)
            except Refused:
                entry = self.model.create(place, name, 0o644 & ~0o022)
            else:
                self.model.truncate(entry, place, 0)
            return entry
        ok, fd, entry = self.both(f"write of {place}/{name}",
                                  lambda: os.open(self.path(place, name), os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o644), model)
        if not ok:
            return
        entry.writers += 1
        step = max(1, -(-len(data) // pieces))
        try:
            for begin in range(0, len(data), step):
                piece = data[begin:begin + step]
                ok, _, _ = self.both("write", lambda: os.write(fd, piece), lambda: self.model.write(entry, place, piece, begin))
                if not ok:
                    break
        finally:
            os.close(fd)
        entry.writers -= 1
        if not entry.writers:
            self.model.settle_draft(entry)

    def op_append(self, place, name, size, seed):
        if name == "metadata.json":
            return
        data = content(size, seed)

        def model():
            entry = self.model.find(place, name)
            self.model.write(entry, place, data, 0, append=True)
            if not entry.writers:
                self.model.settle_draft(entry)

        def real():
            fd = os.open(self.path(place, name), os.O_WRONLY | os.O_APPEND)
            try:
                os.write(fd, data)
            finally:
                os.close(fd)
        self.both(f"append to {place}/{name}", real, model)

    def op_patch(self, place, name, offset, size, seed):
        """dd conv=notrunc"""
        if name == "metadata.json":
            return
        data = content(size, seed)

        def model():
            entry = self.model.find(place, name)
            failure = None
            try:
                self.model.write(entry, place, data, offset)
            except Refused as refusal:
                failure = refusal
            if not entry.writers:
                self.model.settle_draft(entry)
            if failure:
                raise failure

        def real():
            fd = os.open(self.path(place, name), os.O_WRONLY)
            try:
                os.pwrite(fd, data, offset)
            finally:
                os.close(fd)
        self.both(f"patch of {place}/{name} at {offset}", real, model)

    def op_copy(self, tree, place, name, to_place, to_name, offset, length, to_offset, keep):
        """copy_file_range(2): whole and into an emptied file, or a part of it with `keep`."""
        origin_place = place
        if name == "metadata.json" or to_name == "metadata.json" or (tree, place, name) == ("staging", to_place, to_name):
            return
        if tree == "model":
            known = self.model.base.tensors.get(self.model.names.get(name.removesuffix(".npy") if place == "npy" else name, "?"))
            if not known or (place == "npy" and known[0] == "F4"):
                return
            path = f"{self.mountpoint}/{place}/{name}"
            origin = self.model.names[name.removesuffix(".npy") if place == "npy" else name]
            data = (npy_header(*known[:2]) if place == "npy" else b"") + known[2]
        else:
            try:
                origin = self.model.find(place, name)
            except Refused:
                return
            path, data = self.path(place, name), self.model.view(origin, place)
            with contextlib.suppress(Refused):
                if self.model.find(to_place, to_name) is origin:
                    return
        from_fd = os.open(path, os.O_RDONLY)
        if isinstance(origin, str):
            declared_before = None
        else:
            origin.handles += 1
            declared_before = origin
        flags = os.O_RDWR | (0 if keep else os.O_CREAT | os.O_TRUNC)

        def model():
            try:
                entry = self.model.find(to_place, to_name)
            except Refused:
                if keep:
                    raise
                return self.model.create(to_place, to_name, 0o600)
            if not keep:
                self.model.truncate(entry, to_place, 0)
            return entry
        try:
            ok, fd, to = self.both(f"open for a copy of {path} to {to_place}/{to_name}",
                                   lambda: os.open(self.path(to_place, to_name), flags, 0o600), model)
            if ok:
                self.copy_open(from_fd, fd, to, to_place, origin, origin_place, data, offset, length, to_offset)
        finally:
            os.close(from_fd)
            if declared_before:
                declared_before.handles -= 1

    def copy_open(self, from_fd, fd, to, to_place, origin, origin_place, data, offset, length, to_offset):
        to.writers += 1
        to.handles += 1
        try:
            while length > 0 and offset < len(data):
                try:
                    count = os.copy_file_range(from_fd, fd, length, offset, to_offset)
                except OSError as error:
                    found = errno_name(error)
                    try:
                        self.model.copied(to, to_place, to_offset, data[offset:offset + length], origin, origin_place, offset, False)
                    except Refused as refusal:
                        self.same("errno of copy_file_range", found, str(refusal))
                        break
                    raise Mismatch(f"copy_file_range failed with {found}, expected success") from None
                expected = min(length, len(data) - offset)
                if not 0 < count <= expected:
                    raise Mismatch(f"copy_file_range copied {count} of {expected}")
                try:
                    self.model.copied(to, to_place, to_offset, data[offset:offset + count], origin, origin_place, offset, False)
                except Refused as refusal:
                    raise Mismatch(f"copy_file_range copied {count}, expected {refusal}") from None
                offset, to_offset, length = offset + count, to_offset + count, length - count
        finally:
            os.close(fd)
            to.writers -= 1
            to.handles -= 1
            if not to.writers:
                self.model.settle_draft(to)

    # --- declarations ---

    def op_setxattr(self, place, name, which, value):
        def model():
            self.model.set_xattr(self.model.find(place, name), which, value)
        self.both(f"setxattr {place}/{name} {which} {value}",
                  lambda: os.setxattr(self.path(place, name), "user.safetensors." + which, value.encode()), model)

    def op_removexattr(self, place, name, which):
        def model():
            entry = self.model.find(place, name)
            if entry is self.model.document:
                raise Refused("ENODATA")
            self.model.remove_xattr(entry, which)
        self.both(f"removexattr {place}/{name} {which}", lambda: os.removexattr(self.path(place, name), "user.safetensors." + which), model)

    def op_getxattr(self, place, name):
        if name == "metadata.json":
            return

        def real():
            path = self.path(place, name)
            return {key.removeprefix("user.safetensors."): os.getxattr(path, key).decode() for key in os.listxattr(path)}
        ok, found, expected = self.both("xattrs", real, lambda: self.model.shown_xattrs(self.model.find(place, name)))
        if ok:
            self.same(f"xattrs of {place}/{name}", found, expected)

    def op_chmod(self, place, name, mode):
        def model():
            self.model.find(place, name).mode = mode
        self.both(f"chmod {place}/{name}", lambda: os.chmod(self.path(place, name), mode), model)

    def op_utime(self, place, name, when):
        def model():
            self.model.find(place, name).mtime = when
        self.both(f"utimens {place}/{name}", lambda: os.utime(self.path(place, name), ns=(when, when)), model)

    def op_npy(self, place, name, dtype, shape, seed, order, big_endian, version, cut, pieces):
        """np.save(), perhaps not to its end."""
        size = byte_size(dtype, shape)
        data = content(size, seed)
        descr = Pending and npy_descr(dtype, big_endian)
        self.write_whole(place, name, (npy_header(dtype, shape, order, descr, version) + data)[:cut], pieces)

    # --- the document ---

    def op_document(self, text, how):
        """`text` written over staging/metadata.json: in place, by rename, or left open while it is read; "stale" for an old copy."""
        path = self.path("root", "metadata.json")
        data = self.documents[text % len(self.documents)] if isinstance(text, int) else text.encode("utf-8", "surrogateescape")
        model = self.model
        if how == "rename":
            self.write_whole("root", "model.tmp", data, 1)
            self.op_rename("root", "model.tmp", "root", "metadata.json", "")
            return
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        if model.document_gone:
            model.create_document(0o600)
        model.document.staged, model.document.data, model.document.source = True, bytearray(), None
        middle = len(data) // 2
        os.write(fd, data[:middle])
        self.same("the document as written so far", os.pread(fd, len(data) + 1, 0), data[:middle])
        os.write(fd, data[middle:])
        model.document.data = bytearray(data)
        if how == "open":
            self.same("the document as written", read(path), data)
        if how == "killed":
            self.end_hard(fd)
            return
        os.close(fd)
        model.settle_document()

    def op_document_emptied(self):
        """truncate(2) by name."""
        if self.model.document_gone:
            return
        os.truncate(self.path("root", "metadata.json"), 0)
        self.model.document.staged, self.model.document.data = True, bytearray()
        self.model.settle_document()

    def op_edit_document(self, edits, how):
        """What jq does: the document as it is, some members changed. `edits` is a list of (name, dtype, shape) and ("__metadata__", map)."""
        if self.model.document_gone or self.model.document.staged:
            return
        found = json.loads(read(self.path("root", "metadata.json")))
        for edit in edits:
            if edit[0] == "__metadata__":
                found["__metadata__"] = edit[1]
            else:
                member = {"dtype": edit[1], "shape": edit[2]}
                found[edit[0]] = {key: value for key, value in member.items() if value is not None}
        self.op_document(json.dumps(found), how)

    def op_keep_document(self):
        if not self.model.document.staged and not self.model.document_gone:
            self.documents = self.documents[-5:] + [read(self.path("root", "metadata.json"))]

    # --- looking ---

    def op_stat(self, place, name):
        def model():
            return self.model.find(place, name)
        ok, found, entry = self.both(f"stat {place}/{name}", lambda: os.stat(self.path(place, name)), model)
        if not ok:
            return
        shown_bytes = self.model.view(entry, place)
        if shown_bytes is not None:
            self.same(f"size of {place}/{name}", found.st_size, len(shown_bytes))
        if entry.staged and entry is not self.model.document:
            self.same(f"mode of {place}/{name}", oct(found.st_mode & 0o777), oct(entry.mode))
        if entry.staged and entry.mtime is not None and not (place == "npy" and entry.redeclared):
            self.same(f"mtime of {place}/{name}", found.st_mtime_ns, entry.mtime)

    def op_read(self, place, name):
        ok, found, entry = self.both(f"read {place}/{name}", lambda: read(self.path(place, name)), lambda: self.model.find(place, name))
        if not ok:
            return
        expected = self.model.view(entry, place)
        if expected is None:
            self.compare_document(found)
        else:
            self.same(f"bytes of {place}/{name}", found, expected)

    def op_list(self, place):
        names = os.listdir(self.path(place, ""))
        if place == "root":
            names = [name for name in names if name not in ("tensors", "npy", os.path.basename(self.source))]
        self.same(f"names in {place}", sorted(names), self.model.list(place))

    def compare_document(self, text):
        found = json.loads(text)
        self.same("__metadata__ of the document", found.pop("__metadata__", None), self.model.pending_metadata())
        expected = {name: (dtype, list(shape)) for name, (dtype, shape) in self.model.document_tensors().items()}
        self.same("the document", {name: (member["dtype"], member["shape"]) for name, member in found.items()}, expected)

    def op_status(self):
        status = self.m.status()
        staging = status["staging"]
        changes = sorted(((c["tensor"], c["kind"], c["from"], c["dtype"], c["shape"], c["size"]) for c in staging["changes"]), key=str)
        self.same("changes", changes, self.model.changes())
        self.same("scratch", sorted(staging["scratch"]), self.model.scratch())
        self.same("metadata_changed", staging["metadata_changed"], self.model.metadata_staged)
        problems = sorted(((p["tensor"], p["code"], p["severity"]) for p in staging["problems"] if p["code"] != "LayoutChanged"), key=str)
        self.same("problems", problems, self.model.problems() if self.model.has_changes() or self.model.has_declared() else [])
        self.same("generation", status["generation"], self.model.generation)

    def op_preview(self):
        errors = [p for p in self.model.problems(allow_empty=True) if p[2] == "error"]

        def model():
            if errors and self.model.has_changes():
                raise Refused("EINVAL")
        ok, found, _ = self.both("reading the preview", lambda: read(self.m.preview), model)
        if ok:
            self.compare_file(found)
        return found if ok else None

    def compare_file(self, data):
        metadata, tensors = parse(data)
        self.same("__metadata__ of the file", metadata, self.model.pending_metadata())
        self.same("tensors of the file", sorted(tensors), sorted(self.model.tensors()))
        for name, (dtype, shape, expected) in self.model.tensors().items():
            self.same(f"dtype and shape of {name!r} in the file", tensors[name][:2], (dtype, shape))
            self.same(f"bytes of {name!r} in the file", tensors[name][2], expected)

    def op_verify(self):
        for place in PLACES:
            self.op_list(place)
            for name in self.model.list(place):
                self.op_stat(place, name)
                self.op_read(place, name)
        for slot in self.handles:
            self.op_fstat(slot)
            self.op_pread(slot, 0, 1 << 20)
        self.op_status()
        self.op_preview()
        self.op_model_tree()

    def op_model_tree(self):
        top = self.mountpoint
        base = self.model.base
        self.same("the whole file", read(self.m.whole), self.file_bytes)
        self.same("the source", read(self.source), self.file_bytes)
        self.same("names in tensors/", sorted(os.listdir(top + "/tensors")), sorted(self.model.file_names[name] for name in base.tensors))
        for name, (dtype, shape, data) in base.tensors.items():
            self.same(f"tensors/{name}", read(f"{top}/tensors/{self.model.file_names[name]}"), data)
            if dtype != "F4":
                self.same(f"npy/{name}", read(f"{top}/npy/{self.model.file_names[name]}.npy"), npy_header(dtype, shape) + data)

    # --- the whole ---

    def op_fsyncdir(self, place):
        fd = os.open(self.path(place, ""), os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def op_check(self):
        self.same("check", self.m.control("check"), "EINVAL" if self.blocking() else 0)

    def blocking(self, allow_empty=False):
        if not self.model.has_changes() and self.model.base.tensors:
            return []
        return [problem for problem in self.model.problems(allow_empty) if problem[2] == "error"]

    def close_writers(self):
        for slot, handle in list(self.handles.items()):
            if handle.writable and handle.entry.slot and handle.entry.slot.key[0] in ("tensor", "hashed"):
                self.op_close(slot)

    def op_commit(self, layout, backup, allow_empty, with_writers):
        if not with_writers:
            self.close_writers()
        words = ["commit"] + ([f"--layout={layout}"] if layout else []) + (["--backup"] if backup else [])
        words += ["--allow-empty"] if allow_empty else []
        model = self.model
        nothing = not model.has_changes() and not layout
        if model.writers():
            self.same("commit while a tensor is written", self.m.control(" ".join(words)), "EBUSY")
            return
        if not nothing and [problem for problem in model.problems(allow_empty) if problem[2] == "error"]:
            self.same("commit with problems", self.m.control(" ".join(words)), "EINVAL")
            self.same("the source", read(self.source), self.file_bytes)
            return
        preview = None if layout else self.op_preview()
        before, canonical = self.file_bytes, model.canonical()
        self.same(" ".join(words), self.m.control(" ".join(words)), 0)
        after = read(self.source)
        if nothing:
            self.same("the source after a commit of nothing", after, before)
            return
        if preview is not None:
            self.same("the file and its preview", after, preview)
        self.compare_file(after)
        if layout == "canonical":
            self.same("the canonical file", after, canonical)
        if backup:
            self.same("the backup", read(self.source + "~"), before)
            os.unlink(self.source + "~")
        start = 8 + int.from_bytes(after[:8], "little")
        if layout and layout.startswith("align="):
            self.same("alignment of the data", start % int(layout[6:]), 0)
        metadata, tensors = parse(after)
        self.file_bytes = after
        model.committed(Base(tensors, metadata))
        self.same("what lies beside the source", [name for name in os.listdir(self.directory) if name not in ("m.safetensors", "mnt", ".m.safetensors.staging")], [])

    def op_official(self):
        if has_official():
            for name, found in official(self.source).items():
                dtype, shape, data = self.model.base.tensors[name]
                self.same(f"{name!r} by the official library", found, (dtype, list(shape), data))

    def op_discard(self, names):
        self.close_writers()
        if not names:
            self.model.discard_all()
            self.same("discard", self.m.control("discard"), 0)
            return
        words = " ".join('"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"' for name in names)
        try:
            self.model.discard(names)
            expected = 0
        except Refused as refusal:
            expected = str(refusal)
        except LookupError:
            return
        self.same(f"discard {words}", self.m.control("discard " + words), expected)

    def op_remount(self):
        for slot in list(self.handles):
            self.op_close(slot)
        self.m.umount()
        self.mount()
        self.model.remounted()

    def op_kill(self):
        self.end_hard()

    def end_hard(self, *more):
        """SIGKILL with everything open; the dead descriptors are closed, and the model is mounted again."""
        self.m.kill()
        for fd in [handle.fd for handle in self.handles.values()] + list(more):
            with contextlib.suppress(OSError):
                os.close(fd)
        for handle in self.handles.values():
            if handle.entry:
                handle.entry.writers = handle.entry.handles = 0
        self.handles.clear()
        self.mount()
        self.model.remounted()

    def end(self):
        for handle in self.handles.values():
            with contextlib.suppress(OSError):
                os.close(handle.fd)
        if os.path.ismount(self.mountpoint):
            run("fusermount3", "-u", "-z", self.mountpoint, code=None)


def npy_descr(dtype, big_endian):
    from pending import DESCRIPTIONS
    text = DESCRIPTIONS[dtype]
    return ">" + text[1:] if big_endian and text[0] == "<" and text[1] != "V" else text
