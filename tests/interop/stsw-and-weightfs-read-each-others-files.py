# SPDX-License-Identifier: Apache-2.0
# What stsw writes: refused with a hint, tolerated on request with either of its hashes, made official by repair. What weightfs writes
# with checksums: read and verified by stsw.
from wfs import *

requires("python:stsw", "python:numpy")
import numpy

DATA = {"weight": numpy.arange(300, dtype="<f4"), "bias": numpy.arange(5, dtype="<f2")}
WRITE = """
import sys
if sys.argv[3] == "zlib":
    sys.modules["xxhash"] = None
import numpy
from stsw import StreamWriter, TensorMeta
data = {"weight": numpy.arange(300, dtype="<f4"), "bias": numpy.arange(5, dtype="<f2")}
names = {"f4": "F32", "f2": "F16"}
metas, at = [], 0
for name, array in data.items():
    metas.append(TensorMeta(name, names[array.dtype.str[1:]], array.shape, at, at + array.nbytes))
    at += -(-array.nbytes // 64) * 64
with StreamWriter.open(sys.argv[1], metas, crc32=sys.argv[2] == "crc") as writer:
    for name, array in data.items():
        writer.write_block(name, array.tobytes())
        writer.finalize_tensor(name)
"""
READ = """
import sys
sys.modules["xxhash"] = None
from stsw import StreamReader
reader = StreamReader(sys.argv[1], verify_crc=True)
print(",".join(reader.keys()), reader.to_numpy("weight").sum())
"""
wanted = {"weight": ("F32", [300], DATA["weight"].tobytes()), "bias": ("F16", [5], DATA["bias"].tobytes())}

hashes = ["zlib"]
try:
    import xxhash  # noqa: F401
    hashes.append("xxhash")
except ImportError:
    pass
for name, crc, hash in [("plain", "no", "zlib")] + [(f"crc-{hash}", "crc", hash) for hash in hashes]:
    run(sys.executable, "-c", WRITE, name, crc, hash)
    result = weightfs("verify", name, code=1)
    contains(result.err, "InvalidHeaderDeserialization", "stsw", "weightfs repair")
    contains(weightfs("verify", "--tolerate", "stsw", name).out, f"{name}: ok, 2 tensors")
    if crc == "crc":
        contains(weightfs("verify", "--tolerate", "stsw", "--crc", name).out, "2 checksums compared")
    told = weightfs("repair", name, "official").out
    contains(told, "'__version__'", "a hole of", "behind the last tensor")
    judge("official", wanted)
    if crc == "crc":
        contains(weightfs("verify", "--crc", "official").out, "2 checksums compared")
        equal(run(sys.executable, "-W", "ignore", "-c", READ, "official").out.split(), ["weight,bias", str(DATA["weight"].sum())], "read by stsw")
        # a damaged byte
        damaged = bytearray(read(name))
        damaged[damaged.index(DATA["bias"].tobytes())] ^= 1
        write("damaged", damaged)
        contains(weightfs("verify", "--tolerate", "stsw", "--crc", "damaged", code=1).err, "tensor 'bias': ChecksumMismatch")
        contains(weightfs("repair", "-f", "damaged", "official", code=1).err, "tensor 'bias': ChecksumMismatch")
    os.unlink("official")

# Many tensors with checksums, where stsw itself cuts its header or fails (it reserves one digit for ten).
os.makedirs("dir/tensors")
document = {}
for i in range(200):
    write(f"dir/tensors/t{i}", pattern(40, i))
    document[f"t{i}"] = {"dtype": "F32", "shape": [10]}
write("dir/metadata.json", json.dumps(document).encode())
weightfs("pack", "--crc", "dir", "many.safetensors")
contains(weightfs("verify", "--crc", "many.safetensors").out, "200 checksums compared")
run(sys.executable, "-W", "ignore", "-c", READ.replace('"weight"', '"t7"'), "many.safetensors")
