# SPDX-License-Identifier: Apache-2.0
# Many small sessions: after each, staging/m.safetensors and the committed file are the same bytes, and every reader agrees.
from wfs import *

requires("fuse")
import random  # noqa: E402

wanted = save_small()
metadata = {"format": "pt"}
with Mount("m.safetensors") as m:
    for round in range(12):
        chance = random.Random(round)
        for step in range(6):
            name = chance.choice(sorted(wanted))
            dtype, shape, data = wanted[name]
            what = chance.choice(["replace", "patch", "rename", "copy", "remove", "add", "metadata"])
            if what == "replace":
                data = pattern(len(data), round * 10 + step)
                write(m.staged(name), data)
                wanted[name] = dtype, shape, data
            elif what == "patch" and len(data) > 8:
                at = chance.randrange(len(data) - 4)
                with open(m.staged(name), "r+b") as f:
                    f.seek(at)
                    f.write(b"edit")
                wanted[name] = dtype, shape, data[:at] + b"edit" + data[at + 4:]
            elif what == "rename":
                os.rename(m.staged(name), m.staged(f"moved.{round}.{step}"))
                wanted[f"moved.{round}.{step}"] = wanted.pop(name)
            elif what == "copy" and data:
                shell(f"cp mnt/staging/tensors/{name} mnt/staging/tensors/copy.{round}.{step}")
                wanted[f"copy.{round}.{step}"] = wanted[name]
            elif what == "remove" and len(wanted) > 5:
                os.unlink(m.staged(name))
                del wanted[name]
            elif what == "add":
                fresh = tensor(chance.choice(DTYPES), [2, 4 * chance.randrange(5)], step)
                write(m.staged(f"new.{round}.{step}"), fresh[2])
                os.setxattr(m.staged(f"new.{round}.{step}"), "user.safetensors.dtype", fresh[0].encode())
                os.setxattr(m.staged(f"new.{round}.{step}"), "user.safetensors.shape", json.dumps(fresh[1]).encode())
                wanted[f"new.{round}.{step}"] = fresh
            elif what == "metadata":
                metadata = {"format": "pt", "round": str(round), "quote": 'a"b\\é\n'}
                write(m / "staging/metadata.json", json.dumps({"__metadata__": metadata}).encode())
        preview = read(m.preview)
        same_tensors(parse(preview)[1], wanted)
        equal(os.stat(m.preview).st_size, len(preview), "size of the preview")
        m.commit()
        equal(read("m.safetensors"), preview, f"committed file against its preview, round {round}")
        equal(read(m.whole), preview, "the mount after the commit")
        equal(m.changes(), {}, "changes after the commit")
        judge("m.safetensors", wanted, metadata)

    # An open preview keeps its header; a change makes reads through it ESTALE and a fresh open right.
    fd = os.open(m.preview, os.O_RDONLY)
    name = next(n for n in sorted(wanted) if wanted[n][2])
    write(m.staged(name), pattern(len(wanted[name][2]), 77))
    with raises("ESTALE"):
        os.pread(fd, 100, 1 << 20)
        os.pread(fd, 4096, 0)
    os.close(fd)
    equal(parse(m.preview)[1][name][2], pattern(len(wanted[name][2]), 77), "fresh preview")
    with raises("EROFS"):
        os.open(m.preview, os.O_WRONLY)
    m.umount("--discard")

# The writer is deterministic: the same edits give the same bytes.
results = []
for _ in range(2):
    save_small("n.safetensors")
    with Mount("n.safetensors", "det") as m:
        os.unlink(m.staged("a"))
        write(m.staged("layers.0.w"), bytes(512))
        os.rename(m.staged("optimizer.m"), m.staged("opt"))
        m.commit()
    results.append(read("n.safetensors"))
equal(results[0], results[1], "two commits of the same edits")
