# SPDX-License-Identifier: Apache-2.0
# A daemon that does not answer: status and umount give up after 5 s and name its pid; --lazy detaches; afterwards all is well.
from wfs import *

requires("fuse")
save_small()
with Mount("m.safetensors") as m:
    pid = m.pid()
    write(m.staged("a"), bytes(40))
    os.kill(pid, signal.SIGSTOP)
    try:
        for verb in ("status", "umount"):
            began = time.monotonic()
            result = weightfs(verb, "mnt", code=None, timeout=15)
            equal(result.code != 0, True, f"{verb} of a stopped daemon fails")
            equal(3 < time.monotonic() - began < 9, True, f"{verb} took {time.monotonic() - began:.1f} s")
            contains(result.err, str(pid))
        equal(has_ended(pid), False, "the daemon lives")
        weightfs("umount", "--lazy", "mnt", timeout=15, code=None)
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: not os.path.ismount("mnt"), "the mount's end")
    wait_for(lambda: has_ended(pid), "the daemon's end")
with Mount("m.safetensors") as m:
    equal(m.changes(), {"a": "replaced"}, "edits")
    m.umount("--discard")
