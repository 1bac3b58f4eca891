# SPDX-License-Identifier: Apache-2.0
# docs/staging.md 9: what write(2) to .weightfs/control returns, and that the status file says the rest.
from wfs import *

requires("fuse")
wanted = save_small()
with Mount("m.safetensors") as m:
    before = read("m.safetensors")
    for command in ("commit", "commit\n", "check", "discard", "cancel\n"):
        equal(m.control(command), 0, f"{command!r} with nothing staged")
    equal(read("m.safetensors"), before, "file after doing nothing")
    for command in ("", "comit", "commit now please", "x" * 5000, "\0", "discard\0x"):
        if command:
            equal(m.control(command), "EOPNOTSUPP", f"{command[:20]!r}")

    # done
    write(m.staged("a"), bytes(40))
    wanted["a"] = ("I64", [5], bytes(40))
    equal(m.control("commit\n"), 0, "commit")
    judge("m.safetensors", wanted)
    equal(read(m.tensor("a")), bytes(40), "visible before the reply")
    equal((m.status()["commit"]["state"], m.status()["last"]["ok"]), ("done", True), "status after a commit")

    # problems
    write(m.staged("undeclared"), b"123")
    equal(m.control("check"), "EINVAL", "check with a problem")
    equal(m.control("commit"), "EINVAL", "commit with a problem")
    contains(m.text(), "undeclared")
    equal([p["code"] for p in m.status()["last"]["problems"]], ["DtypeUndeclared"], "problems of the last commit")
    equal(m.status()["commit"]["state"], "failed", "state")
    os.unlink(m.staged("undeclared"))

    # open for writing: EBUSY names tensor, pid and command
    fd = os.open(m.staged("a"), os.O_WRONLY)
    os.write(fd, b"half")
    began = time.monotonic()
    equal(m.control("commit"), "EBUSY", "commit while a file is open for writing")
    equal(0.5 < time.monotonic() - began < 5, True, "waited about a second for releases")
    contains(m.text(), "'a'", str(os.getpid()), "python")
    result = weightfs("commit", "mnt", code=3)
    contains(result.err, "'a'", str(os.getpid()))
    os.close(fd)
    equal(m.control("discard"), 0, "discard")
    equal(m.changes(), {}, "changes")

    # the source changed underneath
    write(m.staged("a"), pattern(40, 1))
    os.utime("m.safetensors", ns=(1, 1))
    equal(m.control("commit"), "ESTALE", "commit onto a changed source")
    equal(weightfs("commit", "mnt", code=3).err.count("\n"), 1, "lines of the refusal")
    equal(m.changes(), {"a": "replaced"}, "edits kept")
    m.umount("--discard")

# The shell's way: the exit code is echo's, the words are in status.
with Mount("m.safetensors") as m:
    write(m.staged("undeclared"), b"123")
    result = shell("echo commit > mnt/.weightfs/control || cat mnt/.weightfs/status")
    contains(result.out, "undeclared", "DtypeUndeclared")
    shell("echo discard > mnt/.weightfs/control")
    shell("echo check >> mnt/.weightfs/control")
    write(m.staged("a"), pattern(40, 3))
    shell("echo commit > mnt/.weightfs/control")
    wanted["a"] = ("I64", [5], pattern(40, 3))
judge("m.safetensors", wanted)
