# SPDX-License-Identifier: Apache-2.0
# safetensors.torch: what weightfs packs is loaded, dtypes, shapes and bytes; of the same content save_file writes the same
# bytes; and what it writes is verified, listed and given back here. Every dtype that this PyTorch knows.
from peers import *

torch = f"{peer('torch')}/python"
side = f"{os.environ['WEIGHTFS_SOURCE']}/tests/interop/torch_side.py"
types = run(torch, side, "dtypes").json()
if len(types) < 13:
    fail(f"PyTorch knows {list(types)} only")


def as_torch(dtype, shape, data):
    shape = [*shape[:-1], shape[-1] // 2] if dtype == "F4" else shape
    return [types[dtype], shape, data.hex()]


exchanged = []
for i, (what, tensors, metadata) in enumerate(models([dtype for dtype in DTYPES if dtype in types])):
    pack(f"ours{i}", tensors, metadata)
    savable = bool(tensors) or metadata is None  # {} with metadata is what save_file writes unreadably
    exchanged.append((what, tensors, metadata, {
        "tensors": {name: [dtype, shape, data.hex()] for name, (dtype, shape, data) in tensors.items()},
        "metadata": metadata, "loads": f"ours{i}", "saves": f"theirs{i}" if savable else None}))

told = run(torch, side, "exchange", input=json.dumps([request for *_, request in exchanged])).json()
for found, (what, tensors, metadata, request) in zip(told, exchanged, strict=True):
    equal(found["tensors"], {name: as_torch(*entry) for name, entry in tensors.items()}, what)
    equal(found["metadata"] or None, metadata or None, f"{what}: metadata")
    if request["saves"]:
        loads_here(request["saves"], tensors, metadata)
        if len(metadata or {}) <= 1:  # of more keys, save_file's order is random
            equal(read(request["loads"]), read(request["saves"]), f"{what}: the same bytes")
