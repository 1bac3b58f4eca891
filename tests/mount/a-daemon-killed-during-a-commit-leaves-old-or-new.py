# SPDX-License-Identifier: Apache-2.0
# SIGKILL at many moments of a commit: the model is the old one or the new one, whole; the next mount keeps the edits of the old
# one and knows that those of the new one are done; nothing else lies about.
from wfs import *

requires("fuse")
SIZE = 12_000_000
old = {"a": tensor("U8", [64], 1), "big": tensor("U8", [SIZE], 2), "gone": tensor("U8", [9], 3)}
new = {"a": ("U8", [64], bytes(64)), "big": old["big"], "copy": old["big"]}
original = build(old, {"format": "pt"})
outcomes = {"old": 0, "new": 0}
expected = None
delay = 0.0

for round in range(24):
    write("m.safetensors", original)
    m = Mount("m.safetensors")
    write(m.staged("a"), bytes(64))
    shell("cp mnt/staging/tensors/big mnt/staging/tensors/copy")
    os.unlink(m.staged("gone"))
    if expected is None:
        expected = read(m.preview)
        same_tensors(parse(expected)[1], new)
    pid = m.pid()
    began = time.monotonic()
    if round == 0:  # how long is a commit?
        equal(m.control("commit"), 0, "commit")
        delay = (time.monotonic() - began) / 20
        m.umount()
        equal(read("m.safetensors"), expected, "committed")
        continue
    equal(m.control("commit-start"), 0, "commit-start")
    time.sleep(delay * (round - 1))
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: has_ended(pid), "the daemon's end")

    found = read("m.safetensors")
    equal(found in (original, expected), True, "old or new, whole")
    m = Mount("m.safetensors")
    if found == original:
        outcomes["old"] += 1
        equal(m.changes(), {"a": "replaced", "copy": "added", "gone": "removed"}, "edits kept")
        equal(read(m.preview), expected, "preview of the edits kept")
        m.commit()
    else:
        outcomes["new"] += 1
        equal(m.changes(), {}, "edits of a commit that is done")
    equal(read("m.safetensors"), expected, "in the end")
    m.umount()
    equal(sorted(os.listdir(".")), ["m.safetensors", "mnt"], "files left")
print(outcomes)
