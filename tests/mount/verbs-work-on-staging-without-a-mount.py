# SPDX-License-Identifier: Apache-2.0
# ls, inspect, cat, verify on a file; status, check, commit, discard on staging that an unmount left behind.
from wfs import *

requires("fuse")
wanted = save_small()
for name, (dtype, shape, data) in wanted.items():
    shell(f"weightfs cat m.safetensors {name} > out")
    equal(read("out"), data, f"cat {name}")
out = weightfs("ls", "m.safetensors").out
for name in wanted:
    contains(out, name)
equal(out.index("layers.2.w") < out.index("layers.10.w"), True, "natural order")
contains(weightfs("inspect", "m.safetensors").out, "12")
weightfs("verify", "m.safetensors")


def stage():
    with Mount("m.safetensors") as m:
        write(m.staged("a"), pattern(40, 60))
        os.rename(m.staged("scalar"), m.staged("moved"))
        os.unlink(m.staged("flags"))


stage()
out = weightfs("status", "m.safetensors").out
contains(out, "a", "moved", "scalar", "flags")
weightfs("check", "m.safetensors")
original = read("m.safetensors")
weightfs("discard", "m.safetensors", "a")
equal(sorted(c["tensor"] for c in weightfs("status", "--json", "m.safetensors").json()["staging"]["changes"]), ["flags", "moved"], "after discard a")
weightfs("discard", "m.safetensors")
equal((read("m.safetensors"), os.path.exists(".m.safetensors.staging")), (original, False), "after discard")

stage()
weightfs("commit", "m.safetensors")
edited = {name: value for name, value in wanted.items() if name not in ("scalar", "flags")}
edited |= {"a": ("I64", [5], pattern(40, 60)), "moved": wanted["scalar"]}
judge("m.safetensors", edited, {"format": "pt"})
equal(sorted(os.listdir(".")), ["m.safetensors", "mnt", "out"], "files left")

# The same verbs on the mount point and on the mounted file name.
with Mount("m.safetensors") as m:
    for verb in ("ls", "inspect", "verify"):
        weightfs(verb, "mnt/m.safetensors")
    contains(weightfs("ls", "mnt").out, "layers.2.w")
