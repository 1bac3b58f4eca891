# SPDX-License-Identifier: Apache-2.0
# A commit that strace slows down, so that it can be met in a phase: `cancel`, Ctrl-C in a terminal, of the command and of a shell that
# writes to control, and a signal to the daemon end it with ECANCELED and 130, with nothing changed and nothing left; after the
# rename they are too late, and it is told as done. Meanwhile everything else answers EBUSY at once.
from wfs import *

requires("fuse", "strace")
import pty  # noqa: E402
import re  # noqa: E402
import threading  # noqa: E402

os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"  # which does not work under strace
SIZE = 40 << 20
SECOND = 1_000_000
# What is delayed, so that a commit stays in its phase for a while: its first fsync is that of the staged file, its fifth that of the new one.
PHASES = {"planning": ("fsync", f"delay_enter={SECOND}:when=1"), "copying": ("copy_file_range,ioctl,pwrite64", f"delay_enter={SECOND // 40}"),
          "syncing": ("fsync", f"delay_enter={SECOND}:when=5"), "publishing": ("linkat", f"delay_enter={SECOND}")}
WEIGHTFS = os.environ["WEIGHTFS"]
save("m.safetensors", {"a": tensor("U8", [8]), "big": ("U8", [SIZE], os.urandom(SIZE))})


class Slow:
    """The daemon's system calls are delayed meanwhile."""

    def __init__(self, pid, phase):
        calls, delay = PHASES[phase]
        self.process = subprocess.Popen(["strace", "-f", "-o", "/dev/null", "-p", str(pid), "-e", f"trace={calls}",
                                         "-e", f"inject={calls}:{delay}"], stderr=subprocess.PIPE, text=True)
        if "attached" not in self.process.stderr.readline():
            skip("strace cannot attach to a process here")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.process.stderr.close()


def wait_for_phase(m, phase):
    def is_there():
        commit = m.status()["commit"]
        return commit["state"] == "running" and commit["phase"] == phase
    wait_for(is_there, f"a commit that is {phase}", 20)


# --- the ways to cancel: each begins a commit, cancels it in the phase, and tells how it ended

def by_cancel(m, phase):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(m.control("commit")))
    thread.start()
    wait_for_phase(m, phase)
    equal(m.control("cancel"), 0, "cancel")
    thread.join()
    return {"ECANCELED": 130}.get(answers[0], answers[0])


def in_terminal(m, phase, *command):
    """Ctrl-C typed into a terminal of its own."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp(command[0], command)
    wait_for_phase(m, phase)
    os.write(terminal, b"\x03")
    with contextlib.suppress(OSError):  # EIO: nobody has it open any more
        while os.read(terminal, 4096):
            pass
    os.close(terminal)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    wait_for(lambda: m.status()["commit"]["state"] != "running", "the commit's end", 20)
    return code


def by_terminal(m, phase):
    return in_terminal(m, phase, WEIGHTFS, "commit", "mnt")


def by_shell(m, phase):
    code = in_terminal(m, phase, "sh", "-c", "echo commit >mnt/.weightfs/control")
    return {-signal.SIGINT: 130}.get(code, code)


def by_signal(number):
    def kill(m, phase):
        pid = m.pid()
        process = subprocess.Popen([WEIGHTFS, "commit", "mnt"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        wait_for_phase(m, phase)
        os.kill(pid, number)
        err = process.communicate(timeout=30)[1]
        if process.returncode not in (0, 130):
            fail(f"signal {number} while {phase}: {process.returncode}: {err}")
        wait_for(lambda: has_ended(pid), "the daemon's end", 20)
        return process.returncode
    return kill


def cancel(phase, way, what):
    m = Mount("m.safetensors")
    stamp = os.stat("m.safetensors")
    write(m.staged("a"), os.urandom(8))
    pid = m.pid()
    with Slow(pid, phase):
        code = way(m, phase)
    now = os.stat("m.safetensors")
    is_same = (now.st_ino, now.st_mtime_ns, now.st_ctime_ns, now.st_size) == (stamp.st_ino, stamp.st_mtime_ns, stamp.st_ctime_ns, stamp.st_size)
    if what == "a shell":  # it ends with the signal, whatever the answer
        code = 130
    allowed = (0, 130) if phase == "publishing" else (130,)  # its first steps can be cancelled, too
    equal(code in allowed, True, f"{what} while {phase} is answered with {code}: {allowed}")
    equal(is_same, code == 130, f"source untouched after {what} while {phase}")
    if os.path.ismount("mnt"):
        equal(m.status()["commit"]["state"], "cancelled" if code else "done", f"state after {what} while {phase}")
        held = [os.stat(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        equal([st.st_size for st in held if stat.S_ISREG(st.st_mode) and st.st_nlink == 0], [], "nameless files that the daemon holds")
        weightfs("umount", "--discard", "mnt")
    elif code:
        equal(weightfs("status", "--json", "m.safetensors").json()["staging"]["changes"][0]["kind"], "replaced", "the edit")
        weightfs("discard", "m.safetensors")
    equal(sorted(os.listdir(".")), ["m.safetensors", "mnt"], f"files after {what} while {phase}")


cancel("planning", by_terminal, "Ctrl-C")
cancel("planning", by_signal(signal.SIGHUP), "SIGHUP")
cancel("copying", by_cancel, "cancel")
cancel("copying", by_terminal, "Ctrl-C")
cancel("copying", by_shell, "a shell")
cancel("copying", by_signal(signal.SIGTERM), "SIGTERM")
cancel("syncing", by_cancel, "cancel")
cancel("syncing", by_signal(signal.SIGINT), "SIGINT")
cancel("publishing", by_terminal, "Ctrl-C")
cancel("publishing", by_cancel, "cancel")
cancel("publishing", by_signal(signal.SIGTERM), "SIGTERM")

# Everything else, while a commit runs; and what the command says that has no terminal.
with Mount("m.safetensors") as m:
    write(m.staged("a"), b"12345678")
    with Slow(m.pid(), "copying"):
        process = subprocess.Popen([WEIGHTFS, "commit", "mnt"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        wait_for_phase(m, "copying")
        began = time.monotonic()
        with raises("EBUSY"):
            os.unlink(m.staged("big"))
        with raises("EBUSY"):
            write(m.staged("new"), b"x")
        with raises("EBUSY"):
            os.rename(m.staged("a"), m.staged("b"))
        equal([m.control(word) for word in ("commit", "discard", "discard a")], ["EBUSY"] * 3, "control")
        equal(read(m.tensor("a")), read(m.tensor("a")), "reading")
        one_sentence(weightfs("commit", "mnt", code=3).err)
        one_sentence(weightfs("umount", "mnt", code=3).err)
        one_sentence(weightfs("umount", "--discard", "mnt", code=3).err)
        print(f"answered in {time.monotonic() - began:.1f} s")
        err = process.communicate(timeout=60)[1]
    equal(process.returncode, 0, err)
    tenths = [int(re.fullmatch(r"\w+ (\d+)0% \([\d.]+ \w+ of [\d.]+ MiB\)", line)[1]) for line in err.splitlines()]
    equal(tenths, sorted(set(tenths)), "a line for every 10 %, no more")
    equal(0 < len(tenths) <= 10, True, f"lines of progress: {err}")
    equal(read(m.tensor("a")), b"12345678", "committed")
