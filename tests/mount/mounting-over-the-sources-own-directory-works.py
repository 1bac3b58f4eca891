# SPDX-License-Identifier: Apache-2.0
# The mount hides the directory that holds the source: reading, staging, commit and umount go on below it.
from wfs import *

requires("fuse")
os.mkdir("model")
wanted = save_small("model/m.safetensors")
write("model/config.json", b"{}")

with Mount("model/m.safetensors", "model") as m:
    equal(read("model/m.safetensors"), build(wanted, {"format": "pt"}), "whole-file view")
    write(m.staged("a"), bytes(40))
    wanted["a"] = ("I64", [5], bytes(40))
    os.unlink(m.staged("flags"))
    del wanted["flags"]
    weightfs("status", "model")
    m.commit()
    same_tensors(parse("model/m.safetensors")[1], wanted)
    equal(read(m.tensor("a")), bytes(40), "a")
    write(m.staged("a"), pattern(40))
    equal(os.path.exists("model/config.json"), False, "the directory below is hidden")
judge("model/m.safetensors", wanted)
equal(sorted(os.listdir("model")), [".m.safetensors.staging", "config.json", "m.safetensors"], "files below")

with Mount("model/m.safetensors", "model") as m:
    equal(read(m.staged("a")), pattern(40), "resumed")
    m.umount("--commit")
wanted["a"] = ("I64", [5], pattern(40))
judge("model/m.safetensors", wanted)
equal(sorted(os.listdir("model")), ["config.json", "m.safetensors"], "files below, all committed")

# A dead mount hides the source from whoever mounts it again.
m = Mount("model/m.safetensors", "model")
write(m.staged("a"), bytes(40))
m.kill()
with Mount("model/m.safetensors", "model") as m:
    equal(read(m.staged("a")), bytes(40), "resumed after a kill")
    weightfs("discard", "model")

# From inside the directory, by a relative name, in the background.
shell("cd model && weightfs mount m.safetensors . && cat ../model/tensors/a >/dev/null && ls ../model/staging && cd .. && weightfs umount model")
