# SPDX-License-Identifier: Apache-2.0
# On XFS and btrfs a commit shares every whole block: of what did not change with the old file, of what did with staging. Disk use
# grows by what changed, and three times that is room enough. On ext4 all is copied, and check says so before.
from wfs import *

requires("fuse", "root", "mkfs.xfs", "mkfs.btrfs", "mkfs.ext4")
MIB = 1 << 20
SIZE = 4 * MIB
COUNT = 16
EDGES = 64 * 1024  # bytes before the first whole block and behind the last one of a few ranges, and the header
RECORDS = MIB  # what a file system needs to note what is shared


def model(count=COUNT):
    return {f"layer.{i:02}": tensor("BF16", [SIZE // 2], i) for i in range(count)} | {"a.norm": tensor("BF16", [100], 3)}


def committed(m, expected, **shares):
    """Commits; the cost is what check had promised, and copies no more than `copied`."""
    promised = weightfs("check", "--json", m.directory).json()["cost"]
    outcome = weightfs("commit", "--json", m.directory).json()
    equal((promised["cloned"], promised["copied"]), (outcome["cost"]["cloned"], outcome["cost"]["copied"]), "what check promised")
    equal(outcome["cost"]["copied"] <= shares.get("copied", EDGES), True, f"copied {outcome['cost']}")
    judge(m.source, expected)
    return outcome["cost"]


def takes_at_most(limit, place, before, what):
    """Of `before` bytes. What a file that is gone, or was preallocated, took comes back when the file system finds the time."""
    wait_for(lambda: before - room(place) <= limit, f"at most {limit} bytes of disk {what}", 60)


def edits(place):
    """One after the other, each its own commit."""
    wanted = model()
    with Mount(f"{place}/m.safetensors") as m:
        before = room(place)
        new = os.urandom(SIZE)
        write(m.staged("layer.03"), new)
        wanted["layer.03"] = ("BF16", [SIZE // 2], new)
        committed(m, wanted)
        takes_at_most(SIZE + RECORDS, place, before, "after a tensor was replaced")

        before = room(place)
        os.rename(m.staged("layer.05"), m.staged("renamed"))
        wanted["renamed"] = wanted.pop("layer.05")
        committed(m, wanted)
        run("cp", m.staged("layer.06"), m.staged("twice"))
        wanted["twice"] = wanted["layer.06"]
        committed(m, wanted)
        os.unlink(m.staged("twice"))
        del wanted["twice"]
        committed(m, wanted)
        write(m / "staging/metadata.json", b'{"__metadata__": {"format": "pt", "note": "' + b"x" * 5000 + b'"}}')
        committed(m, wanted)
        takes_at_most(RECORDS, place, before, "after edits that have no bytes")

        before = room(place)
        fd = os.open(m.staged("layer.07"), os.O_WRONLY)
        os.pwrite(fd, b"patched", 2 * MIB + 5)
        os.close(fd)
        data = wanted["layer.07"][2]
        wanted["layer.07"] = ("BF16", [SIZE // 2], data[:2 * MIB + 5] + b"patched" + data[2 * MIB + 12:])
        takes_at_most(RECORDS, place, before, "for a patch")
        committed(m, wanted)

        new = os.urandom(SIZE)  # as an .npy, and a tensor that was not there
        write(m.npy("layer.08"), npy("<V2", [SIZE // 2], new))
        wanted["layer.08"] = ("BF16", [SIZE // 2], new)
        write(m.staged("zz"), new)
        write(m / "staging/metadata.json", json.dumps({"zz": {"dtype": "BF16", "shape": [SIZE // 2]}}).encode())
        wanted["zz"] = wanted["layer.08"]
        committed(m, wanted)
    return wanted


def npy(descr, shape, data):
    shown = "(" + "".join(f"{n}, " for n in shape) + ")"
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shown}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def with_little_room(place, wanted):
    """Three times the change is free, before it is staged."""
    with open(f"{place}/filler", "wb") as filler:
        while (surplus := room(place) - 3 * SIZE) > 64 * 1024:
            size = filler.tell()
            step = surplus * 3 // 4 if surplus > MIB else 64 * 1024
            os.posix_fallocate(filler.fileno(), size, step)
            filler.seek(size + step)
    with Mount(f"{place}/m.safetensors") as m:
        new = os.urandom(SIZE)
        write(m.staged("layer.02"), new)
        wanted["layer.02"] = ("BF16", [SIZE // 2], new)
        committed(m, wanted)
    os.unlink(f"{place}/filler")


for kind in ("xfs", "btrfs"):
    print(kind)
    with disk(kind, 512) as place:
        save(f"{place}/m.safetensors", model(), {"format": "pt"})
        wanted = edits(place)
        with_little_room(place, wanted)
        equal(sorted(os.listdir(place)), ["m.safetensors"], "files left")

with disk("ext4", 256) as place:
    save(f"{place}/m.safetensors", model(), {"format": "pt"})
    with Mount(f"{place}/m.safetensors") as m:
        os.rename(m.staged("layer.05"), m.staged("renamed"))
        contains(weightfs("check", "mnt").out, "cannot")
        wanted = model()
        wanted["renamed"] = wanted.pop("layer.05")
        cost = committed(m, wanted, copied=COUNT * SIZE + EDGES)
        equal((cost["cloned"], cost["copied"] >= COUNT * SIZE), (0, True), "ext4 copies")
