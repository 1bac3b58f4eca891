# SPDX-License-Identifier: Apache-2.0
# Bytes of a path that are no UTF-8 stay what they are: every verb finds the file behind a mount, JSON writes them as Python does
# (\udcXX, a lone surrogate), and what a person reads has them escaped.
from wfs import *

requires("fuse")
NAME = "\udcff\\udcff \"q\" \u00e9\udcc3.safetensors"  # as Python has it: a byte ff, the same spelled out, a quote, an e acute, a byte c3
os.mkdir("\udcfe")
SOURCE = os.path.join(os.getcwd(), "\udcfe", NAME)
save_small(SOURCE)
SHOWN = "\\xfe/\\xff"

with Mount(SOURCE, "mnt") as m:
    equal(m.status()["source"], SOURCE, "source in status.json")
    equal(weightfs("status", "--json", "mnt").out.encode(), read(m / ".weightfs/status.json"), "status --json")
    for words in ("ls", "mnt"), ("inspect", "--json", "mnt"), ("verify", "mnt"), ("cat", "mnt", "a"):
        weightfs(*words)
    contains(weightfs("ls", "mnt").err, SHOWN)
    write(m.staged("a"), b"123")
    contains(weightfs("check", "mnt", code=1).err, "SizeMismatch", "\\xff")
    write(m.staged("a"), bytes(40))
    directory = m.status()["staging"]["directory"]
    equal(directory, os.path.join(os.path.dirname(SOURCE), f".{NAME}.staging"), "staging.directory")
    contains(m.umount().err, "\\xfe/.\\xff")
status = weightfs("status", "--json", SOURCE).json()
equal((status["source"], status["staging"]["directory"]), (SOURCE, directory), "without a mount")
weightfs("commit", SOURCE)
equal(parse(SOURCE)[1]["a"], ("I64", [5], bytes(40)), "committed")
