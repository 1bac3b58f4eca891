# SPDX-License-Identifier: Apache-2.0
# chattr +a of a directory lets names come that can never go: a commit would leave its hidden file there. chattr +i of the model, or of
# its directory, lets nobody replace it. A commit, a pack and a mount notice before they write a byte. Exit 3.
from wfs import *

requires("fuse", "root", "chattr")
os.mkdir("place")
wanted = save_small("place/m.safetensors")
MODEL = "place/m.safetensors"


@contextlib.contextmanager
def protected(path, flag):
    if run("chattr", f"+{flag}", path, code=None).code:
        skip(f"chattr +{flag} is not for this file system")
    try:
        yield
    finally:
        run("chattr", f"-{flag}", path)


def refuse(word, *command):
    before = sorted(os.listdir("place")), read(MODEL)
    contains(one_sentence(weightfs(*command, code=3).err), word)
    equal((sorted(os.listdir("place")), read(MODEL)), before, f"{' '.join(command)}: names, and the model")


with protected("place", "a"):  # nothing is staged where a staging directory could never go
    with Mount(MODEL) as m:
        with raises("EROFS"):
            write(m.staged("a"), bytes(40))
        contains(m.text(), "append-only", "staging=")
    equal(os.listdir("place"), ["m.safetensors"], "in the append-only directory")

with Mount(MODEL) as m:
    write(m.staged("a"), bytes(40))
    wanted["a"] = ("I64", [5], bytes(40))
    with protected("place", "a"):
        refuse("append-only", "commit", "mnt")
        equal(m.control("commit"), "EPERM", "control")
        contains(m.text(), "its directory is append-only")
    with protected("place", "i"):
        refuse("immutable", "commit", "mnt")
    for flag, word in ("i", "immutable"), ("a", "append-only"):
        with protected(MODEL, flag):
            refuse(word, "commit", "--backup", "mnt")
    equal(m.changes(), {"a": "replaced"}, "still staged")
    m.commit()
judge(MODEL, wanted)

weightfs("extract", MODEL, "-C", "plain")
for path, flag, word in ("place", "a", "append-only"), ("place", "i", "immutable"), (MODEL, "i", "immutable"):
    with protected(path, flag):
        refuse(word, "pack", "--force", "plain", MODEL)
weightfs("pack", "--force", "plain", MODEL)

# What only adds a file is none of this.
with protected("place", "a"):
    with Mount(MODEL, "mnt", "-o", "staging=edits,output=place/new.safetensors") as m:
        write(m.staged("a"), pattern(40))
        m.commit()
        write(m.staged("a"), bytes(40))
        refuse("append-only", "commit", "mnt")
        weightfs("discard", "mnt")
equal(sorted(os.listdir("place")), ["m.safetensors", "new.safetensors"], "in the append-only directory")
wanted["a"] = ("I64", [5], pattern(40))
judge("place/new.safetensors", wanted)
