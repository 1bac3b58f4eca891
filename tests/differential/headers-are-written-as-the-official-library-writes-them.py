# SPDX-License-Identifier: Apache-2.0
"""The canonical header of 5,000 models is, byte for byte, the one that safetensors.serialize() makes."""
import ctypes
import os
import random
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.environ["WEIGHTFS_SOURCE"], "tests", "differential"))
sys.dont_write_bytecode = True
try:
    import safetensors
    from safetensors import TensorSpec
except ImportError:
    print("the Python package safetensors (0.8) is not installed")
    sys.exit(77)
from headers import DTYPES, Maker  # noqa: E402

PYTHON = {"BOOL": "bool", "U8": "uint8", "I8": "int8", "F8_E5M2": "float8_e5m2", "F8_E4M3": "float8_e4m3fn",
          "F8_E8M0": "float8_e8m0fnu", "F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E5M2FNUZ": "float8_e5m2fnuz", "I16": "int16",
          "U16": "uint16", "F16": "float16", "BF16": "bfloat16", "I32": "int32", "U32": "uint32", "F32": "float32",
          "C64": "complex64", "F64": "float64", "I64": "int64", "U64": "uint64", "F4": "float4_e2m1fn_x2"}

buffer = ctypes.create_string_buffer(4096)
maker = Maker(random.Random(3))


def official(tensors, metadata):
    specs = {}
    for name, dtype, shape, begin, end in tensors:
        dims = [int(d) for d in shape]
        if dtype == "F4":
            dims[-1] //= 2
        specs[name] = TensorSpec(dtype=PYTHON[dtype], shape=dims, data_ptr=ctypes.addressof(buffer), data_len=int(end) - int(begin))
    file = bytes(safetensors.serialize(specs, metadata))
    length = struct.unpack("<Q", file[:8])[0]
    return file[:8 + length]


def model():
    """A file in some guise, and the official bytes of its header."""
    while True:
        tensors, size, _ = maker.good()
        odd = any(t[1] not in PYTHON or (t[1] == "F4" and (not t[2] or int(t[2][-1]) % 2)) for t in tensors)
        if not odd:
            break
    members = [(maker.string(t[0]), maker.entry(t, extras=False)) for t in tensors]
    maker.random.shuffle(members)
    metadata = maker.random.choice([None, None, {maker.name(): maker.name()}, {} if tensors else None])
    if metadata is not None:
        text = "{" + ",".join(f"{maker.string(k)}:{maker.string(v)}" for k, v in metadata.items()) + "}"
        members.insert(maker.random.randrange(len(members) + 1), ('"__metadata__"', text))
    header = maker.text(members)
    return struct.pack("<Q", len(header)) + header + bytes(size), official(tensors, metadata)


assert set(PYTHON) <= set(DTYPES)
models = [model() for _ in range(5000)]
program = os.path.join(os.environ["WEIGHTFS_BUILD"], "tests", "differential", "rewrite")
out = subprocess.run([program], input=b"".join(struct.pack("<I", len(file)) + file for file, _ in models),
                     stdout=subprocess.PIPE, check=True).stdout
at = 0
for file, expected in models:
    size = struct.unpack("<I", out[at:at + 4])[0]
    written = out[at + 4:at + 4 + size]
    at += 4 + size
    assert written == expected, (file, written, expected)
assert at == len(out)
print(f"{len(models)} headers")
