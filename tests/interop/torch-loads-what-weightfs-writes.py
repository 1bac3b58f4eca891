# SPDX-License-Identifier: Apache-2.0
# safetensors.torch: what weightfs packs is loaded, dtypes, shapes and bytes; what save_file writes is loaded here, and packed
# by weightfs to the same bytes.
from peers import *

requires("python:safetensors")
try:
    import torch
except ImportError:
    skip("Python has no torch: PyPI's wheel for Linux is the CUDA build, gigabytes with what it needs; scripts/venv does not install it")
from safetensors.torch import load_file, save_file

TYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64, "I32": torch.int32,
         "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool, "F8_E4M3": torch.float8_e4m3fn,
         "F8_E5M2": torch.float8_e5m2, "C64": torch.complex64}


def content(value):
    flat = value.contiguous().reshape(-1)
    return bytes(flat.view(torch.uint8).numpy()) if flat.numel() else b""


for what, tensors, metadata in models(list(TYPES)):
    pack("ours", tensors, metadata)
    loaded = load_file("ours")
    equal({name: (value.dtype, list(value.shape), content(value)) for name, value in loaded.items()},
          {name: (TYPES[dtype], shape, data) for name, (dtype, shape, data) in tensors.items()}, what)
    if loaded or metadata is None:
        save_file(loaded, "theirs", metadata=metadata)
        loads_here("theirs", tensors, metadata)
        if len(metadata or {}) <= 1:
            equal(read("ours"), read("theirs"), f"{what}: the same bytes")
    os.unlink("ours")
