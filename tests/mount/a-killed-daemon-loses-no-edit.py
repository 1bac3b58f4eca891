# SPDX-License-Identifier: Apache-2.0
# SIGKILL at any moment: what write(2), rename(2), unlink(2) answered is there at the next mount, which clears the dead one.
from wfs import *

requires("fuse")
import threading  # noqa: E402

wanted = save_small()
save("m.safetensors", wanted | {f"t{i}": tensor("U8", [64], i) for i in range(40)}, {"format": "pt"})

m = Mount("m.safetensors")
write(m.staged("a"), pattern(40, 50))
os.rename(m.staged("scalar"), m.staged("moved"))
os.unlink(m.staged("optimizer.m"))
write(m / "staging/metadata.json", b'{"__metadata__": {"k": "v"}}')
fd = os.open(m.staged("optimizer.v"), os.O_RDWR)  # open and never closed
os.pwrite(fd, b"unclosed", 16)
m.kill()
with raises("ENOTCONN", "ECONNABORTED"):
    os.stat("mnt/tensors/a")
with contextlib.suppress(OSError):
    os.close(fd)

m = Mount("m.safetensors")  # over the dead mount
equal(read(m.staged("a")), pattern(40, 50), "a")
equal(read(m.staged("moved")), wanted["scalar"][2], "moved")
equal(read(m.staged("optimizer.v"))[16:24], b"unclosed", "what an open handle wrote")
equal(sorted(m.changes()), ["a", "moved", "optimizer.m", "optimizer.v"], "changes")
equal(m.document()["__metadata__"], {"k": "v"}, "metadata")

# While a writer is at it: everything that was answered is there.
for round in range(5):
    acknowledged = {}
    stop = threading.Event()

    def worker():
        for i in range(10000):
            name, data = f"t{i % 40}", struct.pack("<IIII", round, i, i * 3, i * 5) * 4
            try:
                fd = os.open(m.staged(name), os.O_WRONLY)
                os.pwrite(fd, data, 0)
                acknowledged[name] = data
                os.close(fd)
            except OSError:
                return

    thread = threading.Thread(target=worker)
    thread.start()
    time.sleep(0.05 + 0.03 * round)
    m.kill()
    thread.join()
    equal(len(acknowledged) > 5, True, "the writer got going")
    m = Mount("m.safetensors")
    inexact = [name for name, data in acknowledged.items() if read(m.staged(name)) != data]
    # the write under way at the kill may have arrived without an answer
    equal(len(inexact) <= 1, True, f"acknowledged writes that differ: {inexact}")
    equal(m.errors(), [], "problems after a kill")

m.kill()
run("fusermount3", "-u", "-z", "mnt", code=None)

# Without a mount, the command line sees the same edits and commits them.
equal("moved" in weightfs("status", "m.safetensors").out, True, "status of the file")
weightfs("check", "m.safetensors")
weightfs("commit", "m.safetensors")
metadata, found = parse("m.safetensors")
equal((metadata, found["a"][2], found["moved"][2], "optimizer.m" in found), ({"k": "v"}, pattern(40, 50), wanted["scalar"][2], False), "committed")
for name, data in acknowledged.items():
    if name not in inexact:
        equal(found[name][2], data, name)
if has_official():
    same_tensors(official("m.safetensors"), found)
