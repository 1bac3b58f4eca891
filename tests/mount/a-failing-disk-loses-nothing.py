# SPDX-License-Identifier: Apache-2.0
# A full inode table, a quota, limits of file size and of open files, a disk that fails: a write into
# staging and a commit answer the errno, the exit code is 4, one sentence says what to do, the old file and the edits stay, and the
# commit succeeds when the cause is gone. What a file system cannot be made to do here is said at the end.
from wfs import *

requires("fuse", "root", "prlimit", "python:safetensors")
model = {"a": tensor("U8", [1000], 1), "big": tensor("U8", [3_000_000], 2)}
edited = dict(model, a=("U8", [1000], bytes(1000)))
not_done = []


def refused(m, errnos, *advice, path, readable=True):
    """A commit that fails so, by control and by the command; model and edits stay."""
    before, edits = readable and read(path), m.changes()
    answer = m.control("commit")
    equal(answer in errnos, True, f"errno of the commit: {answer}")
    result = weightfs("commit", m.directory, code=4)
    sentence = one_sentence(result.err)
    contains(sentence, os.path.basename(path))
    if "SpoolDamaged" not in sentence:  # which says what to do with the staged file
        contains(sentence, "nothing was changed", *(advice if answer in errnos[:1] else ()))
    equal(m.changes(), edits, "edits")
    if not readable:
        return
    equal(read(path) == before, True, "the model")
    equal([name for name in os.listdir(os.path.dirname(path)) if ".weightfs-" in name], [], "files left behind")


def succeeds(m, path, expected=edited):
    m.commit()
    judge(path, expected)


def come_back(path):
    """The disk is mounted anew: what was on it is there, the old model and the edit of `a`."""
    name = os.path.dirname(path)
    release(name)
    run("mount", "-o", "loop", f"{name}.img", name)
    judge(path, model)
    with Mount(path) as m:
        equal(list(m.changes()), ["a"], f"edits on {name}")
        succeeds(m, path)


def release(name):
    """umount, as soon as the daemon that used it has ended."""
    wait_for(lambda: run("umount", name, code=None).code == 0, f"the last use of {name}", 30)


def new_disk(name, size, make, *options):
    """A file system in a file, mounted at a directory of that name; None where that cannot be had."""
    with open(f"{name}.img", "wb") as image:
        image.truncate(size)
    os.mkdir(name)
    made = run(*make, f"{name}.img", code=None)
    if made.code == 0:
        made = run("mount", "-o", ",".join(("loop",) + options), f"{name}.img", name, code=None)
    if made.code:
        not_done.append(f"{name}: {made.err.strip().splitlines()[-1] if made.err.strip() else made.code}")
        return None
    save(f"{name}/m.safetensors", model)
    run("sync", "-f", f"{name}/m.safetensors")
    return f"{name}/m.safetensors"


# --- no inode is left ---
os.mkdir("inodes")
run("mount", "-t", "tmpfs", "-o", "size=32m,nr_inodes=40", "tmpfs", "inodes")
save("inodes/m.safetensors", model)


def fill():
    made = []
    with contextlib.suppress(OSError):
        for i in range(100):
            write(f"inodes/filler{i}", b"")
            made.append(f"inodes/filler{i}")
    return made


with Mount("inodes/m.safetensors") as mount:
    fillers = fill()
    with raises("ENOSPC"):  # there is no staging directory yet
        write(mount.staged("a"), bytes(1000))
    equal(mount.changes(), {}, "edits that were refused")
    equal(read(mount.staged("a")), model["a"][2], "what was not edited")
    for filler in fillers:
        os.unlink(filler)
    write(mount.staged("a"), bytes(1000))
    fillers = fill()
    refused(mount, ["ENOSPC"], "make room", path="inodes/m.safetensors")
    for filler in fillers:
        os.unlink(filler)
    succeeds(mount, "inodes/m.safetensors")
release("inodes")

# --- a quota ---
path = new_disk("quota", 160_000_000, ["mkfs.btrfs", "-q"])
limited = path and run("sh", "-c", "btrfs quota enable quota && btrfs qgroup limit 64M quota", code=None)
if path and limited.code:
    not_done.append(f"quota: {limited.err.strip()}")
elif path:
    with Mount(path) as mount:
        write(mount.staged("a"), bytes(1000))
        run("btrfs", "qgroup", "limit", "8M", "quota")
        run("dd", "if=/dev/urandom", "of=quota/filler", "bs=64K", "count=1000", "oflag=sync", code=None)
        with raises("EDQUOT"):
            write(mount.staged("huge"), os.urandom(1_000_000))
        with contextlib.suppress(OSError):  # whatever of it found room
            os.unlink(mount.staged("huge"))
        if "huge" in mount.changes():
            not_done.append("quota: there was room for a part, but none to remove it")
        elif mount.control("commit") == 0:
            not_done.append("quota: a commit by clones needed no room")
        else:
            refused(mount, ["EDQUOT"], "quota", path=path)
        run("btrfs", "quota", "disable", "quota", code=None)
        run("rm", "-f", "quota/filler")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(mount.staged("huge"))
        succeeds(mount, path)
if path:
    release("quota")

# --- the size of files and the number of open ones are limited ---
os.mkdir("limits")
save("limits/m.safetensors", model)
with Mount("limits/m.safetensors") as mount:
    write(mount.staged("a"), bytes(1000))
    pid = str(mount.pid())
    run("prlimit", "--pid", pid, "--fsize=1000000:unlimited")
    refused(mount, ["EFBIG"], "ulimit -f", path="limits/m.safetensors")
    run("prlimit", "--pid", pid, "--fsize=unlimited")
    run("prlimit", "--pid", pid, "--nofile=8:1024")
    refused(mount, ["EMFILE"], "ulimit -n", path="limits/m.safetensors")
    run("prlimit", "--pid", pid, "--nofile=1024:1024")
    succeeds(mount, "limits/m.safetensors")

# --- the disk fails: XFS is shut down, every call answers EIO ---
path = new_disk("broken", 350_000_000, ["mkfs.xfs", "-q"])
if path:
    mount = Mount(path)
    fd = os.open(mount.staged("a"), os.O_WRONLY)
    os.write(fd, bytes(1000))
    os.fsync(fd)
    os.close(fd)
    run("xfs_io", "-x", "-c", "shutdown -f", "broken")
    refused(mount, ["EIO"], path=path, readable=False)
    with raises("EIO"):
        write(mount.staged("big"), bytes(10))
    run("umount", "-l", "mnt")
    come_back(path)
    release("broken")

for reason in not_done:
    print(f"not done: {reason}")
