# SPDX-License-Identifier: Apache-2.0
from wfs import *

requires("fuse", "python:numpy", "python:ml_dtypes", "python:safetensors")
import ml_dtypes  # noqa: E402
import numpy as np  # noqa: E402

NUMPY = dict(BOOL="?", U8="u1", I8="i1", I16="<i2", U16="<u2", F16="<f2", I32="<i4", U32="<u4", F32="<f4", C64="<c8", F64="<f8",
             I64="<i8", U64="<u8", BF16=ml_dtypes.bfloat16, F8_E5M2=ml_dtypes.float8_e5m2, F8_E4M3=ml_dtypes.float8_e4m3fn,
             F8_E8M0=ml_dtypes.float8_e8m0fnu, F8_E4M3FNUZ=ml_dtypes.float8_e4m3fnuz, F8_E5M2FNUZ=ml_dtypes.float8_e5m2fnuz)
SUB_BYTE = ["F4", "F6_E2M3", "F6_E3M2"]
EIGHT_BIT = [dtype for dtype in NUMPY if dtype.startswith("F8")]
save("m.safetensors", {dtype: tensor(dtype, [4, 8], seed) for seed, dtype in enumerate(DTYPES)})
wanted = {dtype: tensor(dtype, [4, 8], seed) for seed, dtype in enumerate(DTYPES)}


def array(dtype, shape, seed):
    data = pattern(byte_size(dtype, shape), seed)
    if dtype == "BOOL":
        data = bytes(b & 1 for b in data)
    return np.frombuffer(data, NUMPY[dtype]).reshape(shape)


with Mount("m.safetensors") as m:
    equal(sorted(os.listdir("mnt/npy")), sorted(f"{dtype}.npy" for dtype in NUMPY), "npy/ has no sub-byte dtypes")
    for dtype in SUB_BYTE:
        with raises("ENOENT"):
            os.stat(f"mnt/npy/{dtype}.npy")

    for seed, dtype in enumerate(NUMPY):
        shown = np.load(f"mnt/npy/{dtype}.npy")
        if shown.dtype.kind == "V":
            shown = shown.view(NUMPY[dtype])
        equal((shown.dtype, shown.shape, shown.tobytes()), (np.dtype(NUMPY[dtype]), (4, 8), wanted[dtype][2]), f"npy/{dtype}.npy")

        # Replacing keeps a declared 8-bit or 16-bit dtype that NumPy cannot spell.
        changed = array(dtype, [3, 2, 4], seed + 60)
        np.save(m.npy(dtype), changed)
        wanted[dtype] = (dtype, [3, 2, 4], changed.tobytes())

        if dtype not in EIGHT_BIT:  # `|V1` on a new name does not tell which
            fresh = array(dtype, [5], seed + 80)
            np.save(m.npy(f"new.{dtype}"), fresh)
            wanted[f"new.{dtype}"] = (dtype, [5], fresh.tobytes())
    equal(m.errors(), [], "problems")
    preview = read(m.preview)
    m.commit()
    equal(read("m.safetensors"), preview, "committed file against the preview")
judge("m.safetensors", wanted)
