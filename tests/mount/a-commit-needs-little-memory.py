# SPDX-License-Identifier: Apache-2.0
# The daemon's peak memory over a commit: 32 MiB and six headers, whether the model has 4 GiB or 100,000 tensors.
from wfs import *

requires("fuse")


def sparse(path, sizes):
    """A model of U8 tensors that are all zeros; the size of its header."""
    entries, offset = [], 0
    for name, size in sizes:
        entries.append(f'"{name}":{{"dtype":"U8","shape":[{size}],"data_offsets":[{offset},{offset + size}]}}')
        offset += size
    header = ("{" + ",".join(entries) + "}").encode()
    header += b" " * (-len(header) % 8)
    write(path, frame(header))
    os.truncate(path, 8 + len(header) + offset)
    return len(header)


def peak(m):
    with open(f"/proc/{m.pid()}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


def commit(path, sizes):
    header = sparse(path, sizes)
    with Mount(path) as m:
        write(m.staged(sizes[0][0]), b"x" * sizes[0][1])
        write(m / "staging/metadata.json", b'{"__metadata__": {"format": "pt"}}')
        m.commit()
        most, limit = peak(m), (32 << 20) + 6 * header
        print(f"{path}: {most / (1 << 20):.1f} MiB, at most {limit / (1 << 20):.1f}")
        with open(os.path.join(os.environ["WEIGHTFS_BUILD"], "CMakeCache.txt")) as cache:
            is_plain = "WEIGHTFS_SANITIZE:STRING=\n" in cache.read()
        equal(most <= limit or not is_plain, True, f"{most} bytes are at most {limit}")


commit("many.safetensors", [(f"model.layers.{i // 9}.self_attn.q_proj.weight_{i % 9}", 1) for i in range(100_000)])
with disk("xfs", 400) as place:  # where the whole model needs no room, and copying it would find none
    commit(f"{place}/large.safetensors", [("a", 8), ("large", 4 << 30)])
