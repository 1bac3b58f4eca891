# SPDX-License-Identifier: Apache-2.0
"""Every system call of a command fails once, or is the last before a SIGKILL: what the tests of that share.

strace names a call by (name, number) and counts by thread. A sweep traces the command once without a fault, and runs it again
for each call and each errno that the call can give, or with SIGKILL on entry: that is before this call and after the one before.
"""
import collections
import concurrent.futures
import re
import shutil

from wfs import *

ERRORS = {
    "openat": ["EIO", "ENOSPC", "EDQUOT", "EACCES", "EROFS", "EMFILE", "ENOMEM"],
    "mkdirat": ["EIO", "ENOSPC", "EDQUOT", "EACCES", "EROFS"],
    "pwrite64": ["EIO", "ENOSPC", "EDQUOT", "EINTR"],
    "copy_file_range": ["EIO", "ENOSPC", "EDQUOT", "ENOMEM", "EINTR"],
    "ioctl": ["EIO", "ENOSPC", "EINTR"],
    "fsync": ["EIO", "ENOSPC", "EDQUOT", "EINTR"],
    "ftruncate": ["EIO", "EINTR"],
    "fallocate": ["EIO", "ENOSPC", "EDQUOT"],
    "linkat": ["EIO", "ENOSPC", "EDQUOT", "EACCES", "EPERM", "EROFS"],
    "renameat": ["EIO", "ENOSPC", "EDQUOT", "EACCES", "EPERM", "EROFS"],
    "renameat2": ["EIO", "ENOSPC", "EDQUOT", "EACCES", "EPERM", "EROFS"],
    "unlinkat": ["EIO", "EACCES", "EPERM", "EROFS"],
    "fchmod": ["EIO", "EPERM", "EROFS"],
    "fchown": ["EIO", "EDQUOT", "EPERM", "EROFS"],
    "fsetxattr": ["EIO", "ENOSPC", "EDQUOT", "EPERM"],
    "fremovexattr": ["EIO", "EPERM"],
    "fgetxattr": ["EIO", "ENOMEM"],
    "flistxattr": ["EIO", "ENOMEM"],
    "fstat": ["EIO", "ENOMEM"],
    "newfstatat": ["EIO", "EACCES", "ENOMEM"],
    "fstatfs": ["EIO"],
    "fcntl": ["EMFILE", "ENOLCK"],
    "pread64": ["EIO", "EINTR"],
    "getdents64": ["EIO"],
    "sync_file_range": ["EIO", "ENOSPC"],
    "dup3": ["EMFILE"],
}
CHANGING = {"openat", "mkdirat", "pwrite64", "copy_file_range", "ioctl", "fsync", "ftruncate", "fallocate", "linkat", "renameat",
            "renameat2", "unlinkat", "fchmod", "fchown", "fsetxattr", "fremovexattr", "dup3"}
TRACE = "trace=" + ",".join(ERRORS)
KILL = "signal=KILL"
os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"  # which does not work under strace
requires("strace")


def read_trace(path, begin):
    """((name, number) of each call from the first line with `begin` on, how many cannot be told apart from earlier ones).
    `begin` None: from the first line on."""
    counts, found, hidden, loading = collections.Counter(), [], 0, {}
    main, begun = None, begin is None
    for line in read(path).decode(errors="replace").splitlines():
        if ".gcda" in line:
            break  # a coverage build that writes down what it counted
        call = re.match(r"(\d+) +(\w+)\(", line)
        if not call or call.group(2) not in ERRORS:
            continue
        thread, name = call.groups()
        main = main or thread
        counts[thread, name] += 1
        if not begun and begin in line:
            begun, loading = True, {word: counts[main, word] for word in ERRORS}
            loading[name] -= 1
        case = (name, counts[thread, name])
        if begun and case not in found:
            if case[1] > loading.get(name, 0):
                found.append(case)
            else:
                hidden += 1
    return found, hidden


