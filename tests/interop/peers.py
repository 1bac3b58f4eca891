# SPDX-License-Identifier: Apache-2.0
"""What the tests of other readers and writers share: where scripts/peers installed them, and models to hand around."""
import random

from wfs import *

NAMES = ["a.b", "modèle.権重", "😀", "a/b\\c", 'quote"d', "tab\tnew\nline", " blank ", "%2F", "Ünï", ".hidden", "x" * 300]
METADATA = {"none": None, "one": {"format": "pt"}, "several": {"format": "pt", "ключ\n": 'v"\\é', "": ""}}


def peer(name):
    """Where scripts/peers installed it."""
    peers = os.environ.get("WEIGHTFS_PEERS", f"{os.environ['WEIGHTFS_SOURCE']}/build/peers")
    if os.path.exists(f"{peers}/{name}.missing"):
        skip(read(f"{peers}/{name}.missing").decode().strip())
    if not os.path.exists(f"{peers}/{name}"):
        skip(f"no {name} (scripts/peers)")
    return f"{peers}/{name}"


def sample(dtypes=DTYPES):
    """Every dtype with elements, without any and, where one fills whole bytes, as a scalar; names of all sorts."""
    tensors = {}
    for i, dtype in enumerate(dtypes):
        tensors[f"{dtype}.matrix"] = tensor(dtype, [4, 1, 6], i)
        tensors[f"{dtype}.empty"] = tensor(dtype, [3, 0, 2])
        if BITS[dtype] % 8 == 0:
            tensors[f"{dtype}.scalar"] = tensor(dtype, [], i + 50)
    for i, name in enumerate(NAMES):
        tensors[name] = tensor("U8", [i], i)
    for name, (dtype, shape, data) in tensors.items():
        if dtype == "BOOL":
            tensors[name] = dtype, shape, bytes(byte & 1 for byte in data)
    return tensors


def models(dtypes=DTYPES):
    """(what it is, tensors, metadata)."""
    for what, metadata in METADATA.items():
        yield f"metadata: {what}", sample(dtypes), metadata
    yield "no tensor", {}, None
    yield "a long header", {f"layer.{i}.{'w' * 240}": tensor("F32", [2], i) for i in range(400)}, {"format": "pt"}


def pack(path, tensors, metadata):
    """`path` as weightfs writes it: made anew, in canonical layout, from files of tensors in another order."""
    entries, data = {} if metadata is None else {"__metadata__": metadata}, b""
    names = sorted(tensors)
    random.Random(5).shuffle(names)
    for name in names:
        dtype, shape, content = tensors[name]
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    write("shuffled", frame(json.dumps(entries), data))
    weightfs("extract", "shuffled", "-C", "packed")
    weightfs("pack", "--layout", "canonical", "packed", path)
    shell("rm -r packed shuffled")


def entries_of(path):
    """{name: (dtype, shape, begin, end)} as the header has it."""
    data = read(path)
    header = json.loads(data[8:8 + struct.unpack("<Q", data[:8])[0]])
    return {name: (entry["dtype"], entry["shape"], *entry["data_offsets"]) for name, entry in header.items() if name != "__metadata__"}


def loads_here(path, tensors, metadata):
    """weightfs verifies and lists the file, and gives back its bytes from what it extracts."""
    contains(weightfs("verify", "--strict", path).out, f"ok, {len(tensors)} tensors")
    same_tensors(parse(path)[1], tensors)
    equal(parse(path)[0], metadata, "metadata")
    listed = weightfs("ls", "--json", path).json_lines()
    equal({entry["name"]: (entry["dtype"], entry["shape"], entry["begin"], entry["end"]) for entry in listed}, entries_of(path), "weightfs ls")
    weightfs("extract", path, "-C", "extracted")
    weightfs("pack", "extracted", "again")
    equal(read("again"), read(path), f"{path}, extracted and packed")
    shell("rm -r extracted again")
