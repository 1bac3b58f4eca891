# SPDX-License-Identifier: Apache-2.0
# safetensors.numpy.save_file and weightfs pack, from the same arrays: byte for byte, with at most one key of metadata (of more, the
# official library's order is random). And extract gives the arrays back.
from wfs import *

requires("python:safetensors", "python:numpy", "python:ml_dtypes")
import ml_dtypes
import numpy
from safetensors.numpy import load_file, save_file

random = numpy.random.default_rng(5)
DTYPES_HERE = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "C64": "<c8", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U64": "<u8",
               "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?", "BF16": ml_dtypes.bfloat16}
SHAPES = [(), (1,), (0,), (3, 0, 2), (7,), (2, 3), (1, 1, 1, 5), (13, 17)]

for round in range(30):
    arrays = {}
    for i in range(int(random.integers(0, 25))):
        dtype = numpy.dtype(list(DTYPES_HERE.values())[int(random.integers(len(DTYPES_HERE)))])
        shape = SHAPES[int(random.integers(len(SHAPES)))]
        count = int(numpy.prod(shape))
        raw = random.integers(0, 2 if dtype == "?" else 256, count * dtype.itemsize, dtype=numpy.uint8)
        name = "".join(chr(int(c)) for c in random.choice([0x61, 0x62, 0x2e, 0x2f, 0x5c, 0x22, 0x0a, 0xe9, 0x4e2d, 0x1f600, 0x7f, 0x01], int(random.integers(0, 9)))) + str(i % 7)
        arrays[name] = raw.view(dtype).reshape(shape)
    metadata = [None, {"format": "np"}, {"k\n\"": "v\\é"}][round % 3]
    if metadata is None or arrays:
        save_file(arrays, "official.safetensors", metadata=metadata)
    else:
        continue  # the official library writes an unreadable file for metadata without tensors
    for npy in ([], ["--npy"]):
        weightfs("extract", *npy, "official.safetensors", "-C", "dir")
        shell("rm -r dir/.weightfs")  # from the tensors alone
        weightfs("pack", "dir", "ours.safetensors")
        equal(read("ours.safetensors"), read("official.safetensors"), f"round {round}")
        loaded = load_file("ours.safetensors")
        equal({name: array.tobytes() for name, array in loaded.items()}, {name: array.tobytes() for name, array in arrays.items()}, "arrays")
        shell("rm -r dir ours.safetensors")

    # with checksums, and aligned, the official library still reads it
    weightfs("extract", "official.safetensors", "-C", "dir")
    for options in (["--crc"], ["--layout", "align=64"], ["--crc", "--layout", "align=4096"]):
        weightfs("pack", *options, "dir", "ours.safetensors")
        equal(sorted(load_file("ours.safetensors")), sorted(arrays), f"{options}")
        judge("ours.safetensors", official("official.safetensors"), metadata)
        os.unlink("ours.safetensors")
    shell("rm -r dir")
