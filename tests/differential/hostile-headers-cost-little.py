# SPDX-License-Identifier: Apache-2.0
"""Whatever a header holds, reading it takes at most three times its size and 16 MiB of memory, and time in proportion to it."""
import itertools
import os
import struct
import subprocess

LARGE = int(os.environ.get("WEIGHTFS_COST_SIZE", "24000000"))
SMALL = LARGE // 4
# Four times the bytes take about four times as long; what is quadratic takes sixteen times as long.
PROPORTION = 10
NOISE = 0.5 # seconds: what takes less is not looked at
BUILD = os.environ["WEIGHTFS_BUILD"]
PROGRAM = os.path.join(BUILD, "tests", "differential", "cost")
SANITIZED = b"__asan_init" in open(PROGRAM, "rb").read()
LETTERS = bytes(c for c in range(0x21, 0x7f) if c not in b'"\\')


def names(size, length_of_rest):
    """As many short names as fit when each costs that much besides."""
    used = 0
    for length in itertools.count(1):
        for name in itertools.product(LETTERS, repeat=length):
            used += length + length_of_rest
            if used > size:
                return
            yield bytes(name)


def tensors(entries):
    return b"{" + b",".join(b'"' + name + b'":' + entry for name, entry in entries) + b"}"


def metadata(pairs):
    return b'{"__metadata__":{' + b",".join(b'"' + key + b'":"' + value + b'"' for key, value in pairs) + b"}}"


EMPTY = b'["U8",[0],[0,0]]'
EMPTY_OBJECT = b'{"dtype":"U8","shape":[0],"data_offsets":[0,0]'
AT_ONE = b'["U8",[0],[1,1]]'


def cases(size):
    """(what, header, bytes of data, verdict), the header about `size` bytes long."""
    def filled(before, unit, behind):
        count = (size - len(before) - len(behind)) // len(unit)
        return before + (unit * count)[:-1] + behind

    yield "the shortest entries", tensors((name, EMPTY) for name in names(size, 20)), 0, "ok"
    yield "the shortest objects", tensors((name, EMPTY_OBJECT + b"}") for name in names(size, 51)), 0, "ok"
    yield "the shortest entries, to be sorted", tensors(itertools.chain(
        [(b"", b'["U8",[1],[0,1]]')], ((name, AT_ONE if i % 2 else EMPTY) for i, name in enumerate(names(size, 20))))), 1, "ok"
    yield "one name", b"{" + filled(b"", b'"":' + EMPTY + b",", b"") + b"}", 0, "DuplicateTensor"
    yield "a shape of ones", filled(b'{"a":{"dtype":"U8","data_offsets":[0,1],"shape":[', b"1,", b"]}}"), 1, "ok"
    yield "ignored arrays", filled(b'{"a":' + EMPTY_OBJECT + b',"x":[', b"[[]],", b"]}}"), 0, "ok"
    yield "ignored numbers", filled(b'{"a":' + EMPTY_OBJECT + b',"x":[', b"0,", b"]}}"), 0, "ok"
    yield "ignored objects", filled(b'{"a":' + EMPTY_OBJECT + b',"x":[', b'{"":{}},', b"]}}"), 0, "ok"
    yield "ignored depth", filled(b'{"a":' + EMPTY_OBJECT + b',"x":[', b"[" * 124 + b"]" * 124 + b",", b"]}}"), 0, "ok"
    yield "the shortest pairs", metadata((name, b"") for name in names(size, 6)), 0, "ok"
    yield "one key", b'{"__metadata__":{' + filled(b"", b'"":"",', b"") + b"}}", 0, "ok"
    yield "one value", metadata([(b"k", b"x" * (size - 100))]), 0, "ok"
    yield "a name of escapes", tensors([(b"\\u0000" * (size // 6 - 20), EMPTY)]), 0, "ok"
    yield "wrong at the end", filled(b'{"a":' + EMPTY_OBJECT + b',"x":[', b"0,", b"]}"), 0, "InvalidHeaderDeserialization"


def cost(what, header, data, expected):
    """(seconds of the processor, bytes of memory) that reading this header takes."""
    with open("hostile.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header + bytes(data))
    out = subprocess.run([PROGRAM, "hostile.safetensors"], check=True, stdout=subprocess.PIPE).stdout
    verdict, _, seconds, memory = out.decode().split()
    assert verdict == expected, (what, out)
    return float(seconds), int(memory)


worst = 0
for small, large in zip(cases(SMALL), cases(LARGE)):
    what, header = large[:2]
    seconds, memory = cost(*large)
    proportion = seconds / max(cost(*small)[0], NOISE / PROPORTION)
    ratio = (memory - 16 * 2**20) / len(header)
    worst = max(worst, ratio)
    print(f"{what}: {len(header)} bytes, {seconds:.2f} s, {proportion:.1f} x the time of a quarter, {memory / len(header):.2f} x memory")
    assert proportion < PROPORTION, what
    assert SANITIZED or ratio < 3, what
print(f"at most {worst:.2f} x and 16 MiB")
