# SPDX-License-Identifier: Apache-2.0
# np.save, np.memmap r+, tofile, save_file through a scratch file and rename, os.replace, mmap: what notebooks do.
from wfs import *

requires("fuse", "python:numpy", "python:safetensors")
import mmap  # noqa: E402

import numpy as np  # noqa: E402
from safetensors.numpy import save_file  # noqa: E402

names = ["np.save", "memmap", "tofile", "replace", "mmap", "npy-memmap", "buffered", "npy-v2"]
was = {name: tensor("F32", [10, 30], i) for i, name in enumerate(names)}
save("m.safetensors", was)
rng = np.random.default_rng(1)
now = {name: rng.standard_normal((10, 30), dtype=np.float32) for name in names}

with Mount("m.safetensors") as m:
    np.save(m.npy("np.save"), now["np.save"])

    mapped = np.memmap(m.staged("memmap"), np.float32, "r+", shape=(10, 30))
    mapped[:] = now["memmap"]
    mapped.flush()
    del mapped

    now["tofile"].tofile(m.staged("tofile"))

    write(m.staged(".replace.tmp"), now["replace"].tobytes())
    equal("replace.tmp" in m.document(), False, "a scratch file in the document")
    os.replace(m.staged(".replace.tmp"), m.staged("replace"))

    with open(m.staged("mmap"), "r+b") as f, mmap.mmap(f.fileno(), 0) as view:
        view[:] = now["mmap"].tobytes()

    mapped = np.load(m.npy("npy-memmap"), mmap_mode="r+")
    mapped[:] = now["npy-memmap"]
    mapped.flush()
    del mapped

    with open(m.staged("buffered"), "wb", buffering=100) as f:
        for row in now["buffered"]:
            f.write(row.tobytes())

    with open(m.npy("npy-v2"), "wb") as f:
        np.lib.format.write_array(f, now["npy-v2"], version=(2, 0))

    # Fortran order and big-endian are converted once the file is closed.
    now["fortran"] = rng.standard_normal((3, 4, 5)).astype(np.float64)
    np.save(m.npy("fortran"), np.asfortranarray(now["fortran"]))
    now["big"] = np.arange(24, dtype=np.int32).reshape(2, 12)
    np.save(m.npy("big"), now["big"].astype(">i4"))

    # A model saved as a scratch file in staging/ itself and moved away again: never a tensor.
    save_file({"x": now["np.save"]}, "mnt/staging/scratch.tmp")
    equal([s for s in m.status()["staging"]["scratch"] if "scratch.tmp" in json.dumps(s)] != [], True, "scratch in status")
    equal("scratch.tmp" in m.document(), False, "scratch in the document")
    os.unlink("mnt/staging/scratch.tmp")

    for name, array in now.items():
        equal(read(m.staged(name)), array.tobytes(), f"staged bytes of {name}")
        equal(np.load(m.npy(name)).tobytes(), array.tobytes(), f"npy/ of {name}")
    equal(m.errors(), [], "problems")
    m.commit()
judge("m.safetensors", {name: ({"float32": "F32", "float64": "F64", "int32": "I32"}[str(array.dtype)], list(array.shape), array.tobytes())
                        for name, array in now.items()})
