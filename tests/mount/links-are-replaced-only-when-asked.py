# SPDX-License-Identifier: Apache-2.0
from wfs import *

requires("fuse")
wanted = save_small("real.safetensors")
original = read("real.safetensors")
os.symlink("real.safetensors", "link.safetensors")


def stage(source, *options):
    m = Mount(source, "mnt", *options)
    write("mnt/staging/tensors/a", bytes(40))
    return m


with stage("link.safetensors") as m:
    contains(weightfs("commit", "mnt", code=3).err, "follow", "replace")
    equal(m.control("commit"), "EPERM", "commit of a symlink")
    equal((os.path.islink("link.safetensors"), read("real.safetensors")), (True, original), "after the refusal")
    m.umount("--discard")
with stage("link.safetensors", "--follow") as m:
    m.commit()
    equal((os.path.islink("link.safetensors"), parse("real.safetensors")[1]["a"][2]), (True, bytes(40)), "--follow")
write("real.safetensors", original)
with stage("link.safetensors", "--replace-link") as m:
    m.commit()
    equal((os.path.islink("link.safetensors"), read("real.safetensors"), parse("link.safetensors")[1]["a"][2]), (False, original, bytes(40)), "--replace-link")
    equal(m.status()["source"], os.path.abspath("link.safetensors"), "source after --replace-link")

# A hard link: replaced under this name, the message counts the others.
os.link("real.safetensors", "hard.safetensors")
with stage("real.safetensors") as m:
    result = m.commit()
    contains(result.out + result.err, "1 other")
    equal((read("hard.safetensors"), parse("real.safetensors")[1]["a"][2]), (original, bytes(40)), "hard link")

# A Hugging Face cache is never written to.
os.makedirs("hub/blobs")
os.makedirs("hub/snapshots/main")
blob = "hub/blobs/" + "0123456789abcdef" * 4
write(blob, original)
os.symlink("../../blobs/" + "0123456789abcdef" * 4, "hub/snapshots/main/m.safetensors")
for options in ([], ["--follow"]):
    mounted = weightfs("mount", *options, "hub/snapshots/main/m.safetensors", "mnt", code=None)
    if mounted.code == 0:
        with contextlib.suppress(OSError):  # staging may be read-only there
            write("mnt/staging/tensors/a", bytes(40))
            weightfs("commit", "mnt", code=3)
        weightfs("umount", "mnt")
    equal((read(blob), sorted(os.listdir("hub/blobs")), os.listdir("hub/snapshots/main")), (original, [os.path.basename(blob)], ["m.safetensors"]), "cache")

# -o output= edits a model of the cache into a file of one's own.
with Mount("hub/snapshots/main/m.safetensors", "mnt", "-o", "output=mine.safetensors") as m:
    write(m.staged("a"), bytes(40))
    m.commit()
equal((parse("mine.safetensors")[1]["a"][2], read(blob)), (bytes(40), original), "output")
equal(os.listdir("hub/snapshots/main"), ["m.safetensors"], "cache")
