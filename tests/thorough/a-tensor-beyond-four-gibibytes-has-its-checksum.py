# SPDX-License-Identifier: Apache-2.0
# Checksums of what stsw cannot sum: a tensor of more than 4 GiB beside small ones, computed while it is streamed, verified, repaired
# and read by the official library. Needs 5 GB of disk.
import shutil
import zlib

from wfs import *

LARGE = (4 << 30) + (1 << 20) + 8
if shutil.disk_usage(".").free < 8 << 30:
    skip("less than 8 GiB free")
os.makedirs("dir/tensors")
with open("dir/tensors/large", "wb") as file:  # sparse: a few bytes at both ends
    file.write(b"begin")
    file.truncate(LARGE - 3)
    file.seek(0, os.SEEK_END)
    file.write(b"end")
write("dir/tensors/small", b"123456789")
write("dir/metadata.json", json.dumps({"large": {"dtype": "F64", "shape": [LARGE // 8]}, "small": {"dtype": "U8", "shape": [9]}}).encode())

crc, zeros = zlib.crc32(b"begin"), bytes(1 << 20)
left = LARGE - 8
while left:
    crc = zlib.crc32(zeros[:left], crc)
    left -= min(left, len(zeros))
crc = zlib.crc32(b"end", crc)

run(os.environ["WEIGHTFS"], "pack", "--crc", "dir", "model", timeout=600)
with open("model", "rb") as file:
    header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
equal({name: entry["crc32"] for name, entry in header.items()}, {"large": crc, "small": 0xcbf43926}, "checksums")
contains(run(os.environ["WEIGHTFS"], "verify", "--crc", "model", timeout=600).out, "2 checksums compared")
if has_official():
    import safetensors
    with safetensors.safe_open("model", "np") as file:
        equal(file.get_slice("large")[LARGE // 8 - 1:].tobytes(), bytes(5) + b"end", "its end")
with open("model", "r+b") as file:
    file.seek(-12, os.SEEK_END)  # the last byte of the large one but two
    file.write(b"x")
for words in (["verify", "--crc", "model"], ["repair", "model", "out"]):
    contains(run(os.environ["WEIGHTFS"], *words, code=1, timeout=600).err, "tensor 'large': ChecksumMismatch")
