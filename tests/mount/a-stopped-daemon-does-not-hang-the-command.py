# SPDX-License-Identifier: Apache-2.0
# A daemon that does not answer: every verb gives up after 5 s and names its pid, whether the kernel knows the files already or not;
# --lazy detaches; afterwards all is well.
from wfs import *

requires("fuse")
import concurrent.futures  # noqa: E402

VERBS = (["status"], ["check"], ["commit"], ["discard"], ["discard", "mnt", "a"], ["diff"], ["ls"], ["inspect"], ["umount"], ["umount", "--commit"])


def daemon_here():
    """The pid of the daemon that serves this directory's model, found without asking it."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if b"m.safetensors\0mnt" in read(f"/proc/{pid}/cmdline") and any(
                    os.readlink(f"/proc/{pid}/fd/{fd}") == os.getcwd() for fd in os.listdir(f"/proc/{pid}/fd")):
                found.append(int(pid))
        except OSError:
            pass
    equal(len(found), 1, "daemons found")
    return found[0]


def given_up(words):
    began = time.monotonic()
    words = words + ["mnt"] if "mnt" not in words else words
    return words, weightfs(*words, code=None, timeout=40), time.monotonic() - began


def try_all(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        with concurrent.futures.ThreadPoolExecutor(len(VERBS)) as pool:
            for words, result, seconds in pool.map(given_up, VERBS):
                equal(result.code != 0, True, f"{words} of a stopped daemon fails")
                equal(3 < seconds < 20, True, f"{words} took {seconds:.1f} s")
                contains(result.err, str(pid))
        equal(has_ended(pid), False, "the daemon lives")
    finally:
        os.kill(pid, signal.SIGCONT)


save_small()
with Mount("m.safetensors") as m:  # nothing was asked yet
    try_all(daemon_here())
    wait_for(lambda: weightfs("status", "mnt", code=None).code == 0, "an answer")
    equal(m.changes(), {}, "changes")

    pid = m.pid()  # and when all is known
    write(m.staged("a"), bytes(40))
    try_all(pid)
    os.kill(pid, signal.SIGSTOP)
    try:
        weightfs("umount", "--lazy", "mnt", timeout=40, code=None)
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: not os.path.ismount("mnt"), "the mount's end")
    wait_for(lambda: has_ended(pid), "the daemon's end")
with Mount("m.safetensors") as m:
    equal(m.changes(), {"a": "replaced"}, "edits")
    m.umount("--discard")
