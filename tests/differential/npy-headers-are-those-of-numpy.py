# SPDX-License-Identifier: Apache-2.0
"""What NumPy reads we read alike, what it refuses we refuse, and what we write is byte for byte what it writes.

Allowed differences: NumPy knows types that safetensors has no dtype for, and spells of types that no file has; we take f1, an
ml_dtypes type that NumPy cannot read back.
"""
import io
import os
import random
import re
import struct
import subprocess
import sys
import warnings
from collections import Counter

try:
    import numpy as np
except ImportError:
    print("the Python package numpy is not installed")
    sys.exit(77)

RANDOM = random.Random(4)
warnings.simplefilter("ignore")
NAMES = {"|b1": "BOOL", "|u1": "U8", "|i1": "I8", "<u2": "U16", "<i2": "I16", "<f2": "F16", "<u4": "U32", "<i4": "I32",
         "<f4": "F32", "<u8": "U64", "<i8": "I64", "<f8": "F64", "<c8": "C64", "|V1": "V1", "|V2": "BF16"}
TYPES = ["<f4", ">f4", "=f4", "|f4", "f4", "<f2", "<f8", ">f8", "|b1", "?", "|u1", ">u1", "<u2", ">u2", "<i8", "<c8", ">c8", "<V2", "|V2",
         "|V1", "|V3", "<c16", "|O", "|S3", "<U3", "<M8[s]", "<f16", "<x4", "", "<", "<f1", "<f3", "f44", "<F4"]
VALUES = ["(2, 3)", "(2,3,)", "()", "(5,)", "(5)", "[2]", "(0, 7)", "(2L, 3L)", "(-1,)", "(1.0,)", "( 2 , 3 )", "(,)", "(02,)", "(2 3)", "(2,,3)",
          "(18446744073709551616,)", "(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)", "None", "2"]


def dictionary():
    quote = RANDOM.choice("''''\"")
    items = [f"{quote}descr{quote}: " + (RANDOM.choice(["[('a', '<f4')]", "'<f4'", "b'<f4'"]) if RANDOM.random() < 0.1 else f"'{RANDOM.choice(TYPES)}'"),
             f"{quote}fortran_order{quote}: " + RANDOM.choice(["False", "False", "True", "0", "false"]),
             f"{quote}shape{quote}: " + RANDOM.choice(VALUES[:4] if RANDOM.random() < 0.5 else VALUES)]
    if RANDOM.random() < 0.3:
        RANDOM.shuffle(items)
    if RANDOM.random() < 0.05:
        items.append("'x': 1")
    if RANDOM.random() < 0.05:
        items.pop()
    blank = RANDOM.choice(["", " ", "  "])
    return "{" + blank + ("," + blank).join(items) + RANDOM.choice(["", ",", ", "]) + "}" + RANDOM.choice(["", " ", "   \n", "\n", "x"] if RANDOM.random() < 0.1 else ["   \n", "\n"])


def file_of(text):
    version = RANDOM.choice([1, 1, 1, 2, 3])
    data = text.encode()
    size = struct.pack("<H" if version == 1 else "<I", len(data))
    return b"\x93NUMPY" + bytes([version, 0]) + size + data


def product(numbers):
    result = 1
    for number in numbers:
        result *= int(number)
    return result


def is_too_large(shape, item_size):
    """A zero does not help where the product, from left to right, is beyond 64 bits before it."""
    return any(product(shape[:i]) >= 2**64 for i in range(len(shape) + 1)) or product(shape) * item_size >= 2**63


def numpys(file):
    """(name, order, byte order, shape, offset, size) or None."""
    stream = io.BytesIO(file)
    try:
        version = np.lib.format.read_magic(stream)
        reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = reader(stream, max_header_size=100000)
    except Exception:
        return None
    if dtype.hasobject or dtype.names or dtype.subdtype:
        return None
    name = NAMES.get(dtype.newbyteorder("<").str if dtype.kind != "V" else dtype.str)
    size = product(shape) * dtype.itemsize
    if name is None or len(shape) > 64 or any(d < 0 for d in shape) or is_too_large(shape, dtype.itemsize):
        return None
    big = dtype.byteorder == ">"
    return name, "big" if big else "little", "F" if fortran and len(shape) > 1 else "C", "[" + ",".join(map(str, shape)) + "]", stream.tell(), size


def written(dtype, shape):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
    return stream.getvalue()


files = [file_of(dictionary()) for _ in range(20000)]
for _ in range(5000):
    file = bytearray(RANDOM.choice(files))
    at = RANDOM.randrange(8, len(file))
    file[at:at + RANDOM.randrange(2)] = bytes([RANDOM.choice(b"{}()'\",: <>|=fiuVL0129\n\\x")])
    files.append(bytes(file))
own = [(dtype, tuple(RANDOM.choice([0, 1, 7, 4096, 10**9]) for _ in range(RANDOM.choice([0, 1, 1, 2, 3, 5, 17, 30]))))
       for dtype in ["|b1", "|u1", "|i1", "<u2", "<i2", "<f2", "<u4", "<i4", "<f4", "<u8", "<i8", "<f8", "<c8", "<V2", "|V1"] for _ in range(40)]
own = [(dtype, shape) for dtype, shape in own if not is_too_large(shape, 8)]
ours = [written(dtype, shape) for dtype, shape in own]

program = os.path.join(os.environ["WEIGHTFS_BUILD"], "tests", "differential", "npy")
everything = files + ours
out = subprocess.run([program], input=b"".join(struct.pack("<I", len(f)) + f for f in everything), stdout=subprocess.PIPE, check=True)
lines = out.stdout.decode().split("\n")
assert lines.pop() == "" and len(lines) == len(everything)

counts, wrong = Counter(), 0
for file, line in zip(files, lines):
    they = numpys(file)
    found = re.fullmatch(r"ok (\S+) (\S+) (\S) (\S+) (\d+) (\d+) [0-9a-f]+", line)
    we = found and (found[1], found[2], found[3], found[4], int(found[5]), int(found[6]))
    counts["read" if we else "refused"] += 1
    if we == they or (we and we[0] == "F8_E5M2" and b"f1" in file):
        continue
    if not we and they and not re.search(rb"descr['\"]: '[<>=|]?(f|i|u|b|c|V|\?)\d*'", file):
        counts["spelt as no file has it"] += 1 # 'f', 'F4', b'<f4'
        continue
    wrong += 1
    if wrong <= 20:
        print(file, "\n   ours", we or line, "\n   NumPy's", they)
for expected, line in zip(ours, lines[len(files):]):
    assert line.rsplit(" ", 1)[1] == expected.hex(), (expected, line)
print(dict(counts), f"{len(ours)} headers written, {wrong} differences")
assert counts["read"] > 3000 and counts["refused"] > 3000
sys.exit(1 if wrong else 0)
