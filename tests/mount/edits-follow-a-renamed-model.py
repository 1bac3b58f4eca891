# SPDX-License-Identifier: Apache-2.0
# Edits belong to the model, not to its name: after `mv` they are found under the new one, with one line that says so; never those of
# another model, of a file that is still there, or of one that somebody edits.
from wfs import *

requires("fuse")
wanted = save_small("old.safetensors")


def staged_anew(name):
    with Mount(name) as m:
        write(m.staged("a"), bytes(40))


def staging():
    return sorted(name for name in os.listdir(".") if name.endswith(".staging"))


staged_anew("old.safetensors")
os.rename("old.safetensors", "new.safetensors")
with Mount("new.safetensors") as m:
    contains(one_sentence(m.result.err), "resumed 1 staged change", "renamed meanwhile")
    contains(m.text(), "renamed meanwhile")
    equal((m.changes(), staging()), ({"a": "replaced"}, [".new.safetensors.staging"]), "edits")
with Mount("new.safetensors") as m:
    equal("renamed meanwhile" in m.result.err, False, "said once")

os.rename("new.safetensors", "newer.safetensors")  # without a mount
equal(weightfs("status", "--json", "newer.safetensors").json()["staging"]["changes"][0]["tensor"], "a", "status of the file")
weightfs("commit", "newer.safetensors")
equal((parse("newer.safetensors")[1]["a"][2], staging()), (bytes(40), []), "committed")

# Not those of a model that is another one now, and not of a file that is still there.
staged_anew("newer.safetensors")
run("cp", "-p", "newer.safetensors", "copy.safetensors")
for what in ("the file is still there", "the model is another one"):
    with Mount("copy.safetensors") as m:
        equal((m.result.err, m.changes()), ("", {}), what)
    os.utime("copy.safetensors", ns=(5, 5))
    if os.path.exists("newer.safetensors"):
        os.rename("newer.safetensors", "kept")
equal(staging(), [".newer.safetensors.staging"], "edits of the other")
os.rename("kept", "newer.safetensors")
weightfs("discard", "newer.safetensors")

# Not while somebody edits it.
os.mkdir("other")
with Mount("newer.safetensors") as m:
    write(m.staged("a"), pattern(40))
    os.rename("newer.safetensors", "moved.safetensors")
    with Mount("moved.safetensors", "other") as second:
        equal(second.changes(), {}, "edits in use")
    equal(m.changes(), {"a": "replaced"}, "the one who edits")
    os.rename("moved.safetensors", "newer.safetensors")
    m.commit()
equal(parse("newer.safetensors")[1]["a"][2], pattern(40), "committed")
