# SPDX-License-Identifier: Apache-2.0
# Also when the mount lies over the directory of its own source.
from wfs import *

requires("fuse")
os.mkdir("d")
wanted = save_small("d/m.safetensors")
for mountpoint in ("mnt", "d"):
    with Mount("d/m.safetensors", mountpoint):
        result = weightfs("ls", "--json", mountpoint)
        equal(sorted(line["name"] for line in result.json_lines()), sorted(wanted), mountpoint)
        contains(one_sentence(result.err), f"{mountpoint} stands for ", "m.safetensors")
        equal(weightfs("cat", mountpoint, "flags").out.encode("latin-1"), wanted["flags"][2], "cat")
