# SPDX-License-Identifier: Apache-2.0
# metadata.json is applied when it is closed, and nobody hears of an error then: a full disk at that moment must block the
# commit, which would otherwise drop what was written.
from wfs import *

requires("fuse", "root")
os.mkdir("disk")
run("mount", "-t", "tmpfs", "-o", "size=2m", "weightfs-test", "disk")
try:
    wanted = save_small("disk/m.safetensors")
    with Mount("disk/m.safetensors") as m:
        write(m.staged("a"), pattern(40, 9))
        document = b'{"__metadata__": {"format": "pt", "x": "%s"}}' % (b"y" * 100000)
        fd = os.open(m / "staging/metadata.json", os.O_WRONLY | os.O_TRUNC)
        os.write(fd, document)
        with open("disk/filler", "wb", buffering=0) as filler, contextlib.suppress(OSError):
            while True:
                filler.write(b"z" * 4096)
        os.close(fd)
        wait_for(lambda: m.errors() == [(None, "DocumentInvalid")], "the problem to be told")
        os.unlink("disk/filler")
        contains(m.commit(code=1).err, "metadata.json", "No space left on device")
        equal(parse("disk/m.safetensors")[0], {"format": "pt"}, "__metadata__ after the refused commit")
        write(m / "staging/metadata.json", document)
        m.commit()
        judge("disk/m.safetensors", wanted | {"a": ("I64", [5], pattern(40, 9))}, {"format": "pt", "x": "y" * 100000})
finally:
    run("umount", "-l", "disk")
