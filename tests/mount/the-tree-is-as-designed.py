# SPDX-License-Identifier: Apache-2.0
from wfs import *

requires("fuse")
tensors = save_small()
os.chmod("m.safetensors", 0o640)
source = os.stat("m.safetensors")

with Mount("m.safetensors") as m:
    equal(sorted(os.listdir("mnt")), [".weightfs", "m.safetensors", "metadata.json", "npy", "staging", "tensors"], "root")
    equal(sorted(os.listdir("mnt/staging")), ["m.safetensors", "metadata.json", "npy", "tensors"], "staging")
    equal(sorted(os.listdir("mnt/.weightfs")), ["control", "status", "status.json"], ".weightfs")
    for top in ("mnt", "mnt/staging"):
        equal(sorted(os.listdir(f"{top}/tensors")), sorted(tensors), f"{top}/tensors")
        equal(sorted(os.listdir(f"{top}/npy")), sorted(f"{name}.npy" for name in tensors), f"{top}/npy")
        for name, (_, _, data) in tensors.items():
            st = os.lstat(f"{top}/tensors/{name}")
            equal((stat.S_ISREG(st.st_mode), st.st_size, st.st_nlink), (True, len(data), 1), f"{top}/tensors/{name}")

    # Owner and mode: the source's, read-only; staging and .weightfs belong to who mounted.
    for path, mode in (("mnt", 0o555), ("mnt/tensors", 0o555), ("mnt/npy", 0o555), ("mnt/tensors/a", 0o440), ("mnt/npy/a.npy", 0o440),
                       ("mnt/metadata.json", 0o440), ("mnt/m.safetensors", 0o440),
                       ("mnt/staging", 0o700), ("mnt/staging/tensors", 0o700), ("mnt/staging/npy", 0o700),
                       ("mnt/staging/tensors/a", 0o600), ("mnt/staging/metadata.json", 0o600),
                       ("mnt/.weightfs", 0o700), ("mnt/.weightfs/control", 0o600)):
        st = os.stat(path)
        equal(oct(stat.S_IMODE(st.st_mode)), oct(mode), f"mode of {path}")
        equal((st.st_uid, st.st_gid), (source.st_uid, source.st_gid) if "staging" not in path and ".weightfs" not in path
              else (os.geteuid(), os.getegid()), f"owner of {path}")

    # Inode numbers are stable, and differ from file to file.
    seen = {os.stat(f"{folder}/{name}").st_ino for folder in ("mnt/tensors",) for name in os.listdir(folder)}
    equal(len(seen), len(tensors), "distinct inodes")
    for name in tensors:
        equal(os.stat(m.tensor(name)).st_ino, os.stat(m.tensor(name)).st_ino, "inode")

    # Nothing of the read-only tree changes, whoever asks.
    for path in ("mnt/new", "mnt/tensors/new", "mnt/npy/new.npy"):
        with raises("EROFS", "EACCES", "EPERM"):
            os.open(path, os.O_CREAT | os.O_WRONLY)
    for path in ("mnt/tensors/a", "mnt/metadata.json", "mnt/m.safetensors"):
        with raises("EROFS", "EACCES", "EPERM"):
            os.open(path, os.O_WRONLY)
        with raises("EROFS", "EACCES", "EPERM"):
            os.unlink(path)
    with raises("ENOENT"):
        os.stat("mnt/tensors/nothing")
    equal(m.changes(), {}, "changes")
equal(os.listdir("mnt"), [], "mount point after umount")
equal(sorted(os.listdir(".")), ["m.safetensors", "mnt"], "files beside the source")
