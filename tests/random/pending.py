# SPDX-License-Identifier: Apache-2.0
"""The pending model in memory: what docs/staging.md says of staging/, a second time, without files, journal or kernel.

A `Pending` has the committed model (`base`) and, on top of it, slots: names with an entry (what an inode is), a last declaration, or
the note that the model's tensor was removed. Its methods are the operations; they change memory or raise Refused with an errno's name.
"""
import json

from wfs import BITS, DTYPES, build

MAGIC = b"\x93NUMPY"
DESCRIPTIONS = dict(BOOL="|b1", U8="|u1", I8="|i1", F8_E5M2="|V1", F8_E4M3="|V1", F8_E8M0="|V1", F8_E4M3FNUZ="|V1", F8_E5M2FNUZ="|V1",
                    I16="<i2", U16="<u2", F16="<f2", BF16="<V2", I32="<i4", U32="<u4", F32="<f4", C64="<c8", F64="<f8", I64="<i8",
                    U64="<u8")
ARRIVING = {text[1:]: dtype for dtype, text in DESCRIPTIONS.items() if text[1] != "V"}


class Refused(Exception):
    """An operation fails with this errno."""


class Declaration:
    """A dtype and a shape, each perhaps missing, and whose word it is."""

    def __init__(self, dtype=None, shape=None, by=None):
        self.dtype, self.shape, self.by = dtype, None if shape is None else tuple(shape), by

    def copy(self):
        return Declaration(self.dtype, self.shape, self.by)

    def same(self, other):
        return (self.dtype, self.shape) == (other.dtype, other.shape)

    def complete(self):
        return self.dtype is not None and self.shape is not None

    def empty(self):
        return self.dtype is None and self.shape is None

    def shown_in_npy(self):
        return self.complete() and self.dtype in DESCRIPTIONS

    def size(self):
        """Bytes, or the code of why there is no such number."""
        count = 1
        for dimension in self.shape:
            count *= dimension
            if count >= 1 << 64:
                return "ValidationOverflow"
        bits = count * BITS[self.dtype]
        if bits >= 1 << 64:
            return "ValidationOverflow"
        return bits // 8 if bits % 8 == 0 else "MisalignedSlice"


def npy_header(dtype, shape, fortran=False, descr=None, version=1):
    """NumPy's own: padded to 64 bytes, with room for the first dimension to grow."""
    digits = len(str(shape[0])) if shape else 21
    tuple_text = "(" + ", ".join(map(str, shape)) + (",)" if len(shape) == 1 else ")")
    text = f"{{'descr': '{descr or DESCRIPTIONS[dtype]}', 'fortran_order': {fortran}, 'shape': {tuple_text}, }}" + " " * (21 - digits)
    prefix = 8 + (2 if version == 1 else 4)
    size = prefix + len(text) + 1
    text += " " * (64 - size % 64) + "\n"
    return MAGIC + bytes([version, 0]) + len(text).to_bytes(prefix - 8, "little") + text.encode()


def npy_parse(data):
    """(data offset, dictionary), "short" when more bytes are needed, None for what is no .npy."""
    if data[:6] != MAGIC[:len(data[:6])]:
        return None
    if len(data) < 8:
        return "short"
    if data[6] not in (1, 2, 3) or data[7]:
        return None
    begin = 8 + (2 if data[6] == 1 else 4)
    if len(data) < begin:
        return "short"
    length = int.from_bytes(data[8:begin], "little")
    if length > 65536 - begin:
        return None
    if len(data) < begin + length:
        return "short"
    text = data[begin:begin + length].decode("latin-1")
    try:
        found = eval(text, {"__builtins__": {}})  # what this program wrote itself
        count = 1
        for dimension in found["shape"]:
            count *= dimension
            if count >= 1 << 60:  # has no size that a file could have
                return None
        return (begin + length, found) if set(found) == {"descr", "fortran_order", "shape"} else None
    except Exception:
        return None


def unfortran(data, shape, width):
    """Elements in Fortran order, put into C order."""
    strides, step = [], 1
    for dimension in shape:
        strides.append(step)
        step *= dimension
    places = [0]
    for dimension, stride in zip(shape, strides):
        places = [place + i * stride for place in places for i in range(dimension)]
    return b"".join(data[place * width:place * width + width] for place in places)


def fortran(data, shape, width):
    return unfortran(data, shape[::-1], width)


class Base:
    """A committed model: {name: (dtype, shape, bytes)} in file order, and its map or None."""

    def __init__(self, tensors, metadata):
        self.tensors = {name: (dtype, tuple(shape), bytes(data)) for name, (dtype, shape, data) in tensors.items()}
        self.metadata = metadata

    def declaration(self, name):
        dtype, shape, _ = self.tensors[name]
        return Declaration(dtype, shape, "model")


