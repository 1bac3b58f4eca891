# SPDX-License-Identifier: Apache-2.0
from wfs import *

os.makedirs("dir/tensors")
os.makedirs("dir/npy")
write("dir/metadata.json", b'{"short":{"dtype":"F32","shape":[2]},"f4":{"dtype":"F4","shape":[3]}}')
write("dir/tensors/short", b"1234")
write("dir/tensors/f4", b"12")
write("dir/tensors/undeclared", b"1234")
write("dir/tensors/npy", b"\x93NUMPY\x01\0" + bytes(100))
write("dir/tensors/%zz", b"1")
write("dir/tensors/scratch~", b"1")
write("dir/npy/cut.npy", b"\x93NUMPY\x01\0\x76\0")
write("dir/npy/notes.txt", b"")
write("dir/npy/object.npy", b"\x93NUMPY\x01\0\x46\0{'descr': '|O', 'fortran_order': False, 'shape': (1,), }" + b" " * 13 + b"\n12345678")
os.mkdir("dir/tensors/directory")
result = weightfs("pack", "dir", "out.safetensors", code=1)
lines = result.err.splitlines()
for tensor, code in (("short", "SizeMismatch"), ("f4", "MisalignedSlice"), ("undeclared", "DtypeUndeclared"), ("npy", "NpyInTensors"),
                     ("cut", "NpyIncomplete"), ("object", "NpyInvalid")):
    equal(len([line for line in lines if line.startswith(f"weightfs: dir: tensor '{tensor}': {code}: ")]), 1, f"{tensor}: {code} in {result}")
contains(result.err, "tensors/%zz: is not the file name of any tensor", "warning: NameUnknown: tensors/scratch~", "npy/notes.txt",
         "tensor 'directory': IoFailed: tensors/directory: is no regular file")
equal(os.path.exists("out.safetensors"), False, "an output")
equal(sorted(os.listdir(".")), ["dir"], "what is left")

# Refused before anything is looked at
weightfs("pack", "nowhere", "out.safetensors", code=2)
os.mkdir("hollow")
contains(weightfs("pack", "hollow", "out.safetensors", code=2).err, "neither tensors/ nor npy/")
write("dir/metadata.json", b'{"a":}')
contains(weightfs("pack", "dir", "out.safetensors", code=None).err, "metadata.json", "line 1, column 6")

# A target that exists is refused, and replaced with --force; a symbolic link never
save_small()
weightfs("extract", "m.safetensors", "-C", "good")
weightfs("extract", "m.safetensors", "-C", "good", code=3)
write("there", b"old")
weightfs("pack", "good", "there", code=3)
equal(read("there"), b"old", "the old file")
weightfs("pack", "-f", "good", "there")
equal(read("there"), read("m.safetensors"), "the new file")
os.symlink("there", "link")
weightfs("pack", "-f", "good", "link", code=3)
weightfs("pack", "good", "no/such/directory", code=2)
