# SPDX-License-Identifier: Apache-2.0
# pack(extract(FILE)) has the bytes of FILE, whoever wrote it and in whatever order; extract(pack(DIR)) has the files of DIR.
from wfs import *

NAMES = ["a/b", "..", "", "new\nline", "nul\0byte", "\x1b[31mred", "%41", ".hidden", "tail~", "sed123456", "4913", "n" * 300,
         "n" * 300 + "x", "é" * 200, "x.npy", "../../etc/passwd", "\u202eevil"]
ZERO = [8, 4]  # fills whole bytes whatever the dtype


def hand_made():
    """Legal, and nothing that any writer would write: blanks, order, members, escapes, padding."""
    header = ('\n {"b" : {"data_offsets":[4,8], "shape":[ 1 ] ,"dtype":"F32","note":[1,{"x":null}]},\t"__metadata__":{"z":"1","a":"\\u00e9\\/"},'
              '"\\u0061":{"dtype":"I32","shape":[1,1],"data_offsets":[0,4]}, "e":{"dtype":"F4","shape":[0],"data_offsets":[8,8]}}\n\t ')
    return frame(header, bytes(range(8)))


save_small("small.safetensors")
save("dtypes.safetensors", {dtype: tensor(dtype, ZERO, i) for i, dtype in enumerate(DTYPES)}, {"b": "2", "a": "1", "format": "pt"})
save("names.safetensors", {name: ("U8", [4], struct.pack("<I", i)) for i, name in enumerate(NAMES)})
save("empty.safetensors", {})
save("none.safetensors", {}, {})
save("null.safetensors", {"x": ("U8", [1], b"x")})
write("null.safetensors", frame('{"__metadata__":null,"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"x"))
write("unpadded.safetensors", frame('{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"x"))
write("hand.safetensors", hand_made())
files = sorted(name for name in os.listdir(".") if name.endswith(".safetensors"))
equal(len(files), 8, "files")

for name in files:
    for npy in ([], ["--npy"]):
        weightfs("extract", *npy, name, "-C", "dir")
        weightfs("pack", "dir", "out.safetensors")
        equal(read("out.safetensors"), read(name), f"{name} packed again {npy}")
        judge("out.safetensors", parse(name)[1])
        weightfs("extract", *npy, "out.safetensors", "-C", "dir2")
        shell("diff -r dir dir2; rm -r dir dir2 out.safetensors")

# Without what extract notes for pack, a canonical file comes back all the same.
for name in ("small.safetensors", "dtypes.safetensors", "names.safetensors", "empty.safetensors", "none.safetensors"):
    weightfs("extract", name, "-C", "dir")
    shell("rm -r dir/.weightfs")
    weightfs("pack", "dir", "out.safetensors")
    equal(read("out.safetensors"), read(name), f"{name} packed canonically")
    shell("rm -r dir out.safetensors")