class Entry:
    def __init__(self, declared=None):
        self.declared = declared or Declaration()
        self.by_xattr = Declaration()
        self.data = bytearray()
        self.source = None  # (base, name): these are the first bytes of that tensor, in no file of their own
        self.origin = None
        self.draft = self.npy_view = self.from_npy = self.patched = False
        self.mode, self.mtime = 0o600, None  # the mtime that was asked for; None: not known
        self.redeclared = False
        self.slot = None
        self.staged = self.retired = False
        self.writers = self.handles = 0

    def data_begin(self):
        """Of a draft: where its elements begin; None: cannot be told."""
        parsed = npy_parse(bytes(self.data))
        return parsed[0] if isinstance(parsed, tuple) else None


class Slot:
    def __init__(self, key):
        self.key = key
        self.entry = None
        self.last = Declaration()
        self.removed = False

    def vacant(self):
        return not self.entry and not self.removed and self.last.empty()


MODEL_SPACES = ("tensor", "hashed")
SCRATCH = {"raw": "tensors/", "npy": "npy/", "root": ""}


class Pending:
    def __init__(self, base, file_names):
        self.base = base
        self.file_names = file_names  # {tensor name: file name}
        self.names = {file_name: name for name, file_name in file_names.items()}
        self.long_names = {name for name in file_names if len(name) > 251}
        self.layout = "keep"
        self.generation = 0
        self.rendered = b""  # the document as the mount renders it, given by whoever renames it away
        self.clear()

    def clear(self):
        self.slots = {}
        self.document = Entry()
        self.document_error = False
        self.document_gone = False  # for this process, until it or somebody else makes it anew
        self.metadata_staged = False
        self.metadata = None

    # --- names ---

    def key(self, place, file_name):
        if place == "root":
            return ("document", "") if file_name == "metadata.json" else ("root", file_name)
        stem = file_name
        if place == "npy":
            if not file_name.endswith(".npy"):
                return "npy", file_name
            stem = file_name[:-4]
        if stem.startswith(".") or stem.endswith("~") or stem == "4913" or (len(stem) == 9 and stem.startswith("sed")):
            return ("npy" if place == "npy" else "raw"), file_name
        if stem not in self.names:
            raise Refused("EINVAL")
        name = self.names[stem]
        if name in self.long_names and name not in self.base.tensors and ("tensor", name) not in self.slots:
            return "hashed", stem
        return "tensor", name

    def slot(self, key):
        if key not in self.slots:
            self.slots[key] = Slot(key)
        return self.slots[key]

    def tidy(self, slot):
        if slot.vacant():
            self.slots.pop(slot.key, None)

    def is_base(self, key):
        return key[0] == "tensor" and key[1] in self.base.tensors

    def entry_of(self, key):
        if key[0] == "document":
            return self.document
        slot = self.slots.get(key)
        if slot and slot.entry:
            return slot.entry
        if not (slot and slot.removed) and self.is_base(key):
            entry = Entry(self.base.declaration(key[1]))
            entry.data = bytearray(self.base.tensors[key[1]][2])
            entry.source = (self.base, key[1])
            entry.origin = key[1]
            self.link(entry, self.slot(key))
            return entry
        return None

    def link(self, entry, slot):
        slot.entry, entry.slot = entry, slot
        slot.removed = False
        slot.last = Declaration()

    def shows(self, entry, place):
        if entry is self.document:
            return place == "root"
        if not entry.slot:
            return False
        space = entry.slot.key[0]
        if space in MODEL_SPACES:
            return place == "tensors" or (place == "npy" and (entry.draft or entry.declared.shown_in_npy()))
        return place == {"raw": "tensors", "npy": "npy", "root": "root"}[space]

    def find(self, place, file_name):
        try:
            key = self.key(place, file_name)
        except Refused:
            raise Refused("ENOENT") from None
        if key[0] == "document" and self.document_gone:
            raise Refused("ENOENT")
        entry = self.entry_of(key)
        if not entry or not self.shows(entry, place):
            raise Refused("ENOENT")
        return entry

    def last_declaration(self, key):
        slot = self.slots.get(key)
        if slot and slot.entry:
            return slot.entry.declared.copy()
        if slot and not slot.last.empty():
            return slot.last.copy()
        return self.base.declaration(key[1]) if self.is_base(key) else Declaration()

    def is_clean(self, entry, key):
        if entry.draft or not entry.source or not self.is_base(key) or entry.source != (self.base, key[1]):
            return False
        dtype, shape, data = self.base.tensors[key[1]]
        return len(entry.data) == len(data) and entry.declared.same(Declaration(dtype, shape))

    def changed(self, entry):
        """Called when a state changed that the journal knows."""
        if entry is self.document:
            entry.staged = True
        elif entry.slot:
            entry.staged = not self.is_clean(entry, entry.slot.key)

    # --- views ---

    def header(self, entry, place):
        in_form = place == "npy" or (place == "root" and entry.npy_view)
        if in_form and not entry.draft and entry.declared.shown_in_npy():
            return npy_header(entry.declared.dtype, entry.declared.shape)
        return b""

    def shift(self, entry, place):
        """Of a draft seen as raw bytes: where they begin; None: nothing to see yet."""
        return entry.data_begin() if entry.draft and place != "npy" else 0

    def view(self, entry, place):
        """The bytes of a file; None for the document as it is rendered."""
        if entry is self.document and not entry.staged:
            return None
        shift = self.shift(entry, place)
        if shift is None:
            return b""
        return self.header(entry, place) + bytes(entry.data[shift:])

    def shown_xattrs(self, entry):
        shown = entry.by_xattr if entry.draft and not entry.by_xattr.empty() else entry.declared
        found = {}
        if shown.dtype is not None:
            found["dtype"] = shown.dtype
        if shown.shape is not None:
            found["shape"] = json.dumps(shown.shape, separators=(",", ":"))
        if entry.slot and entry.slot.key[0] == "tensor":
            found["name"] = entry.slot.key[1]
        return found

    def list(self, place):
        names = ["metadata.json"] if place == "root" else []
        ending = ".npy" if place == "npy" else ""
        for name, (dtype, _, _) in self.base.tensors.items():
            slot = self.slots.get(("tensor", name))
            if place != "root" and not (slot and (slot.entry or slot.removed)) and (place == "tensors" or dtype in DESCRIPTIONS):
                names.append(self.file_names[name] + ending)
        for slot in self.slots.values():
            if slot.entry and self.shows(slot.entry, place):
                if slot.key[0] == "tensor":
                    names.append(self.file_names[slot.key[1]] + ending)
                else:
                    names.append(slot.key[1] + (ending if slot.key[0] == "hashed" else ""))
        return sorted(names)

    # --- bytes ---

    def own_bytes(self, entry, keep):
        """The first change gives a file of its own."""
        if entry.source:
            entry.patched = keep > 0
            entry.source = None
        self.changed(entry)

    def write(self, entry, place, data, offset, append=False):
        """The end of what was written."""
        if entry.retired:
            raise Refused("ESTALE")
        header = self.header(entry, place)
        shift = self.shift(entry, place) if place == "tensors" else 0
        if shift is None:
            raise Refused("EINVAL")
        if append:
            offset = len(header) + len(entry.data) - shift
        end = offset + len(data)
        if offset < len(header):
            inside = data[:len(header) - offset]
            if header[offset:offset + len(inside)] != inside:
                raise Refused("EINVAL")
            data = data[len(inside):]
            offset += len(inside)
            if not data:
                return end
        if not data:
            return end
        self.own_bytes(entry, len(entry.data))
        begin = offset - len(header) + shift
        if begin > len(entry.data):
            entry.data.extend(bytes(begin - len(entry.data)))
        entry.data[begin:begin + len(data)] = data
        entry.mtime = None
        return end

    def truncate(self, entry, place, size):
        if size == 0 and place != "root" and (place == "npy") != entry.draft:
            if entry.retired:
                raise Refused("ESTALE")
            entry.data = bytearray()
            entry.source = None
            entry.by_xattr = Declaration()
            entry.draft = place == "npy"
            entry.from_npy = entry.patched = False
            entry.mtime = None
            self.changed(entry)
            return
        if entry.retired:
            raise Refused("ESTALE")
        if size == 0 and place == "root" and entry.npy_view:
            entry.npy_view = entry.from_npy = entry.patched = False
            entry.data, entry.source, entry.mtime = bytearray(), None, None
            self.changed(entry)
            return
        header = self.header(entry, place)
        shift = self.shift(entry, place) if place == "tensors" else 0
        if shift is None or size < len(header):
            raise Refused("EINVAL")
        self.resize(entry, size - len(header) + shift)

    def resize(self, entry, size):
        present = len(entry.data)
        if entry is self.document and not entry.staged:
            raise AssertionError("the rendered document is resized by its own operation")
        if size == present:
            return
        entry.mtime = None
        if entry.source and size < present:
            if size == 0:
                entry.patched = False
            del entry.data[size:]
            self.changed(entry)
            return
        self.own_bytes(entry, min(size, present))
        del entry.data[size:]
        entry.data.extend(bytes(size - len(entry.data)))
        if size == 0:
            entry.patched = False

    def allocate(self, entry, place, offset, length, keep_size):
        if entry.retired:
            raise Refused("ESTALE")
        header = self.header(entry, place)
        shift = self.shift(entry, place) if place == "tensors" else 0
        if shift is None:
            raise Refused("EINVAL")
        end = offset + length
        if end > len(header) + len(entry.data) - shift and not keep_size:
            self.resize(entry, end - len(header) + shift)

    def borrow(self, to, to_place, to_offset, count, origin, origin_place, offset, append):
        """copy_file_range() of `count` bytes from `offset`, from a staged entry or a tensor of the base by name. True: nothing was
        copied, it is a range of the model once more."""
        from_npy = origin_place == "npy"
        if append or (to_place == "npy") != from_npy or to is self.document:
            return False
        if isinstance(origin, Entry):
            if not origin.source or origin.draft or origin.source[0] is not self.base:
                return False
            name, total, declared = origin.source[1], len(origin.data), origin.declared
            header = len(self.header(origin, origin_place))
        else:
            name, declared = origin, self.base.declaration(origin)
            total = len(self.base.tensors[name][2])
            header = len(npy_header(declared.dtype, declared.shape)) if from_npy else 0
        end = offset + count
        if to_offset != offset or end <= offset or end < header:
            return False
        if offset == 0:
            if len(to.data):
                return False
        elif to.draft or not to.source or to.source != (self.base, name) or offset != header + len(to.data):
            return False
        if offset == 0:
            by = declared.by if isinstance(origin, Entry) else "copy"
            to.declared = Declaration(declared.dtype, declared.shape, by)
        to.data = bytearray(self.base.tensors[name][2][:min(end - header, total)])
        to.source = (self.base, name)
        to.draft = to.from_npy = to.patched = False
        to.mtime = None
        self.changed(to)
        return True

    def copied(self, to, to_place, to_offset, data, origin, origin_place, offset, append):
        """What follows from a copy_file_range() that copied `data`."""
        if not data:
            return
        if origin_place == "root":
            return self.write(to, to_place, data, to_offset, append)
        if self.borrow(to, to_place, to_offset, len(data), origin, origin_place, offset, append):
            return
        plain = not self.header(to, to_place) and not append and not (to.draft and to_place == "tensors") and to is not self.document
        if plain and isinstance(origin, Entry) and offset == 0 and to_offset == 0 and not len(to.data):
            if to_place != "npy" and origin_place != "npy" and origin.declared.complete():
                to.declared = Declaration(origin.declared.dtype, origin.declared.shape, "copy")
                self.changed(to)
        self.write(to, to_place, data, to_offset, append)

    # --- creating, removing, renaming ---

    def create(self, place, file_name, mode):
        """A name that was not seen before the call."""
        key = self.key(place, file_name)
        present = self.entry_of(key)
        if present:  # has no file in npy/, and gets one by arriving
            self.truncate(present, place, 0)
            return present
        entry = Entry(self.last_declaration(key) if key[0] in MODEL_SPACES else None)
        entry.draft = place == "npy"
        entry.mode = mode
        self.link(entry, self.slot(key))
        entry.staged = True
        return entry

    def create_document(self, mode):
        self.document.data = bytearray()
        self.document.source = None
        self.document.staged = True
        self.document.mode = mode
        self.document_gone = False
        return self.document

    def reset_document(self):
        self.document.staged = False
        self.document.data = bytearray()
        self.document.source = None
        self.document_error = False

    def name_gone(self, entry):
        slot = entry.slot
        slot.entry = entry.slot = None
        if slot.key[0] in MODEL_SPACES:
            slot.last = entry.declared.copy()
            slot.removed = self.is_base(slot.key)
        self.tidy(slot)

    def unlink(self, place, file_name):
        entry = self.find(place, file_name)
        if entry is self.document:
            self.reset_document()
            self.document_gone = True
            return
        self.name_gone(entry)
        entry.staged = False

    def moves(self, entry, from_place, to_place):
        """How draft and npy_view are after the move."""
        form = from_place == "npy" or entry.npy_view
        if from_place == to_place:
            return entry.draft, entry.npy_view
        if to_place == "npy":
            return (entry.draft if form else True), False
        if entry.draft:
            return False, entry.npy_view
        if form and to_place == "tensors":
            raise Refused("EINVAL")
        return entry.draft, form

    def rename(self, from_place, from_name, to_place, to_name, flag):
        entry = self.find(from_place, from_name)
        try:
            to_key = self.key(to_place, to_name)
        except Refused:
            raise Refused("ENOENT" if flag == "exchange" else "EINVAL") from None
        target = self.entry_of(to_key)
        visible = target is not None and self.shows(target, to_place) and not (to_key[0] == "document" and self.document_gone)
        if visible and flag == "noreplace":
            raise Refused("EEXIST")
        if flag == "exchange" and not visible:
            raise Refused("ENOENT")
        if visible and target is entry and (from_place == to_place):
            return
        if entry is self.document:
            return self.document_away(to_key, to_place, to_name, target, flag)
        from_key = entry.slot.key
        if from_key[0] in MODEL_SPACES and to_key[0] in MODEL_SPACES and from_place != to_place:
            raise Refused("EINVAL")
        if target and flag == "noreplace":
            raise Refused("EEXIST")
        if flag == "exchange":
            if to_key[0] == "document":
                raise Refused("EINVAL")
            return self.exchange(entry, from_place, target, to_place)
        if to_key[0] == "document":
            return self.onto_document(entry)
        moved = self.moves(entry, from_place, to_place)
        if to_key[0] in MODEL_SPACES and entry.declared.empty():
            declared = self.last_declaration(to_key)
        else:
            declared = entry.declared.copy()
        if target:
            target.slot.entry = None
            target.slot = None
            target.staged = False
        self.name_gone(entry)
        entry.draft, entry.npy_view = moved
        entry.declared = declared
        self.link(entry, self.slot(to_key))
        self.changed(entry)
        if not entry.writers:
            self.settle_draft(entry)

    def exchange(self, a, a_place, b, b_place):
        a_moved, b_moved = self.moves(a, a_place, b_place), self.moves(b, b_place, a_place)
        a_slot, b_slot = a.slot, b.slot
        a_declared = b.declared.copy() if a.declared.empty() and b_slot.key[0] in MODEL_SPACES else a.declared
        b_declared = a.declared.copy() if b.declared.empty() and a_slot.key[0] in MODEL_SPACES else b.declared
        (a.draft, a.npy_view), (b.draft, b.npy_view) = a_moved, b_moved
        a.declared, b.declared = a_declared, b_declared
        self.link(a, b_slot)
        self.link(b, a_slot)
        for entry in (a, b):
            self.changed(entry)
            if not entry.writers:
                self.settle_draft(entry)

    def onto_document(self, entry):
        if entry.npy_view or entry.draft:
            raise Refused("EINVAL")
        self.document.data = bytearray(entry.data)
        self.document.staged = True
        self.document.mode = entry.mode
        self.document_gone = False
        self.name_gone(entry)
        entry.staged = False
        self.settle_document()

    def document_away(self, to_key, to_place, to_name, target, flag):
        if flag == "exchange":
            raise Refused("EINVAL")
        if to_key[0] != "root":
            raise Refused("EINVAL")
        backup = target or self.create(to_place, to_name, 0o600)
        backup.npy_view = backup.draft = False
        backup.data = bytearray(self.document.data if self.document.staged else self.rendered)
        backup.source, backup.patched = None, False
        self.reset_document()
        self.document_gone = True
        return backup

    # --- declarations ---

    def set_xattr(self, entry, which, value):
        if entry.retired:
            raise Refused("ESTALE")
        if entry is self.document:
            raise Refused("EOPNOTSUPP")
        if which == "name":
            return self.learn_name(entry, value)
        if which == "dtype" and value is not None and value not in DTYPES:
            raise Refused("EINVAL")
        if which == "shape" and value is not None:
            try:
                value = tuple(json.loads(value))
            except ValueError:
                raise Refused("EINVAL") from None
        self.declare(entry, which, value)
        if entry.draft and not entry.writers:
            self.settle_draft(entry)

    def declare(self, entry, which, value):
        target = entry.by_xattr if entry.from_npy or entry.draft else entry.declared
        if getattr(target, which) == value:
            return
        setattr(target, which, value)
        target.by = "xattr"
        entry.redeclared = True
        self.changed(entry)

    def remove_xattr(self, entry, which):
        if entry.retired:
            raise Refused("ESTALE")
        if which == "name" or which not in self.shown_xattrs(entry):
            raise Refused("ENODATA")
        self.declare(entry, which, None)

    def learn_name(self, entry, name):
        if not entry.slot or entry.slot.key[0] != "hashed" or self.file_names.get(name) != entry.slot.key[1]:
            return
        hashed = entry.slot
        hashed.entry = entry.slot = None
        hashed.last = Declaration()
        self.tidy(hashed)
        if entry.declared.empty():
            entry.declared = self.last_declaration(("tensor", name))
        self.link(entry, self.slot(("tensor", name)))
        self.changed(entry)
        if entry.draft and not entry.writers:
            self.settle_draft(entry)

    def understand(self, entry):
        """(dtype, shape, elements) of a draft, or the code of why not."""
        parsed = npy_parse(bytes(entry.data))
        if parsed == "short":
            return "NpyIncomplete"
        if parsed is None:
            return "NpyInvalid"
        begin, found = parsed
        descr, shape = found["descr"], found["shape"]
        order, kind = (descr[0], descr[1:]) if descr[0] in "<>|=" else ("", descr)
        declared = entry.by_xattr.dtype or entry.declared.dtype
        if kind in ("V1", "V2"):
            width = int(kind[1])
            dtype = "BF16" if width == 2 else None
            if declared and BITS[declared] == width * 8:
                dtype = declared
            if not dtype:
                return "DtypeUndeclared"
        elif kind == "u2" and declared == "BF16":
            dtype, width = "BF16", 2
        elif kind in ARRIVING:
            dtype, width = ARRIVING[kind], BITS[ARRIVING[kind]] // 8
        else:
            return "NpyInvalid"
        count = 1
        for dimension in shape:
            count *= dimension
        elements = bytes(entry.data[begin:])
        if len(elements) != count * width:
            return "NpyIncomplete"
        if found["fortran_order"] and len(shape) > 1 and elements:
            elements = unfortran(elements, shape, width)
        if order == ">" and width > 1:
            swap = 4 if dtype == "C64" else width
            elements = b"".join(elements[i:i + swap][::-1] for i in range(0, len(elements), swap))
        return dtype, tuple(shape), elements

    def settle_draft(self, entry):
        if not entry.draft or not entry.slot or entry.retired or entry.slot.key[0] not in MODEL_SPACES:
            return
        found = self.understand(entry)
        if isinstance(found, str):
            return
        dtype, shape, elements = found
        if npy_header(dtype, shape) + elements != bytes(entry.data):
            entry.mtime = None  # it shows other bytes than were written
        entry.declared = Declaration(dtype, shape, "npy")
        entry.data = bytearray(elements)
        entry.source = None
        entry.draft, entry.from_npy = False, True
        self.changed(entry)

    def settle_document(self):
        text = bytes(self.document.data)
        if text.strip(b" \t\r\n"):
            try:
                wanted = read_document(text)
            except ValueError:
                self.document_error = True
                return
        else:
            wanted = {}
        metadata = wanted.pop("__metadata__", "absent")
        for name, (dtype, shape) in wanted.items():
            self.apply(name, dtype, shape)
        if metadata != "absent" and metadata != self.pending_metadata():
            self.metadata_staged = metadata != self.base.metadata
            self.metadata = metadata if self.metadata_staged else None
        self.reset_document()
        for slot in list(self.slots.values()):
            if slot.entry and slot.entry.draft and not slot.entry.writers:
                self.settle_draft(slot.entry)

    def apply(self, name, dtype, shape):
        key = ("tensor", name)
        present = self.last_declaration(key)
        wanted = Declaration(present.dtype if dtype is None else dtype, present.shape if shape is None else shape, "document")
        if wanted.same(present) or (self.is_base(key) and wanted.same(self.base.declaration(name))):
            return
        slot = self.slot(key)
        entry = None if slot.removed else self.entry_of(key)
        if entry:
            entry.declared = wanted
            entry.by_xattr = Declaration()
            self.changed(entry)
            entry.mtime = None
        else:
            slot.last = wanted

    def pending_metadata(self):
        return self.metadata if self.metadata_staged else self.base.metadata

    # --- what a commit would say ---

    def staged_slots(self):
        return [slot for slot in self.slots.values() if slot.key[0] in MODEL_SPACES and slot.entry and slot.entry.staged]

    def has_changes(self):
        return self.metadata_staged or self.document.staged or bool(self.staged_slots()) or any(slot.removed for slot in self.slots.values())

    def is_only_declared(self, slot):
        return not slot.entry and slot.key[0] == "tensor" and slot.last.by == "document" and not self.is_base(slot.key)

    def has_declared(self):
        return any(self.is_only_declared(slot) for slot in self.slots.values())

    def pending_tensors(self):
        """{name: entry or None for one that nobody touched}"""
        found = {}
        for name in self.base.tensors:
            slot = self.slots.get(("tensor", name))
            if not (slot and slot.removed):
                found[name] = slot.entry if slot and slot.entry and slot.entry.staged else None
        for slot in self.staged_slots():
            found[slot.key[1]] = slot.entry
        return found

    def tensors(self):
        """{name: (dtype, shape, bytes)} of a model without problems."""
        return {name: (entry.declared.dtype, list(entry.declared.shape), bytes(entry.data)) if entry else
                (self.base.tensors[name][0], list(self.base.tensors[name][1]), self.base.tensors[name][2])
                for name, entry in self.pending_tensors().items()}

    def document_tensors(self):
        """{name: (dtype, shape)} that metadata.json shows."""
        found = {}
        for name, entry in self.pending_tensors().items():
            if not entry:
                found[name] = self.base.tensors[name][:2]
            elif name != "__metadata__" and not entry.draft and entry.declared.complete() and isinstance(entry.declared.size(), int):
                found[name] = (entry.declared.dtype, entry.declared.shape)
        return found

    def problems(self, allow_empty=False):
        """{(tensor, code, severity)}"""
        found = []
        count = 0
        for name, entry in self.pending_tensors().items():
            codes, fits = self.problems_of(entry) if entry else ([], True)
            found += [(name, code, "warning" if code == "DtypeChanged" else "error") for code in codes]
            count += fits
        if self.document_error:
            found.append((None, "DocumentInvalid", "error"))
        if self.metadata_staged and self.metadata is not None and "format" not in self.metadata:
            found.append((None, "FormatKeyMissing", "warning"))
        for slot in self.slots.values():
            if self.is_only_declared(slot):
                found.append((slot.key[1], "TensorMissing", "warning"))
            if slot.entry and slot.key[0] in SCRATCH and slot.entry.origin is not None:
                before = self.slots.get(("tensor", slot.entry.origin))
                if before and before.removed:
                    found.append((slot.entry.origin, "ScratchFile", "warning"))
        if count == 0 and not allow_empty and not any(severity == "error" for _, _, severity in found):
            found.append((None, "NoTensors", "error"))
        return sorted(found, key=str)

    def problems_of(self, entry):
        """([codes], whether it has a place in the file)"""
        codes = []
        space, name = entry.slot.key
        if space == "hashed":
            codes.append("NameUnknown")
        if name == "__metadata__":
            codes.append("NameReserved")
        if entry.draft:
            found = self.understand(entry)
            return codes + [found if isinstance(found, str) else "NpyIncomplete"], False
        like_npy = not entry.source and not entry.from_npy and entry.data[:6] == MAGIC
        if not entry.declared.complete():
            return codes + ["NpyInTensors" if like_npy else "DtypeUndeclared"], False
        if entry.from_npy:
            said = Declaration(entry.by_xattr.dtype or entry.declared.dtype,
                               entry.declared.shape if entry.by_xattr.shape is None else entry.by_xattr.shape)
            if not said.same(entry.declared):
                codes.append("NpyConflict")
        if self.is_base(entry.slot.key) and self.base.tensors[name][0] != entry.declared.dtype:
            codes.append("DtypeChanged")
        size = entry.declared.size()
        if isinstance(size, str):
            return codes + [size], False
        if like_npy:
            codes.append("NpyInTensors")
        elif len(entry.data) != size:
            codes.append("SizeMismatch")
        return codes, True

    def changes(self):
        """[(tensor, kind, from, dtype, shape, size)] as status tells them."""
        renamed = {}
        for slot in self.staged_slots():
            if self.is_renamed(slot):
                renamed[slot.entry.origin] = slot
        found = []
        for slot in self.slots.values():
            if slot.key[0] not in MODEL_SPACES:
                continue
            entry = slot.entry
            if entry and entry.staged:
                kind = self.kind(slot)
                shape = None if entry.declared.shape is None else list(entry.declared.shape)
                size = len(self.view(entry, "tensors"))
                found.append((slot.key[1], kind, entry.origin if kind == "renamed" else None, entry.declared.dtype, shape, size))
            elif slot.removed and slot.key[1] not in renamed:
                dtype, shape, data = self.base.tensors[slot.key[1]]
                found.append((slot.key[1], "removed", None, dtype, list(shape), len(data)))
        return sorted(found, key=str)

    def is_renamed(self, slot):
        if slot.key[0] != "tensor" or slot.entry.origin is None or self.is_base(slot.key):
            return False
        origin = self.slots.get(("tensor", slot.entry.origin))
        return bool(origin and origin.removed)

    def kind(self, slot):
        entry = slot.entry
        if self.is_renamed(slot):
            return "renamed"
        if not self.is_base(slot.key):
            return "added"
        if entry.source == (self.base, slot.key[1]) and len(entry.data) == len(self.base.tensors[slot.key[1]][2]):
            return "declared"
        return "patched" if entry.patched else "replaced"

    def scratch(self):
        return sorted(SCRATCH[slot.key[0]] + slot.key[1] for slot in self.slots.values() if slot.key[0] in SCRATCH and slot.entry)

    def writers(self):
        entries = [slot.entry for slot in self.slots.values() if slot.key[0] in MODEL_SPACES and slot.entry] + [self.document]
        return any(entry.writers for entry in entries)

    # --- commit, discard, remount ---

    def retire(self, slot):
        entry = slot.entry
        entry.retired, entry.staged, entry.slot = True, False, None
        slot.entry = None

    def committed(self, base):
        """After a commit that made `base` of the pending model."""
        for slot in list(self.slots.values()):
            entry = slot.entry
            if entry and slot.key[0] in SCRATCH and entry.handles and not entry.source:
                continue  # an editor's, open
            slot.removed = False
            slot.last = Declaration()
            if entry and entry.staged:
                self.retire(slot)
            elif entry:
                entry.source = (base, slot.key[1])
            self.tidy(slot)
        self.reset_document()
        self.metadata_staged, self.metadata = False, None
        self.base = base
        self.generation += 1
        self.layout = "keep"

    def partner(self, slot):
        """The other name of a rename. Raises LookupError where there is more than one."""
        if slot.entry and slot.entry.origin is not None:
            other = self.slots.get(("tensor", slot.entry.origin))
            return other if other and other is not slot and other.removed else None
        if not slot.removed:
            return None
        others = [other for other in self.slots.values()
                  if other.entry and other.entry.staged and other.entry.origin == slot.key[1] and other is not slot]
        if len(others) > 1:
            raise LookupError
        return others[0] if others else None

    def discard(self, names):
        dropped = []
        document = False
        for name in names:
            found = False
            if name in ("metadata.json", "__metadata__"):
                found = self.metadata_staged or self.document.staged
                document = document or found
            for slot in list(self.slots.values()):
                droppable = slot.removed or (slot.entry and slot.entry.staged) or self.is_only_declared(slot)
                if droppable and slot.key[1] == name:
                    dropped += [slot, self.partner(slot)]
                    found = True
            if not found:
                raise Refused("ENOENT")
        for slot in {id(slot): slot for slot in dropped if slot}.values():
            slot.removed = False
            slot.last = Declaration()
            if slot.entry and slot.entry.staged:
                self.retire(slot)
            self.tidy(slot)
        if document:
            self.metadata_staged, self.metadata = False, None
            self.reset_document()

    def discard_all(self):
        for slot in list(self.slots.values()):
            slot.removed = False
            slot.last = Declaration()
            if slot.entry and slot.entry.staged:
                if slot.key[0] in SCRATCH and slot.entry.handles and not slot.entry.source:
                    continue
                self.retire(slot)
            self.tidy(slot)
        self.reset_document()
        self.metadata_staged, self.metadata = False, None

    def remounted(self):
        """Another process reads the journal; nobody has anything open."""
        for slot in list(self.slots.values()):
            if slot.entry and not slot.entry.staged:
                slot.entry.slot = slot.entry = None
                self.tidy(slot)
            elif slot.entry:
                slot.entry.writers = slot.entry.handles = 0
        self.document.writers = self.document.handles = 0
        self.document_gone = False
        self.layout = "keep"
        self.generation = 0
        if self.document.staged:
            self.settle_document()
        else:
            self.document.mode = 0o600
        for slot in list(self.slots.values()):
            if slot.entry:
                self.settle_draft(slot.entry)

    def canonical(self):
        return build(self.tensors(), self.pending_metadata())


def read_document(text):
    """{name: (dtype or None, shape or None)} and `__metadata__`. Raises ValueError for what is no document."""
    def unique(pairs):
        if len({key for key, _ in pairs}) != len(pairs):
            raise ValueError("a key twice")
        return dict(pairs)

    found = json.loads(text.decode(), object_pairs_hook=unique)
    if not isinstance(found, dict):
        raise ValueError("no object")
    wanted = {}
    for name, member in found.items():
        if name == "__metadata__":
            if member is not None and not (isinstance(member, dict) and all(isinstance(value, str) for value in member.values())):
                raise ValueError("a value that is no string")
            wanted[name] = member
            continue
        if not isinstance(member, dict) or member.get("dtype", "F32") not in DTYPES:
            raise ValueError("no entry")
        wanted[name] = (member.get("dtype"), member.get("shape"))
    return wanted
