# SPDX-License-Identifier: Apache-2.0
# No request of the kernel is of a size that makes libfuse give up splicing, which it does for good in the thread that meets one;
# also behind requests for so many parts that they have to be copied.
from wfs import *

requires("fuse", "strace")
import re  # noqa: E402

COUNT = 600
tensors = {"big": tensor("U8", [(6 << 20) + 5], 1), **{f"t{i:04}": tensor("U8", [1500], i) for i in range(COUNT)}}
save("m.safetensors", tensors)
os.mkdir("mnt")
os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"  # it cannot see a process that is traced
daemon = subprocess.Popen(["strace", "-f", "--seccomp-bpf", "-o", "trace", "-e", "trace=splice,writev", "-e", "signal=none",
                           os.environ["WEIGHTFS"], "mount", "-f", "-o", "max_threads=1,no_passthrough", "m.safetensors", "mnt"])
wait_for(lambda: os.path.exists("mnt/tensors"), "the mount", 20)


def large(path):
    """Reads a file: (its bytes, how many were spliced in the daemon, sizes of the answers larger than 8 KiB that were copied)."""
    begin = os.path.getsize("trace")
    data = b""
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(1 << 20):
            data += piece
    trace = read("trace")[begin:].decode(errors="replace")
    spliced = sum(int(count) for count in re.findall(r"splice\([^)]*\) += (\d+)", trace))
    copied = [count for count in map(int, re.findall(r"writev\(.*\) += (\d+)", trace)) if count > 8192]
    return data, spliced, copied


try:
    for path, expected in (("mnt/tensors/big", tensors["big"][2]), ("mnt/m.safetensors", read("m.safetensors")),
                           ("mnt/staging/tensors/big", tensors["big"][2])):
        data, spliced, copied = large(path)
        equal(data, expected, path)
        equal(copied, [], f"answers for {path} that were copied")
        equal(spliced >= len(data), True, f"bytes spliced for {path}")

    # every second tensor is another file now: the preview has hundreds of parts, too many for one request
    for i in range(0, COUNT, 2):
        write(f"mnt/staging/tensors/t{i:04}", tensors[f"t{i:04}"][2])
    data, spliced, copied = large("mnt/staging/m.safetensors")
    same_tensors(parse(data)[1], tensors)
    equal(len(copied) > 0, True, "requests for more parts than can be spliced")

    # and what comes after is spliced again
    os.posix_fadvise(fd := os.open("mnt/tensors/big", os.O_RDONLY), 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)
    data, spliced, copied = large("mnt/tensors/big")
    equal((data, copied), (tensors["big"][2], []), "a tensor after that")
    equal(spliced >= len(data) * 9 // 10, True, "bytes spliced for it")
finally:
    weightfs("umount", "--discard", "mnt", code=None)
    daemon.wait(30)
