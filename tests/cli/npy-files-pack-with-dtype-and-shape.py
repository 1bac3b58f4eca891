# SPDX-License-Identifier: Apache-2.0
# What numpy.save wrote needs no declaration; the floats that NumPy has no name for take theirs from metadata.json.
from wfs import *

requires("python:numpy")
import numpy

os.makedirs("dir/npy")
os.makedirs("dir/tensors")
arrays = {"f": numpy.arange(6, dtype="<f4").reshape(2, 3), "i": numpy.arange(3, dtype="<i8"), "b": numpy.array([True, False]),
          "s": numpy.array(3.5, dtype="<f8"), "c": numpy.array([1 + 2j], dtype="<c8"), "e": numpy.zeros((0, 4), dtype="<u2")}
names = {"f4": "F32", "i8": "I64", "b1": "BOOL", "f8": "F64", "c8": "C64", "u2": "U16"}
wanted = {}
for name, array in arrays.items():
    numpy.save(f"dir/npy/{name}.npy", array)
    wanted[name] = (names[array.dtype.str[1:]], list(array.shape), array.tobytes())
numpy.save("dir/npy/bf16.npy", numpy.frombuffer(b"\x80\x3f\x00\x40", dtype="V2"))
wanted["bf16"] = ("BF16", [2], b"\x80\x3f\x00\x40")
numpy.save("dir/npy/f8.npy", numpy.frombuffer(b"\x01\x02\x03", dtype="V1"))
wanted["f8"] = ("F8_E4M3", [3], b"\x01\x02\x03")
write("dir/metadata.json", b'{"f8":{"dtype":"F8_E4M3","shape":[3]}}')
weightfs("pack", "dir", "out.safetensors")
judge("out.safetensors", wanted)

os.unlink("dir/metadata.json")
contains(weightfs("pack", "-f", "dir", "out.safetensors", code=1).err, "tensor 'f8': DtypeUndeclared")
os.unlink("dir/npy/f8.npy")

# Other orders of elements and of bytes are turned, as in a mount; what is too large to be turned says so.
turned = {"fortran": numpy.asfortranarray(numpy.arange(30, dtype="<i8").reshape(2, 3, 5)), "big": numpy.arange(3, dtype=">i4"),
          "both": numpy.asfortranarray(numpy.arange(300000, dtype=">f8").reshape(500, 600)), "complex": numpy.array([[1 + 2j, 3 - 4j]], dtype=">c8"),
          "flat": numpy.asfortranarray(numpy.arange(3, dtype="<i2")), "none": numpy.zeros((0, 3), dtype=">f4", order="F")}
names |= {"i4": "I32", "i2": "I16"}
del wanted["f8"]
for name, array in turned.items():
    numpy.save(f"dir/npy/{name}.npy", array)
    wanted[name] = (names[array.dtype.str[1:]], list(array.shape), array.astype(array.dtype.newbyteorder("<")).tobytes("C"))
weightfs("pack", "-f", "dir", "out.safetensors")
judge("out.safetensors", wanted)
weightfs("pack", "-f", "--crc", "dir", "summed")
contains(weightfs("verify", "--crc", "summed").out, f"{len(wanted)} checksums compared")
with open("dir/npy/huge.npy", "wb") as file:
    header = b"{'descr': '<f8', 'fortran_order': True, 'shape': (2, 300000000), }"
    file.write(b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header)
    file.truncate(file.tell() + 2 * 300000000 * 8)
contains(weightfs("pack", "-f", "dir", "out.safetensors", code=1).err, "tensor 'huge': NpyInvalid: ", "Fortran order", "too large")
os.unlink("dir/npy/huge.npy")
judge("out.safetensors", wanted)

# .npy files that extract wrote load in NumPy.
weightfs("extract", "out.safetensors", "--npy", "-C", "again")
for name, array in arrays.items():
    loaded = numpy.load(f"again/npy/{name}.npy")
    equal((loaded.dtype, loaded.shape, loaded.tobytes()), (array.dtype, array.shape, array.tobytes()), name)
