# SPDX-License-Identifier: Apache-2.0
# pack, repair and extract where there is no space, or a limit of the size of files: exit 4, one sentence, the old file as it was, nothing left behind.
from wfs import *

save("m.safetensors", {"x": tensor("U8", [3 << 20])})
weightfs("extract", "m.safetensors", "-C", "dir")
write("out", b"old")
for words in ("pack -f dir out", "pack --crc -f dir out", "repair -f m.safetensors out"):
    result = shell(f"ulimit -f 1024; $WEIGHTFS {words}", code=4)
    contains(one_sentence(result.err), "out: ", "File too large")
    equal(sorted(os.listdir()), ["dir", "m.safetensors", "out"], "files")
    equal(read("out"), b"old", "the old file")

requires("root", "mount")
os.mkdir("small")
if run("mount", "-t", "tmpfs", "-o", "size=1m", "none", "small", code=None).code:
    skip("no tmpfs can be mounted here")
write("small/out", b"old")
for words in (["pack", "-f", "dir", "small/out"], ["pack", "--crc", "-f", "dir", "small/out"], ["repair", "-f", "m.safetensors", "small/out"]):
    result = weightfs(*words, code=4)
    contains(one_sentence(result.err), "small/out", "No space left on device")
    equal(os.listdir("small"), ["out"], "files")
    equal(read("small/out"), b"old", "the old file")
contains(one_sentence(weightfs("extract", "m.safetensors", "-C", "small/dir", code=4).err), "No space left on device")
run("umount", "small")
