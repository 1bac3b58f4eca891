# SPDX-License-Identifier: Apache-2.0
from wfs import *

requires("fuse")
wanted = save_small()
original = read("m.safetensors")
os.mkdir("edits")

with Mount("m.safetensors", "mnt", "-o", "staging=edits/here") as m:
    write(m.staged("a"), bytes(40))
    equal(os.path.exists(".m.safetensors.staging"), False, "the usual place")
    equal(os.path.isdir("edits/here"), True, "the chosen place")
    equal(os.path.realpath(m.status()["staging"]["directory"]), os.path.realpath("edits/here"), "in status")
with Mount("m.safetensors", "mnt", "-o", "staging=edits/here") as m:
    equal(m.changes(), {"a": "replaced"}, "resumed")
    m.commit()
wanted["a"] = ("I64", [5], bytes(40))
judge("m.safetensors", wanted)

# Elsewhere: the source stays, the mount goes on with what was written.
os.mkdir("out")
before = read("m.safetensors")
with Mount("m.safetensors", "mnt", "-o", "output=out/new.safetensors") as m:
    os.unlink(m.staged("flags"))
    equal(os.path.isdir("out/.new.safetensors.staging"), True, "staging beside the output")
    m.commit()
    equal("flags" in os.listdir("mnt/tensors"), False, "the mount shows the output")
    equal(read("m.safetensors"), before, "source")
    del wanted["flags"]
    judge("out/new.safetensors", wanted)
    write(m.staged("a"), pattern(40))
    m.commit()
    wanted["a"] = ("I64", [5], pattern(40))
    judge("out/new.safetensors", wanted)
equal(sorted(os.listdir("out")), ["new.safetensors"], "files beside the output")

# An output below the mount point can never be reached.
equal(weightfs("mount", "-o", "output=mnt/x.safetensors", "m.safetensors", "mnt", code=None).code in (2, 3), True, "refused")
equal(os.path.ismount("mnt"), False, "mounted")

# Nor can staging: the daemon would ask itself, and what was there before would be hidden. Links are resolved first.
os.mkdir("mnt/edits")
os.symlink("mnt", "way")
os.symlink("mnt/tensors", "dangling")
for place in "mnt", "mnt/", "mnt/edits", "mnt/new", "way", "way/edits", "out/../mnt/edits", os.path.abspath("mnt/new"):
    told = one_sentence(weightfs("mount", "-o", f"staging={place}", "m.safetensors", "mnt", code=2).err)
    contains(told, os.path.realpath(place), os.path.realpath("mnt"))
    equal(os.path.ismount("mnt"), False, f"mounted with staging={place}")
contains(one_sentence(weightfs("mount", "-o", "staging=dangling", "m.safetensors", "mnt", code=2).err), "dangling")
for place in "", "/", "missing/edits":
    one_sentence(weightfs("mount", "-o", f"staging={place}", "m.safetensors", "mnt", code=2).err)
equal(os.listdir("mnt"), ["edits"], "below the mount point")
os.rmdir("mnt/edits")
with Mount("m.safetensors", "mnt", "-o", "staging=mnt-edits") as m:  # beside it, with a name that begins like its own
    write(m.staged("a"), bytes(40))
    equal(os.path.isdir("mnt-edits"), True, "staging beside the mount point")
    m.control("discard")

# A directory that is there: our own and empty is taken and closed to others; one with files of somebody, or somebody's, is refused.
os.mkdir("own")
os.chmod("own", 0o777)
with Mount("m.safetensors", "mnt", "-o", "staging=own") as m:
    write(m.staged("a"), bytes(40))
    equal(stat.S_IMODE(os.stat("own").st_mode), 0o700, "mode of an own directory")
    m.control("discard")
os.mkdir("used")
write("used/.gitignore", b"mine")
write("used/notes.txt", b"mine")
contains(one_sentence(weightfs("mount", "-o", "staging=used", "m.safetensors", "mnt", code=3).err), "notes.txt")
equal(sorted(os.listdir("used")), [".gitignore", "notes.txt"], "files of a foreign directory")
equal(read("used/.gitignore"), b"mine", "a foreign file")
if os.geteuid() == 0:
    os.mkdir("foreign")
    os.chown("foreign", 1234, 1234)
    os.chmod("foreign", 0o777)
    contains(one_sentence(weightfs("mount", "-o", "staging=foreign", "m.safetensors", "mnt", code=3).err), "1234")
    equal((os.listdir("foreign"), stat.S_IMODE(os.stat("foreign").st_mode)), ([], 0o777), "a foreign directory")
