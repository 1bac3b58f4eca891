# SPDX-License-Identifier: Apache-2.0
from wfs import *

requires("fuse", "python:numpy", "python:safetensors", "python:ml_dtypes")
import mmap  # noqa: E402

import ml_dtypes  # noqa: E402
import numpy as np  # noqa: E402
from safetensors import safe_open  # noqa: E402

shell('python3 "$WEIGHTFS_SOURCE/scripts/make-sample" --tiny m.safetensors')
with safe_open("m.safetensors", "np") as f:
    truth = {name: f.get_tensor(name) for name in f.keys()}


def look_at(top):
    for name, array in truth.items():
        raw = np.memmap(f"{top}/tensors/{name}", dtype=np.uint8, mode="r") if array.nbytes else np.zeros(0, np.uint8)
        equal(raw.tobytes(), array.tobytes(), f"np.memmap of {top}/tensors/{name}")
        loaded = np.load(f"{top}/npy/{name}.npy", mmap_mode="r" if array.ndim else None)
        if array.dtype == ml_dtypes.bfloat16:
            equal(loaded.dtype, np.dtype("V2"), "dtype of a BF16 in npy/")
            loaded = loaded.view(ml_dtypes.bfloat16)
        equal((loaded.dtype, loaded.shape), (array.dtype, array.shape), f"{top}/npy/{name}.npy")
        equal(loaded.tobytes(), array.tobytes(), f"np.load of {top}/npy/{name}.npy")
        equal(np.load(f"{top}/npy/{name}.npy").tobytes(), array.tobytes(), "np.load without mmap")

    with safe_open(f"{top}/m.safetensors", "np") as f:
        equal(sorted(f.keys()), sorted(truth), f"keys of {top}/m.safetensors")
        equal(f.metadata(), {"format": "pt"}, "metadata")
        for name, array in truth.items():
            equal(f.get_tensor(name).tobytes(), array.tobytes(), f"safe_open of {top}, {name}")
    equal(read(f"{top}/m.safetensors"), read("m.safetensors"), f"{top}/m.safetensors")

    with open(f"{top}/tensors/lm_head.weight", "rb") as f:
        with mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as mapped:
            equal(mapped[:], truth["lm_head.weight"].tobytes(), "mmap")

    document = json.loads(read(f"{top}/metadata.json"))
    header = json.loads(read("m.safetensors")[8:][:struct.unpack("<Q", read("m.safetensors")[:8])[0]])
    equal(document, header, f"{top}/metadata.json against the header")
    lines = read(f"{top}/metadata.json").decode().splitlines()
    for name in truth:
        equal(sum(f'"{name}"' in line and '"dtype"' in line for line in lines), 1, f"lines of metadata.json with {name}")


with Mount("m.safetensors") as m:
    for top in ("mnt", "mnt/staging"):
        look_at(top)  # nothing that it mapped outlives it
