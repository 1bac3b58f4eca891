# SPDX-License-Identifier: Apache-2.0
from wfs import *

requires("fuse")
COUNT = 10000
before = {f"layer.{i}.weight": ("F32", [2], struct.pack("<II", i, i * 7)) for i in range(COUNT)}
save("m.safetensors", before)
with Mount("m.safetensors") as m:
    equal(len(os.listdir("mnt/tensors")), COUNT, "tensors")
    equal(sum(entry.stat().st_size for entry in os.scandir("mnt/tensors")), COUNT * 8, "sum of sizes")
    for i in range(0, COUNT, 97):
        equal(read(m.tensor(f"layer.{i}.weight")), struct.pack("<II", i, i * 7), f"layer.{i}.weight")
    equal(len(json.loads(read(m / "metadata.json"))), COUNT, "metadata.json")
    shell("rm mnt/staging/tensors/layer.1*.weight")
    wanted = {name: value for name, value in before.items() if not name.startswith("layer.1")}
    write(m.staged("layer.2.weight"), b"replaced")
    wanted["layer.2.weight"] = ("F32", [2], b"replaced")
    equal(len(os.listdir("mnt/staging/tensors")), len(wanted), "staged tensors")
    m.commit()
    equal(len(os.listdir("mnt/tensors")), len(wanted), "tensors after the commit")
judge("m.safetensors", wanted)
