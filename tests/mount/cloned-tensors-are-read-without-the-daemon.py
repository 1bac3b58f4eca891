# SPDX-License-Identifier: Apache-2.0
# Kernel passthrough of tensors: on file systems that share blocks, a tensor that begins at a whole block is read from a clone.
# That a read does without the daemon shows when the daemon is stopped meanwhile.
import mmap
import resource

from wfs import *

requires("fuse", "root")
KIB, MIB = 1 << 10, 1 << 20
SIZES = {"even": 8 * MIB, "odd": MIB + 1, "other": 4 * MIB, "tiny": 100}  # in this order in the file


def save_aligned(path):
    """A file whose data begin at a whole block; returns {name: bytes}."""
    data = {name: pattern(size, seed) for seed, (name, size) in enumerate(SIZES.items())}
    entries, offset = {}, 0
    for name, content in data.items():
        entries[name] = {"dtype": "U8", "shape": [len(content)], "data_offsets": [offset, offset + len(content)]}
        offset += len(content)
    header = json.dumps(entries).encode()
    write(path, frame(header + b" " * (-(8 + len(header)) % 4096), b"".join(data.values())))
    evict(path)
    return data


def evict(path):
    """Out of the page cache: what is there is cloned when it is opened for the second time only."""
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def assert_read_by_the_kernel(m, name, content, expected):
    """Whether an open tensor can be read while the daemon stands still is as expected; its bytes are right either way."""
    child = subprocess.Popen([sys.executable, "-c", "import os, sys; fd = os.open(sys.argv[1], os.O_RDONLY); print(flush=True); input()\n"
                              "sys.stdout.buffer.write(os.pread(fd, 1 << 24, 0))", m.tensor(name)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdout.readline()
    pid = m.pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        data, _ = child.communicate(b"\n", timeout=30 if expected else 1)
        equal(data, content, name)
        equal(True, expected, f"{name} is read without the daemon")
    except subprocess.TimeoutExpired:
        equal(False, expected, f"{name} is read without the daemon")
    finally:
        os.kill(pid, signal.SIGCONT)
        if child.returncode is None:
            equal(child.communicate()[0], content, name)


def used(directory):
    run("sync", "--file-system", directory)
    facts = os.statvfs(directory)
    return (facts.f_blocks - facts.f_bfree) * facts.f_frsize


def try_all(kind, path, original):
    with Mount(path, "mnt") as m:
        assert_read_by_the_kernel(m, "even", original["even"], True)
        assert_read_by_the_kernel(m, "odd", original["odd"], True)
        assert_read_by_the_kernel(m, "other", original["other"], False)
        equal(read(m.tensor("tiny")), original["tiny"], "tiny")
        before = used(kind)
        files = [open(m.tensor("even"), "rb") for _ in range(3)]
        with mmap.mmap(files[0].fileno(), 0, prot=mmap.PROT_READ) as view:
            equal(view[:], original["even"], "mapped")
        equal(files[1].read(), original["even"], "a second one")
        equal(used(kind) - before < MIB, True, "a clone takes no space")
        for file in files:
            file.close()
        for name, content in original.items():
            equal(read(m.tensor(name)), content, name)
        equal(os.listdir(kind), ["m.safetensors"], "names beside the model")
    read(path)
    with Mount(path, "mnt") as m:
        assert_read_by_the_kernel(m, "even", original["even"], False)
        time.sleep(0.2)  # RELEASE is not waited for
        assert_read_by_the_kernel(m, "even", original["even"], True)
    evict(path)


def try_commits(kind, path, original):
    """Old bytes go on; what did not change stays; the old file's space comes back."""
    with Mount(path, "mnt") as m:
        old, same = open(m.tensor("even"), "rb"), open(m.tensor("odd"), "rb")
        equal((old.read(KIB), same.read(KIB)), (original["even"][:KIB], original["odd"][:KIB]), "before")
        inode = os.fstat(same.fileno()).st_ino
        full = used(kind)
        new = pattern(SIZES["even"], 77)
        write(m.staged("even"), new)
        m.commit()
        equal(used(kind) - full > 6 * MIB, True, "old and new bytes of the changed tensor take space")
        with stopped(m.pid()):
            equal(os.pread(old.fileno(), 16 * MIB, 0), original["even"], "changed by the commit, opened before")
            equal(os.pread(same.fileno(), 16 * MIB, 0), original["odd"], "unchanged, opened before")
        equal(os.stat(m.tensor("odd")).st_ino, inode, "inode of an unchanged tensor")
        again = open(m.tensor("odd"), "rb")  # in the new file, beside the one from the old
        equal((again.read(), read(m.tensor("even"))), (original["odd"], new), "read anew")
        for file in (old, same, again):
            file.close()
        if kind == "xfs":  # btrfs frees an extent when no part of it is shared any more
            wait_for(lambda: used(kind) - full < MIB, "the old file's space", 20)
        equal({name: read(m.tensor(name)) for name in original}, original | {"even": new}, "all")
    equal({name: content for name, (_, _, content) in parse(path)[1].items()}, original | {"even": new}, "committed")


def try_changes(path, original):
    """A clone is what the file was: an open tensor goes on; whoever opens one after the change is refused."""
    with Mount(path, "mnt") as m:
        with open(m.tensor("even"), "rb") as file, open(m.tensor("other"), "rb") as through_daemon:
            equal(file.read(KIB), original["even"][:KIB], "before")
            time.sleep(0.01)
            with open(path, "r+b") as source:
                source.seek(-SIZES["even"], os.SEEK_END)
                source.write(bytes(6 * MIB))
            os.truncate(path, MIB)
            equal(file.read(), original["even"][KIB:], "an open one")
            with raises("ESTALE"):
                through_daemon.read()
            for name in original:
                with raises("ESTALE"):
                    read(m.tensor(name))
        wait_for(lambda: "changed in place" in m.text(), "a line in status")


def try_limits(path):
    """More open clones than the daemon may have descriptors."""
    names = [f"t{i:03}" for i in range(400)]
    entries = {name: {"dtype": "U8", "shape": [256 * KIB], "data_offsets": [i * 256 * KIB, (i + 1) * 256 * KIB]}
               for i, name in enumerate(names)}
    header = json.dumps(entries).encode()
    with open(path, "wb") as file:
        file.write(frame(header + b" " * (-(8 + len(header)) % 4096)))
        for i in range(len(names)):
            file.write(bytes([i % 251]) * (256 * KIB))
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
    with Mount(path, "mnt", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))) as m:
        for name in names:
            read(m.tensor(name))
        files = [open(m.tensor(name), "rb") for name in names]
        with stopped(m.pid()):
            for i, file in enumerate(files):
                equal(os.pread(file.fileno(), MIB, 0), bytes([i % 251]) * (256 * KIB), names[i])
        for file in files:
            file.close()
        for i, name in enumerate(names):
            equal(read(m.tensor(name)), bytes([i % 251]) * (256 * KIB), name)


save_small("try.safetensors")
with Mount("try.safetensors", "mnt") as m:
    line = next((line for line in m.text().splitlines() if "passthrough" in line), "built without it, for libfuse 3.17")
    if "is used" not in line:
        skip(line)

for kind in ("xfs", "btrfs"):
    with filesystem(kind, kind):
        path = f"{kind}/m.safetensors"
        original = save_aligned(path)
        try_all(kind, path, original)
        try_commits(kind, path, original)
        original = save_aligned(path)
        try_changes(path, original)
        if kind == "xfs":
            try_limits(path)
            os.unlink(path)
            original = save_aligned(path)
            with Mount(path, "mnt", "-o", "ro") as m:  # a read-only mount writes nothing, not even what has no name
                assert_read_by_the_kernel(m, "even", original["even"], False)
