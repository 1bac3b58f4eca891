# SPDX-License-Identifier: Apache-2.0
# Each system call of a commit fails once (strace injects it): exit 4 and one sentence, the old model and the edits as they were,
# and the commit after it succeeds. Only when the directory's last fsync fails is the model new: exit 5.
from wfs import *

requires("fuse", "strace", "root")
old = {"a": tensor("U8", [64], 1), "big": tensor("U8", [300_000], 2)}
original = build(old, {"format": "pt"})
ERRORS = ["EIO", "ENOSPC", "EDQUOT"]


def attach(pid, *options):
    tracer = subprocess.Popen(["strace", "-f", "-qq", "-o", "trace", *options, "-p", str(pid)], stderr=subprocess.PIPE, text=True)
    for _ in range(200):
        if b"TracerPid:\t0\n" not in read(f"/proc/{pid}/status"):
            return tracer
        if tracer.poll() is not None:
            skip(f"strace cannot attach: {tracer.stderr.read().strip()}")
        time.sleep(0.01)
    skip("strace cannot attach")


def detach(tracer):
    tracer.send_signal(signal.SIGINT)
    tracer.wait(timeout=10)


def stage():
    write("m.safetensors", original)
    m = Mount("m.safetensors")
    write(m.staged("a"), bytes(64))
    return m


def calls_of_a_commit():
    """{call: how many} of those that change something on disk."""
    with stage() as m:
        tracer = attach(m.pid(), "-e", "trace=fsync,fdatasync,linkat,renameat,renameat2,rename,copy_file_range,pwrite64,pwritev,openat,ftruncate,fallocate")
        m.commit()
        detach(tracer)
    names = [line.split(None, 1)[1].split("(")[0] for line in read("trace").decode().splitlines() if "(" in line and "resumed" not in line]
    return {name: names.count(name) for name in sorted(set(names))}


runs = 0
for call, count in calls_of_a_commit().items():
    for when in range(1, min(count, 6) + 1):
        error = ERRORS[runs % len(ERRORS)] if call in ("fsync", "fdatasync", "copy_file_range", "pwrite64", "ftruncate", "fallocate") else ["EIO", "ENOSPC", "EACCES"][runs % 3]
        m = stage()
        tracer = attach(m.pid(), "-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={when}")
        result = m.commit(code=None)
        detach(tracer)
        what = f"{call} number {when} fails with {error}: {result}"
        injected = b"(INJECTED)" in read("trace")
        runs += 1
        if result.code == 0:  # a call that can be done without, such as a cheaper way to copy, or one that was not reached
            judge("m.safetensors", old | {"a": ("U8", [64], bytes(64))})
        elif result.code == 5:
            equal(call, "fsync", what)
            judge("m.safetensors", old | {"a": ("U8", [64], bytes(64))})
        else:
            equal((result.code, injected), (4, True), what)
            contains(one_sentence(result.err), "weightfs: ")
            equal(read("m.safetensors") == original, True, f"old model after {what}")
            equal(m.changes(), {"a": "replaced"}, f"edits after {what}")
            equal([f for f in os.listdir(".") if f not in ("m.safetensors", "mnt", "trace", ".m.safetensors.staging")], [], f"files left after {what}")
            again = m.commit(code=None)
            if again.code != 0:  # an fsync that failed once is never trusted by trying again
                equal((again.code, call in ("fsync", "fdatasync")), (4, True), f"the commit after {what}\n{again}")
                if "SpoolDamaged" in again.err:  # a staged file: written anew
                    os.unlink(m.staged("a"))
                    write(m.staged("a"), bytes(64))
                else:  # the journal: read anew
                    m.umount()
                    m = Mount("m.safetensors")
                m.commit()
            judge("m.safetensors", old | {"a": ("U8", [64], bytes(64))})
        m.umount()
print(f"{runs} commits with a failing call")
