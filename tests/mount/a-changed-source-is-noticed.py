# SPDX-License-Identifier: Apache-2.0
# Replaced by rename, or removed: the old file is served on. Modified or cut in place, by whatever call: ESTALE through every view and by
# every way of reading, never wrong bytes. A line in status tells. Edits are never mixed in.
import mmap
import zlib

from wfs import *

requires("fuse")
wanted = save_small()
big = tensor("U8", [1 << 20], 3)
save("m.safetensors", wanted | {"big": big}, {"format": "pt"})
original = read("m.safetensors")
CHANGED, REPLACED = "the model file was changed in place", "the model file was removed, or replaced by another"


def sent(fd):
    """All of a file as sendfile(2) gives it."""
    with open("sent", "wb") as out:
        while os.sendfile(out.fileno(), fd, out.tell(), 1 << 20):
            out.seek(0, os.SEEK_END)
    return read("sent")


def mapped(fd):
    """All of a file through a mapping, touched in a process of its own; ESTALE for SIGBUS."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        with mmap.mmap(fd, 0, prot=mmap.PROT_READ) as view:
            os.write(theirs, bytes(zlib.crc32(view).to_bytes(4, "little")))
        os._exit(0)
    os.close(theirs)
    found = os.read(ours, 4)
    os.close(ours)
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGBUS:
        raise OSError(errno.ESTALE, "SIGBUS")
    return found


def is_stale(fd):
    try:
        os.pread(fd, 1 << 20, 0)
        return False
    except OSError as error:
        return error.errno == errno.ESTALE


VIEWS = ["tensors/big", "tensors/a", "npy/big.npy", "metadata.json", "m.safetensors", "staging/tensors/big", "staging/npy/big.npy",
         "staging/m.safetensors"]
WAYS = {"pread": lambda fd: os.pread(fd, 1 << 24, 0), "a little": lambda fd: os.pread(fd, 10, 20), "sendfile": sent, "mmap": mapped}


def cut():
    os.truncate("m.safetensors", len(original) // 2)


def appended():
    append("m.safetensors", b"x")


def overwritten():
    with open("m.safetensors", "r+b") as f:
        f.seek(-(1 << 20), os.SEEK_END)
        f.write(bytes(1000))


def stored_through_a_mapping():
    with open("m.safetensors", "r+b") as f, mmap.mmap(f.fileno(), 0) as view:
        view[-1000:] = bytes(1000)


for change_it in (cut, appended, overwritten, stored_through_a_mapping):
    for cached in (False, True):
        what = f"{change_it.__name__}, {'cached' if cached else 'not cached'}"
        write("m.safetensors", original)
        with Mount("m.safetensors", "mnt", "-o", "no_passthrough") as m:
            equal(CHANGED in m.text() or REPLACED in m.text(), False, f"{what}: a line in status before")
            files = {view: os.open(m / view, os.O_RDONLY) for view in VIEWS}
            for view, fd in files.items():
                os.pread(fd, 1 << 24, 0)
                if not cached:
                    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            time.sleep(0.02)
            change_it()
            if cached:  # pages that were cached are dropped soon
                wait_for(lambda: CHANGED in m.text(), f"{what}: a line in status", 20)
                for view, fd in files.items():
                    wait_for(lambda: is_stale(fd), f"{what}: ESTALE from {view}", 20)
            for view, fd in files.items():
                for way, function in WAYS.items():
                    print(f"{what}: {way} of {view}")
                    with raises("ESTALE"):
                        function(fd)
            for view in VIEWS[:5]:
                print(f"{what}: opening {view}")
                with raises("ESTALE"):
                    os.open(m / view, os.O_RDONLY)
            contains(m.text(), CHANGED)
            for fd in files.values():
                os.close(fd)

write("m.safetensors", original)
with Mount("m.safetensors", "mnt", "-o", "no_passthrough") as m:  # cached and open, changed without an event: found out all the same
    fd = os.open(m.tensor("big"), os.O_RDONLY)
    equal(os.pread(fd, 1 << 20, 0), big[2])
    time.sleep(0.02)
    stored_through_a_mapping()
    wait_for(lambda: is_stale(fd), "ESTALE from an open file", 10)
    os.close(fd)

write("m.safetensors", original)
with Mount("m.safetensors") as m:  # removed; and a commit, which replaces the file as well, is nobody else
    write(m.staged("a"), bytes(40))
    m.commit()
    m.status()
    equal(REPLACED in m.text(), False, "a line in status about an own commit")
    write(m.staged("a"), wanted["a"][2])
    m.commit()
    os.unlink("m.safetensors")
    wait_for(lambda: REPLACED in m.text(), "a line in status")
    equal(read(m.tensor("big")), big[2], "big after the file was removed")

write("m.safetensors", original)
with Mount("m.safetensors") as m:  # replaced
    write(m.staged("a"), bytes(40))
    save("other.safetensors", {"x": tensor("U8", [4])})
    os.rename("other.safetensors", "m.safetensors")
    equal(read(m.tensor("big")), big[2], "big after the file was replaced")
    equal(m.control("commit"), "ESTALE", "commit")
    weightfs("commit", "mnt", code=3)
    equal(parse("m.safetensors")[1]["x"][2], pattern(4), "the other's file")
    equal(m.changes(), {"a": "replaced"}, "edits kept")
    wait_for(lambda: REPLACED in m.text(), "a line in status")
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
