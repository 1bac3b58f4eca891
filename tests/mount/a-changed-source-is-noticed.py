# SPDX-License-Identifier: Apache-2.0
# Replaced by rename: the old file is served on. Modified or cut in place: ESTALE, never wrong bytes. Edits are never mixed in.
from wfs import *

requires("fuse")
wanted = save_small()
big = tensor("U8", [1 << 20], 3)
save("m.safetensors", wanted | {"big": big}, {"format": "pt"})
original = read("m.safetensors")

with Mount("m.safetensors") as m:  # replaced
    write(m.staged("a"), bytes(40))
    save("other.safetensors", {"x": tensor("U8", [4])})
    os.rename("other.safetensors", "m.safetensors")
    equal(read(m.tensor("big")), big[2], "big after the file was replaced")
    equal(m.control("commit"), "ESTALE", "commit")
    weightfs("commit", "mnt", code=3)
    equal(parse("m.safetensors")[1]["x"][2], pattern(4), "the other's file")
    equal(m.changes(), {"a": "replaced"}, "edits kept")
result = weightfs("mount", "m.safetensors", "mnt", code=3)  # edits made against another version are never mixed in
contains(result.err, "--discard-staging")
equal(os.path.ismount("mnt"), False, "mounted")
with Mount("m.safetensors", "mnt", "--discard-staging") as m:
    equal((m.changes(), os.listdir("mnt/tensors")), ({}, ["x"]), "after --discard-staging")

write("m.safetensors", original)
with Mount("m.safetensors") as m:  # cut
    os.truncate("m.safetensors", len(original) // 2)
    for name in ("big", "a"):
        with raises("ESTALE"):
            read(m.tensor(name))
    with raises("ESTALE"):
        read(m.whole)
    equal(m.control("commit") in ("ESTALE", 0), True, "commit")

write("m.safetensors", original)
with Mount("m.safetensors") as m:  # modified in place
    time.sleep(0.01)
    with open("m.safetensors", "r+b") as f:
        f.seek(len(original) - 10)
        f.write(b"X")
    with raises("ESTALE"):
        read(m.tensor("big"))

# A touch of mode, links or times of access is no change.
write("m.safetensors", original)
with Mount("m.safetensors") as m:
    write(m.staged("a"), bytes(40))
    os.chmod("m.safetensors", 0o640)
    os.link("m.safetensors", "second-name")
    os.unlink("second-name")
os.rename("m.safetensors", "moved.safetensors")
os.rename(".m.safetensors.staging", ".moved.safetensors.staging")
with Mount("moved.safetensors") as m:
    equal(m.changes(), {"a": "replaced"}, "edits of a moved model")
    m.commit()
equal(parse("moved.safetensors")[1]["a"][2], bytes(40), "committed")
