# SPDX-License-Identifier: Apache-2.0
# With -o output= the commit replaces no source, and yet most of its bytes come from there.
from wfs import *

requires("fuse")
wanted = save_small()
out = os.path.abspath("out.safetensors")
with Mount("m.safetensors", "mnt", "-o", f"output={out}") as m:
    write(m.staged("a"), pattern(40, 3))
    with open("m.safetensors", "r+b") as file:
        file.seek(-50, os.SEEK_END)
        file.write(b"\xff" * 50)
    contains(m.commit(code=3).err, "changed")
    equal(os.path.exists(out), False, "the output exists")
    equal(m.control("commit"), "ESTALE", "errno of the control file")
    m.control("discard")

# Replaced by another file, the one that is open goes on being served, and may be committed from.
save("m.safetensors", wanted)
with Mount("m.safetensors", "mnt", "-o", f"output={out}") as m:
    write(m.staged("a"), pattern(40, 3))
    save("other", {"b": tensor("U8", [4])})
    os.rename("other", "m.safetensors")
    m.commit()
    judge(out, wanted | {"a": ("I64", [5], pattern(40, 3))})
