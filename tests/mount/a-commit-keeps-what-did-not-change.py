# SPDX-License-Identifier: Apache-2.0
# Across a commit an unchanged tensor keeps inode and mtime, a changed one gets new ones; open handles keep their generation;
# mode and xattrs of the file are kept; with --backup the old file stays under another name.
from wfs import *

requires("fuse")
wanted = save_small()
os.chmod("m.safetensors", 0o640)
try:
    os.setxattr("m.safetensors", "user.note", b"kept")
    xattrs = True
except OSError:
    xattrs = False
original = read("m.safetensors")

with Mount("m.safetensors") as m:
    before = {name: os.stat(m.tensor(name)) for name in wanted}
    old = os.open(m.tensor("a"), os.O_RDONLY)
    old_whole = os.open(m.whole, os.O_RDONLY)
    write(m.staged("a"), bytes(40))
    os.rename(m.staged("scalar"), m.staged("moved"))
    m.commit("--backup")
    equal(os.pread(old, 40, 0), wanted["a"][2], "an open handle keeps its bytes")
    equal(os.pread(old_whole, len(original), 0), original, "an open whole-file view too")
    equal(read(m.tensor("a")), bytes(40), "a fresh open sees the new ones")
    for name in wanted:
        if name in ("a", "scalar"):
            continue
        st = os.stat(m.tensor(name))
        equal((st.st_ino, st.st_mtime_ns), (before[name].st_ino, before[name].st_mtime_ns), f"inode and mtime of {name}")
    st = os.stat(m.tensor("a"))
    equal((st.st_ino != before["a"].st_ino, st.st_mtime_ns > before["a"].st_mtime_ns), (True, True), "inode and mtime of a")
    with raises("ENOENT"):
        os.stat(m.tensor("scalar"))
    equal(read(m.tensor("moved")), wanted["scalar"][2], "moved")
    os.close(old)
    os.close(old_whole)
    equal(oct(os.stat("m.safetensors").st_mode & 0o777), oct(0o640), "mode of the new file")
    if xattrs:
        equal(os.getxattr("m.safetensors", "user.note"), b"kept", "xattr of the new file")
    equal(read("m.safetensors~"), original, "backup")

    # Nothing staged: the file is not touched.
    stamp = os.stat("m.safetensors")
    m.commit()
    now = os.stat("m.safetensors")
    equal((now.st_ino, now.st_mtime_ns), (stamp.st_ino, stamp.st_mtime_ns), "file after an empty commit")

    # Space comes back: after the last close the old generation's inode is gone.
    pid = m.pid()
    write(m.staged("a"), pattern(40))
    m.commit()
    wait_for(lambda: not [link for link in (os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")
                                            if os.path.islink(f"/proc/{pid}/fd/{fd}")) if "(deleted)" in link and ".safetensors" in link],
             "the old file's descriptor to be closed")
