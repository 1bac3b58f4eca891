# SPDX-License-Identifier: Apache-2.0
# close_range(2) and exit(2) let go of many descriptors at once, and the daemon hears of them on several threads: one of them is
# the last, and what waits for it (the document, an .npy) happens.
from wfs import *

requires("fuse")

ROUNDS = 400

save_small()
with Mount("m.safetensors") as m:
    path = m / "staging/metadata.json"
    for i in range(ROUNDS):
        wanted = {"format": "pt", "round": str(i)}
        document = json.dumps({"__metadata__": wanted}).encode()
        descriptors = [os.open(path, os.O_WRONLY | os.O_TRUNC)] + [os.open(path, os.O_WRONLY) for _ in range(3)]
        os.write(descriptors[0], document)
        equal(descriptors, list(range(descriptors[0], descriptors[0] + 4)), "the descriptors")
        os.closerange(descriptors[0], descriptors[0] + 4)
        wait_for(lambda: read(path) != document, f"the document of round {i} to be applied")
        equal(m.document()["__metadata__"], wanted, "the document as applied")
    m.commit()
    equal(parse("m.safetensors")[0], wanted, "__metadata__ after the commit")
