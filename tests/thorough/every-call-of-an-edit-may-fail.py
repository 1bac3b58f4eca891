# SPDX-License-Identifier: Apache-2.0
# Each system call with which a mount makes an edit, an fsync or a discard fails once, with each errno that it can give, or is the
# last before a SIGKILL. What was acknowledged is there, in the mount and after a kill and a new mount; what was refused happened
# wholly or not at all; nothing else is touched; and the next try succeeds. EVERY=N looks at every N-th call only.
import io

from injection import *

requires("fuse", "root", "python:numpy")
import numpy  # noqa: E402

every = int(os.environ.get("EVERY", "1"))
sweep = Sweep()
os.mkdir("plain")
save_small("plain/m.safetensors")
model = parse("plain/m.safetensors")[1]


def npy(array):
    file = io.BytesIO()
    numpy.save(file, array)
    return file.getvalue()


def write_and_sync(path, data):
    fd = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
    try:
        os.write(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)


def patch(path, data, at):
    fd = os.open(path, os.O_WRONLY)
    try:
        os.pwrite(fd, data, at)
    finally:
        os.close(fd)


def sync(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def control(m, command):
    answer = m.control(command)
    if answer:
        raise OSError(getattr(errno, answer), answer)


EDITS = {  # what is done; all begin with "optimizer.v" replaced and on disk
    "a first write": lambda m: write(m.staged("a"), bytes(40)),
    "a write and fsync": lambda m: write_and_sync(m.staged("a"), bytes(40)),
    "a patch": lambda m: patch(m.staged("optimizer.m"), b"patched", 100),
    "a patch of what was synced": lambda m: patch(m.staged("optimizer.v"), b"patched", 100),
    "a removal and an fsync of the directory": lambda m: (os.unlink(m.staged("flags")), sync(m / "staging/tensors")),
    "a patch and an fsync of the document": lambda m: (patch(m.staged("a"), b"patched", 0), sync(m / "staging/metadata.json")),
    "a truncation": lambda m: os.truncate(m.staged("optimizer.v"), 8),
    "a rename": lambda m: os.rename(m.staged("scalar"), m.staged("moved")),
    "a rename over": lambda m: os.rename(m.staged("flags"), m.staged("optimizer.v")),
    "a removal": lambda m: os.unlink(m.staged("optimizer.v")),
    "an attribute": lambda m: os.setxattr(m.staged("a"), "user.safetensors.shape", b"[1,5]"),
    "metadata.json": lambda m: write(m / "staging/metadata.json", b'{"__metadata__":{"format":"np"}}'),
    "an .npy": lambda m: write(m.npy("a"), npy(numpy.arange(5, dtype=">i8"))),
    "an .npy in Fortran order": lambda m: write(m.npy("new"), npy(numpy.asfortranarray(numpy.arange(6, dtype="<i4").reshape(2, 3)))),
    "discard": lambda m: control(m, "discard"),
    "discard of one": lambda m: control(m, "discard optimizer.v"),
}


def begin(m):
    size = len(model["optimizer.v"][2])
    write_and_sync(m.staged("optimizer.v"), pattern(size, 9))


def pending(m):
    """All that staging shows: names, bytes, header."""
    shown = {name: read(m.staged(name)) for name in sorted(os.listdir(m / "staging/tensors"))}
    return shown, read(m / "staging/metadata.json")


class Edit:
    def __init__(self, title, do):
        self.title, self.do = title, do
        os.mkdir("first")
        copy("plain", "first")
        with self.mount("first") as m:
            begin(m)
            self.before = pending(m)
            tracer = Tracer(m.pid(), "first.trace")
            do(m)
            self.wait(m)
            tracer.stop()
            self.after = pending(m)
        self.found, _ = read_trace("first.trace", None)
        shutil.rmtree("first")

    def mount(self, directory):
        return Mount(f"{directory}/m.safetensors", f"{directory}.mnt")

    def wait(self, m):
        """The release of a file may come after close has returned: an open of the document waits for it."""
        with contextlib.suppress(OSError):
            read(m / "staging/metadata.json")

    def attempt(self, m, directory, case):
        tracer = Tracer(m.pid(), f"{directory}.trace", *inject(*case))
        try:
            self.do(m)
            return 0
        except OSError as error:
            return errno_name(error)
        finally:
            self.wait(m)
            tracer.stop()

    def judge(self, case, directory):
        fault = case[2]
        copy("plain", directory)
        with self.mount(directory) as m:
            begin(m)
            answer = self.attempt(m, directory, case)
            killed = answer in ("ENOTCONN", "ECONNABORTED") or fault == KILL and not os.path.exists(m / "staging")
            if killed:
                forget_mount(m)
            else:
                seen = self.judge_mounted(m, answer, fault)
                had_errors = bool(m.errors())
                m.kill()
                forget_mount(m)
        with self.mount(directory) as m:
            resumed = pending(m)
            settled = not killed and (answer or had_errors) and resumed in (self.before, self.after)  # understood at last
            if not killed and resumed != seen and not settled:
                fail(f"answered {answer or 'done'}; after a kill staging shows something else: {self.difference(resumed, seen)}")
            if killed:
                self.judge_one_of(resumed, m)
            m.control("discard")  # the next try succeeds
            begin(m)
            self.do(m)
            self.wait(m)
            equal(pending(m) == self.after, True, f"the next try: {self.difference(pending(m), self.after)}")
        os.unlink(f"{directory}.trace")
        os.rmdir(f"{directory}.mnt")
        return "killed" if killed else answer or "done"

    def judge_mounted(self, m, answer, fault):
        seen = pending(m)
        error = fault.removeprefix("error=")
        if answer == 0:
            if seen != self.after and not m.errors():
                fail(f"acknowledged, and not there: {self.difference(seen, self.after)}")
        else:
            equal(answer in (error, "EIO"), True, f"answered {answer} for {error}")
            self.judge_one_of(seen, m)
        return seen

    def judge_one_of(self, seen, m):
        """Before, after, or, of a write that takes several calls, a problem that a commit would name."""
        untouched = {name: data for name, data in self.before[0].items() if self.after[0].get(name) == data}
        for name, data in untouched.items():
            if seen[0].get(name) != data:
                fail(f"{name}, which was not edited, is another")
        if seen not in (self.before, self.after) and not m.errors() and not self.is_between(seen):
            fail(f"neither before nor after, and no problem told: {self.difference(seen, self.after)}")

    def is_between(self, seen):
        """A file that was opened and not yet written, or not yet understood: O_TRUNC, write and close are edits of their own."""
        changed = [name for name in set(seen[0]) | set(self.after[0]) if seen[0].get(name) != self.after[0].get(name)]
        return all(seen[0].get(name) in (b"", self.before[0].get(name)) for name in changed)

    def difference(self, one, other):
        names = [name for name in sorted(set(one[0]) | set(other[0])) if one[0].get(name) != other[0].get(name)]
        return [(name, one[0].get(name, b"-")[:20], other[0].get(name, b"-")[:20]) for name in names] or (one[1][:300], other[1][:300])

    def sweep(self):
        found = self.found[::every]
        sweep.run(self.title, found, faults(found, errnos=3 if every == 1 else 1), self.judge)


for title, do in EDITS.items():
    Edit(title, do).sweep()
sweep.finish()
