# SPDX-License-Identifier: Apache-2.0
# Thousands of tensors of odd sizes, every second one replaced, so that the preview has thousands of parts: any read at any place
# gives the bytes that the commit writes.
from wfs import *

requires("fuse")
import random  # noqa: E402

COUNT = 3000
chance = random.Random(5)
wanted = {f"t{i:04}": tensor("U8", [chance.randrange(0, 700)], i) for i in range(COUNT)}
save("m.safetensors", wanted)
with Mount("m.safetensors") as m:
    equal(read(m.whole), read("m.safetensors"), "whole file")
    for i in range(0, COUNT, 2):
        data = pattern(len(wanted[f"t{i:04}"][2]), i + 7)
        if data:
            write(m.staged(f"t{i:04}"), data)
        wanted[f"t{i:04}"] = ("U8", [len(data)], data)
    expected = build(wanted)
    preview = read(m.preview)
    same_tensors(parse(preview)[1], wanted)
    fd = os.open(m.preview, os.O_RDONLY)
    for _ in range(400):
        at, length = chance.randrange(len(preview) + 100), chance.choice([1, 100, 4096, 100_000, 1 << 20])
        equal(os.pread(fd, length, at), preview[at:at + length], f"{length} bytes at {at}")
    os.close(fd)
    m.commit()
    equal(read("m.safetensors"), preview, "committed file")
    equal(sorted(parse(expected)[1]), sorted(wanted), "names")
