# SPDX-License-Identifier: Apache-2.0
# The tests trust wfs.build(): its files must be the official library's, byte for byte.
from wfs import *

requires("python:safetensors")
import ctypes  # noqa: E402

import safetensors  # noqa: E402

NAMES = dict(BOOL="bool", U8="uint8", I8="int8", F8_E5M2="float8_e5m2", F8_E4M3="float8_e4m3fn", F8_E8M0="float8_e8m0fnu",
             F8_E4M3FNUZ="float8_e4m3fnuz", F8_E5M2FNUZ="float8_e5m2fnuz", I16="int16", U16="uint16", F16="float16",
             BF16="bfloat16", I32="int32", U32="uint32", F32="float32", C64="complex64", F64="float64", I64="int64", U64="uint64")

tensors = {f"{dtype.lower()}.é": tensor(dtype, [3, 4], seed) for seed, dtype in enumerate(DTYPES) if dtype in NAMES}
tensors["empty"] = tensor("F32", [0, 2])
tensors["scalar"] = tensor("F16", [])

specs = {name: safetensors.TensorSpec(dtype=NAMES[dtype], shape=shape, data_len=len(data),
                                      data_ptr=ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value)
         for name, (dtype, shape, data) in tensors.items()}
equal(build(tensors, {"format": "pt"}), bytes(safetensors.serialize(specs, {"format": "pt"})), "file")
equal(build(tensors), bytes(safetensors.serialize(specs)), "file without metadata")

every = {dtype: tensor(dtype, [4, 8], seed) for seed, dtype in enumerate(DTYPES)}
save("every.safetensors", every)
same_tensors(official("every.safetensors"), every)
same_tensors(parse("every.safetensors")[1], every)
