# SPDX-License-Identifier: Apache-2.0
# metadata.json cannot go. To the process that unlinked it, or renamed it away, it is gone until that creates it anew (O_EXCL works, as
# tar and vim do it) or somebody else looks; to everybody else it was never gone, and the pending model does not change.
from wfs import *

requires("fuse", "vim", "tar")
wanted = save_small()
DOCUMENT = "mnt/staging/metadata.json"

with Mount("m.safetensors") as m:
    before = read(DOCUMENT)

    def gone_to_me():
        with raises("ENOENT"):
            os.stat(DOCUMENT)
        with raises("ENOENT"):
            os.open(DOCUMENT, os.O_RDONLY)

    def there_for_others():
        equal(shell(f"cat {DOCUMENT}").out.encode(), before, "the document in another process")

    for remove in (lambda: os.unlink(DOCUMENT), lambda: os.rename(DOCUMENT, "mnt/staging/kept.json")):
        # Made anew by the one who removed it.
        remove()
        gone_to_me()
        fd = os.open(DOCUMENT, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        equal(os.write(fd, before), len(before), "count")
        os.close(fd)
        equal(read(DOCUMENT), before, "the document, made anew")
        # Looked at by somebody else.
        remove()
        gone_to_me()
        there_for_others()
        equal(read(DOCUMENT), before, "the document after somebody else looked")
        with raises("EEXIST"):
            os.open(DOCUMENT, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        # Never made again.
        remove()
        there_for_others()
        equal(m.changes(), {}, "changes")
        equal(m.status()["staging"]["metadata_changed"], False, "the map")
    equal(read("mnt/staging/kept.json"), before, "what was renamed away")

    # A half-written one that is removed was never there.
    fd = os.open(DOCUMENT, os.O_WRONLY | os.O_TRUNC)
    os.write(fd, b'{"a": ')
    os.close(fd)
    equal(m.errors(), [(None, "DocumentInvalid")], "half a document")
    os.unlink(DOCUMENT)
    equal(m.errors(), [], "after it was removed")
    there_for_others()

    # The tools that save this way.
    os.mkdir("t")
    edited = json.loads(before)
    edited["a"]["shape"] = [5, 1]
    write("t/metadata.json", json.dumps(edited).encode())
    shell("tar -C t -c metadata.json | tar -C mnt/staging -x")
    equal((m.document()["a"]["shape"], m.changes()), ([5, 1], {"a": "declared"}), "after tar x")
    shell(f"vim -Nu NONE -es -c 'set backup writebackup backupcopy=no' -c '%s/\\[5,1\\]/[1,5]/' -c 'wq' {DOCUMENT} >/dev/null 2>&1")
    equal(m.document()["a"]["shape"], [1, 5], "after vim")
    m.umount("--discard")
equal(read("m.safetensors"), build(wanted, {"format": "pt"}), "source")
