# SPDX-License-Identifier: Apache-2.0
# The safetensors crate, without Python between: names, dtypes, shapes, offsets, checksums and metadata of what weightfs packs;
# and what its serialize_to_file writes is verified, listed, and given back byte for byte here.
from peers import *

crate = peer("crate")


def fnv1a(data):
    value = 0xcbf29ce484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 % 2**64
    return f"{value:016x}"


def text(word):
    return bytes.fromhex(word).decode()


def crate_reads(path, tensors, metadata, what):
    found, found_metadata = {}, {}
    for line in run(crate, "list", path).out.splitlines():
        kind, *words = line.split(" ")
        if kind == "meta":
            found_metadata[text(words[0])] = text(words[1])
        else:
            name, dtype, shape, begin, end, checksum = words
            found[text(name)] = dtype, [int(n) for n in shape.split("x") if n], int(begin), int(end), checksum
    expected = {name: (*entry, fnv1a(tensors[name][2])) for name, entry in entries_of(path).items()}
    equal(found, expected, what)
    equal(list(found), sorted(found, key=lambda name: found[name][2:4]), f"{what}: the order of the data")
    equal(found_metadata, metadata or {}, f"{what}: metadata")


for what, tensors, metadata in models():
    pack("ours", tensors, metadata)
    same_tensors(parse("ours")[1], tensors)
    crate_reads("ours", tensors, metadata, f"ours, {what}")
    loads_here("ours", tensors, metadata)

    save("source", tensors, metadata)
    run(crate, "copy", "source", "theirs")
    crate_reads("theirs", tensors, metadata, f"theirs, {what}")
    loads_here("theirs", tensors, metadata)
    if len(metadata or {}) <= 1:  # of more keys, the crate's order is random
        equal(read("ours"), read("theirs"), f"{what}: the same bytes")
    shell("rm ours theirs source")

# it reads what it is given
save("whole", sample())
write("cut", read("whole")[:-1])
contains(run(crate, "list", "cut", code=1).err, "file not fully covered")
