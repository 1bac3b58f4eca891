# SPDX-License-Identifier: Apache-2.0
# The kernel asks for the attributes of a report several times before somebody reads it: what took long to make is not made each time.
# And yet stat() tells the true size as soon as something was staged.
from wfs import *

requires("fuse")
COUNT = 8000


def seconds(function):
    begun = time.monotonic()
    function()
    return time.monotonic() - begun


def open_and_close():
    os.close(os.open(path, os.O_RDONLY))


save("m.safetensors", {f"layer.{i}.weight": ("U8", [1], b"x") for i in range(COUNT)})
with Mount("m.safetensors") as m:
    path = m / ".weightfs/status.json"
    for i in range(COUNT):
        os.rename(m.staged(f"layer.{i}.weight"), m.staged(f"block.{i}.weight"))
    open_and_close()
    opens = min(seconds(open_and_close) for _ in range(3))
    stats = min(seconds(lambda: os.stat(path)) for _ in range(3))
    print(f"open: {opens:.4f} s, stat: {stats:.4f} s")
    equal(stats < opens / 3, True, f"{stats} s is much less than {opens} s")
    for name in "block.1.weight", "block.2.weight":
        size = os.stat(path).st_size
        equal(size, len(read(path)), "size")
        os.unlink(m.staged(name))
        equal(os.stat(path).st_size != size, True, "the size changes with the next edit")
