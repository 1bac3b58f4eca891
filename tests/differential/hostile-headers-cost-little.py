# SPDX-License-Identifier: Apache-2.0
"""Whatever a header holds, reading it takes at most three times its size and 16 MiB of memory, and time in proportion to it."""
import itertools
import os
import struct
import subprocess
import sys

SIZE = int(os.environ.get("WEIGHTFS_COST_SIZE", "24000000"))
BUILD = os.environ["WEIGHTFS_BUILD"]
SANITIZED = b"__asan_init" in open(os.path.join(BUILD, "tests", "differential", "cost"), "rb").read()
LETTERS = bytes(c for c in range(0x21, 0x7f) if c not in b'"\\')
SECONDS_PER_BYTE = 150e-9 # what is quadratic takes minutes


def names(length_of_rest):
    """As many short names as fit when each costs that much besides."""
    size = 0
    for length in itertools.count(1):
        for name in itertools.product(LETTERS, repeat=length):
            size += length + length_of_rest
            if size > SIZE:
                return
            yield bytes(name)


def filled(before, unit, behind):
    """`unit` as often as it fits."""
    count = (SIZE - len(before) - len(behind)) // len(unit)
    return before + (unit * count)[:-1] + behind


def tensors(entries):
    return b"{" + b",".join(b'"' + name + b'":' + entry for name, entry in entries) + b"}"


def metadata(pairs):
    return b'{"__metadata__":{' + b",".join(b'"' + key + b'":"' + value + b'"' for key, value in pairs) + b"}}"


EMPTY = b'["U8",[0],[0,0]]'
EMPTY_OBJECT = b'{"dtype":"U8","shape":[0],"data_offsets":[0,0]'
AT_ONE = b'["U8",[0],[1,1]]'


def cases():
    yield "the shortest entries", tensors((name, EMPTY) for name in names(20)), 0, "ok"
    yield "the shortest objects", tensors((name, EMPTY_OBJECT + b"}") for name in names(51)), 0, "ok"
    yield "the shortest entries, to be sorted", tensors(itertools.chain(
        [(b"", b'["U8",[1],[0,1]]')], ((name, AT_ONE if i % 2 else EMPTY) for i, name in enumerate(names(20))))), 1, "ok"
    yield "one name", b"{" + filled(b"", b'"":' + EMPTY + b",", b"") + b"}", 0, "DuplicateTensor"
    yield "a shape of ones", filled(b'{"a":{"dtype":"U8","data_offsets":[0,1],"shape":[', b"1,", b"]}}"), 1, "ok"
    yield "ignored arrays", filled(b'{"a":' + EMPTY_OBJECT + b',"x":[', b"[[]],", b"]}}"), 0, "ok"
    yield "ignored numbers", filled(b'{"a":' + EMPTY_OBJECT + b',"x":[', b"0,", b"]}}"), 0, "ok"
    yield "ignored objects", filled(b'{"a":' + EMPTY_OBJECT + b',"x":[', b'{"":{}},', b"]}}"), 0, "ok"
    yield "ignored depth", filled(b'{"a":' + EMPTY_OBJECT + b',"x":[', b"[" * 124 + b"]" * 124 + b",", b"]}}"), 0, "ok"
    yield "the shortest pairs", metadata((name, b"") for name in names(6)), 0, "ok"
    yield "one key", b'{"__metadata__":{' + filled(b"", b'"":"",', b"") + b"}}", 0, "ok"
    yield "one value", metadata([(b"k", b"x" * (SIZE - 100))]), 0, "ok"
    yield "a name of escapes", tensors([(b"\\u0000" * (SIZE // 6 - 20), EMPTY)]), 0, "ok"
    yield "wrong at the end", filled(b'{"a":' + EMPTY_OBJECT + b',"x":[', b"0,", b"]}"), 0, "InvalidHeaderDeserialization"


worst = 0
for what, header, data, expected in cases():
    with open("hostile.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header + bytes(data))
    out = subprocess.run([os.path.join(BUILD, "tests", "differential", "cost"), "hostile.safetensors"], check=True, stdout=subprocess.PIPE).stdout
    verdict, _, processor, memory = out.decode().split()
    ratio = (int(memory) - 16 * 2**20) / len(header)
    worst = max(worst, ratio)
    print(f"{what}: {verdict}, {len(header)} bytes, {float(processor):.2f} s, {int(memory) / len(header):.2f} x memory")
    assert verdict == expected, (what, out)
    assert float(processor) < SECONDS_PER_BYTE * len(header) * (5 if SANITIZED else 1), what
    assert SANITIZED or ratio < 3, what
print(f"at most {worst:.2f} x and 16 MiB")