def faults(found, errnos=None, names=None, kill=True):
    """(name, number, fault) of a sweep; `errnos`: at most so many for a call, another choice for each."""
    for index, (name, number) in enumerate(found):
        if names and name not in names:
            continue
        all_errnos = ERRORS[name]
        chosen = all_errnos if errnos is None else [all_errnos[(index + i) % len(all_errnos)] for i in range(min(errnos, len(all_errnos)))]
        for error in chosen:
            yield name, number, f"error={error}"
        if kill and name in CHANGING:
            yield name, number, KILL


def strace(trace, words, *options, **more):
    return run("strace", "-f", "-o", trace, "-e", TRACE, *options, *words, code=None, **more)


def inject(name, number, fault):
    return "-e", f"inject={name}:{fault}:when={number}"


class Tracer:
    """strace that follows a process that runs already."""

    def __init__(self, pid, trace, *options):
        self.trace = trace
        self.process = subprocess.Popen(["strace", "-f", "-qq", "-o", trace, "-e", TRACE, *options, "-p", str(pid)],
                                        stderr=subprocess.PIPE, text=True)
        for _ in range(4000):
            tasks = [f"/proc/{pid}/task/{task}/status" for task in os.listdir(f"/proc/{pid}/task")]
            if all(b"TracerPid:\t0\n" not in read(task) for task in tasks):
                return
            if self.process.poll() is not None:
                skip(f"strace cannot attach: {self.process.stderr.read().strip()}")
            time.sleep(0.005)
        skip("strace cannot attach")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.communicate(timeout=5)
        except subprocess.TimeoutExpired:  # it lost count of the threads that were killed
            self.process.kill()
            self.process.communicate()

    def injected(self):
        return b"(INJECTED)" in read(self.trace)


# --- what is staged in all of them ---

def stage(m):
    write(m.staged("a"), pattern(40, 60))
    if os.path.exists(m.staged("optimizer.m")):
        with open(m.staged("optimizer.m"), "r+b") as file:
            file.seek(100)
            file.write(b"patched")
        os.rename(m.staged("scalar"), m.staged("moved"))
        os.unlink(m.staged("flags"))
    else:
        os.setxattr(m.staged("a"), "user.safetensors.dtype", b"U8")
        os.setxattr(m.staged("a"), "user.safetensors.shape", b"[40]")


def copy(source, directory):
    hidden = [name for name in os.listdir(source) if ".weightfs-" in name]  # known by their inode
    run("cp", "-a", *(os.path.join(source, name) for name in os.listdir(source) if name not in hidden), directory)
    for name in hidden:
        os.link(os.path.join(source, name), os.path.join(directory, name))


def content(path):
    return read(path) if os.path.exists(path) else None


def forget_mount(m):
    """A mount whose daemon is gone."""
    wait_for(lambda: run("fusermount3", "-u", "-z", m.directory, code=None).code == 0 or not os.path.ismount(m.directory), "the mount's end")


class Sweep:
    """Runs cases two at a time and counts what came out."""

    def __init__(self):
        self.outcomes, self.failures, self.runs, self.begun = collections.Counter(), [], 0, time.monotonic()
        self.total, self.total_calls = 0, 0

    def run(self, title, found, cases, judge, hidden=0):
        """judge(case, directory) runs one case in a directory of its own and returns its outcome in a word or two."""
        begun, outcomes = time.monotonic(), collections.Counter()

        def one(numbered):
            number, case = numbered
            directory = f"case.{title.replace(' ', '_')}.{number}"
            os.mkdir(directory)
            try:
                outcome = judge(case, directory)
            except Exception as error:
                self.failures.append(f"{title}: {case[0]} {case[1]} {case[2]}: {type(error).__name__}: {error}")
                return "FAILED"
            shutil.rmtree(directory, ignore_errors=True)
            return outcome

        cases = list(cases)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for outcome in pool.map(one, enumerate(cases)):
                outcomes[outcome] += 1
        self.total += len(cases)
        self.total_calls += len(found)
        told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
        print(f"{title}: {len(found)} calls{f' ({hidden} more cannot be told apart)' if hidden else ''}, {len(cases)} runs, "
              f"{time.monotonic() - begun:.0f} s: {told}", flush=True)

    def finish(self):
        print(f"{self.total_calls} calls, {self.total} runs, {len(self.failures)} failures")
        if self.failures:
            fail("\n".join(self.failures[:10] + self.failures[10:][-10:]))
