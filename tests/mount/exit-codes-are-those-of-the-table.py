# SPDX-License-Identifier: Apache-2.0
# docs/staging.md 9, row by row, for the command line; each refusal is one sentence on stderr that begins with `weightfs: `.
from wfs import *

requires("fuse")
save_small()
os.mkdir("mnt")


def refusal(code, *words, **more):
    result = weightfs(*words, code=code, **more)
    if code not in (0, 1):
        contains(one_sentence(result.err), "weightfs: ")
    return result


# 0: done, or nothing to do
for verb in ("status", "check", "commit", "discard"):
    refusal(0, verb, "m.safetensors")
weightfs("version")
weightfs("help")

# 2: usage, unknown command, unreadable or invalid input
refusal(2, "comit", "m.safetensors")
refusal(2, "commit", "--no-such-option", "m.safetensors")
refusal(2, "commit", "missing.safetensors")
refusal(2, "status", "missing.safetensors")
equal(weightfs("cat", "m.safetensors", "missing-tensor", code=None).code in (1, 2), True, "cat of a tensor that is not there")
write("garbage.safetensors", b"\xff" * 100)
for verb in ("ls", "inspect", "status", "check", "commit"):
    refusal(2, verb, "garbage.safetensors")
equal(weightfs("verify", "garbage.safetensors", code=1).code, 1, "a no of verify")
equal(weightfs("umount", "mnt", code=None).code in (2, 3), True, "umount of what is no mount")

with Mount("m.safetensors") as m:
    for verb in ("status", "check", "commit", "discard"):
        refusal(0, verb, "mnt")

    # 3: locked, a live mount
    write(m.staged("a"), bytes(40))
    os.mkdir("second")
    result = refusal(3, "mount", "m.safetensors", "second")
    contains(result.err, str(m.pid()), "mnt")
    for verb in ("check", "commit", "discard"):
        contains(refusal(3, verb, "m.safetensors").err, "mnt")
    weightfs("mount", "-o", "ro", "m.safetensors", "second")
    equal(read("second/tensors/a"), read("mnt/tensors/a"), "a second, read-only mount")
    with raises("EROFS"):
        write("second/staging/tensors/a", b"x")
    refusal(3, "commit", "second")
    weightfs("umount", "second")
    # 1: problems
    write(m.staged("bad"), b"1")
    refusal(1, "check", "mnt")
    refusal(1, "commit", "mnt")
    os.unlink(m.staged("bad"))
    # 3: source changed; --force lifts it
    os.utime("m.safetensors", ns=(5, 5))
    refusal(3, "commit", "mnt")
    m.commit("--force")
    equal(read(m.tensor("a")), bytes(40), "after --force")

# 3: target exists, links
refusal(3, "mount", "--create", "m.safetensors", "mnt")
write("out.safetensors", b"mine")
with Mount("m.safetensors", "mnt", "-o", "output=out.safetensors") as m:
    write(m.staged("a"), pattern(40))
    refusal(3, "commit", "mnt")
    equal(read("out.safetensors"), b"mine", "the file that existed")
    m.commit("--force")
    equal(parse("out.safetensors")[1]["a"][2], pattern(40), "output")
    equal(parse("m.safetensors")[1]["a"][2], bytes(40), "source")
    write(m.staged("a"), bytes(40))
    m.commit()  # the mount went on with its output
    equal(parse("out.safetensors")[1]["a"][2], bytes(40), "output, second commit")

# 3: a link stands in the way
os.symlink("m.safetensors", "link.safetensors")
with Mount("link.safetensors") as m:
    write(m.staged("a"), pattern(40))
    equal(m.control("commit"), "EPERM", "a symlink")
    refusal(3, "commit", "mnt")
    equal(m.control("comit"), "EOPNOTSUPP", "an unknown command")
    m.umount("--discard")

# 4: files may not be as large as the model would be
mounted = shell(f"ulimit -f 8; {os.environ['WEIGHTFS']} mount m.safetensors mnt")
m = Mount.__new__(Mount)
m.source, m.directory, m.result = "m.safetensors", "mnt", mounted
with m:
    write(m.staged("a"), pattern(40))
    equal(m.control("commit"), "EFBIG", "a limit on the size of files")
    contains(refusal(4, "commit", "mnt").err, "too large", "limit")
    with raises("EFBIG"):
        write(m.staged("large"), bytes(100_000))
    os.unlink(m.staged("large"))
    equal(m.changes(), {"a": "replaced"}, "edits")
contains(one_sentence(shell("ulimit -f 8; weightfs commit m.safetensors", code=4).err), "too large", "limit")
weightfs("commit", "m.safetensors")
equal(parse("m.safetensors")[1]["a"][2], pattern(40), "without the limit")
equal(sorted(name for name in os.listdir(".") if name.startswith(".")), [], "files left")
