# SPDX-License-Identifier: Apache-2.0
# pack, repair and extract where there is no space: exit 4, one sentence, the old file as it was, nothing left behind.
from wfs import *

requires("root", "mount")
save("m.safetensors", {"x": tensor("U8", [3 << 20])})
weightfs("extract", "m.safetensors", "-C", "dir")
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
