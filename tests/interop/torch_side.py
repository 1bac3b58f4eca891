# SPDX-License-Identifier: Apache-2.0
"""safetensors.torch for the test of it, under a Python of its own (scripts/peers torch): no other module of the tests is here.

torch_side.py dtypes           the dtypes that this PyTorch and safetensors.torch know, as JSON
torch_side.py exchange         from a JSON array of models, {tensors: {name: [dtype, shape, hex]}, metadata, loads, saves}: loads
                               the file `loads`, and writes the content with save_file to `saves`; prints what was loaded,
                               [{tensors: {name: [torch's dtype, torch's shape, hex]}, metadata}]
"""
import json
import sys

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

TYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32", "I16": "int16",
         "I8": "int8", "U8": "uint8", "U16": "uint16", "U32": "uint32", "U64": "uint64", "BOOL": "bool", "C64": "complex64",
         "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E5M2FNUZ": "float8_e5m2fnuz",
         "F8_E8M0": "float8_e8m0fnu", "F4": "float4_e2m1fn_x2"}


def content(value):
    flat = value.contiguous().reshape(-1)
    return bytes(flat.view(torch.uint8).tolist()).hex() if flat.numel() else ""


def made(dtype, shape, data):
    if dtype == "F4":  # two in a byte: torch counts the bytes
        shape = [*shape[:-1], shape[-1] // 2]
    flat = torch.tensor(list(bytes.fromhex(data)), dtype=torch.uint8)
    return flat.view(getattr(torch, TYPES[dtype])).reshape(shape)


def loaded(path):
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
        one_by_one = {name: content(file.get_tensor(name)) for name in file.keys()}
    tensors = {name: [str(value.dtype).removeprefix("torch."), list(value.shape), content(value)] for name, value in load_file(path).items()}
    assert one_by_one == {name: data for name, (_, _, data) in tensors.items()}
    return {"tensors": tensors, "metadata": metadata}


def exchange(models):
    for model in models:
        if model["saves"]:
            save_file({name: made(*entry) for name, entry in model["tensors"].items()}, model["saves"], metadata=model["metadata"])
    return [loaded(model["loads"]) for model in models]


if sys.argv[1] == "dtypes":
    print(json.dumps({dtype: name for dtype, name in TYPES.items() if hasattr(torch, name)}))
else:
    print(json.dumps(exchange(json.load(sys.stdin))))
