# SPDX-License-Identifier: Apache-2.0
# A commit on staging that was left behind, with each system call of it failing once with each errno that it can give, and with
# the process killed at each: the model is the old or the new one, whole; what is staged is there as long as it is old; the exit
# code and one sentence tell which. Plain, with --backup, of a model that is created, and where there is no O_TMPFILE; then the
# same in a mount, with -o output=, too. EVERY=N looks at every N-th call only, and FILES=1 leaves the mounts out.
from injection import *

requires("fuse", "cc", "root")
every = int(os.environ.get("EVERY", "1"))
weightfs_path = os.environ["WEIGHTFS"]
sweep = Sweep()

# Where openat answers EOPNOTSUPP to O_TMPFILE, as on vfat or NFS.
write("shim.c", b"""#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>
int openat64(int fd, const char *name, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    unsigned mode = va_arg(list, unsigned);
    va_end(list);
    if ((flags & O_TMPFILE) == O_TMPFILE)
        return errno = EOPNOTSUPP, -1;
    return (int)syscall(SYS_openat, fd, name, flags, mode);
}
int openat(int, const char *, int, ...) __attribute__((alias("openat64")));
""")
run("cc", "-shared", "-fPIC", "-o", "shim.so", "shim.c")
shim = dict(os.environ, LD_PRELOAD=os.path.abspath("shim.so"),
            ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0")  # a sanitizer would come first


os.mkdir("edited")
save_small("edited/m.safetensors")
os.setxattr("edited/m.safetensors", "user.origin", b"test")
with Mount("edited/m.safetensors") as mount:
    stage(mount)
os.mkdir("backed")
copy("edited", "backed")
write("backed/m.safetensors~", b"an older one")
os.mkdir("begun")
with Mount("begun/m.safetensors", "mnt", "--create") as mount:
    stage(mount)

FIRST = re.compile("the next try takes them up|case[^:]*: Read-only")  # nothing was tried yet: EROFS is a refusal


def judge_exit(fault, result, is_new):
    """The exit code is the table's (docs/staging.md 9), and one sentence says what to do."""
    error = fault.removeprefix("error=")
    if is_new:
        equal(result.code in (0, 5), True, f"exit code of a commit that was done: {result}")
        if result.code == 5:
            contains(one_sentence(result.err), "power loss")
        return
    sentence = one_sentence(result.err)
    if result.code == 2 and sentence.endswith("m.safetensors: No such file or directory"):
        return  # a model that is not there and edits that cannot be seen
    equal(result.code, 3 if error == "EROFS" and FIRST.search(sentence) else 4, f"exit code of a commit that failed: {result}")
    if error != "ENOMEM":
        equal(bool(re.search(r"case\.|m\.safetensors", sentence)), True, f"names the file: {sentence}")
    opening = re.search(r"case[^:]*: (cannot[^:;]*: )?[A-Z][\w /-]+$", sentence)  # of the model: there is nothing more to say
    if not opening and error != "ENOMEM" and not re.search(r"nothing was changed|commit again|are kept|removed and written", sentence):
        fail(f"does not say what to do: {sentence}")


class Commits:
    """`weightfs commit` of a copy of a directory with edits."""

    def __init__(self, title, template, options=(), environment=None, backup=None):
        self.title, self.template, self.options, self.environment, self.backup = title, template, options, environment, backup
        self.old = content(f"{template}/m.safetensors")
        os.mkdir("first")
        copy(template, "first")
        equal(self.commit("first", "-qq").code, 0, "exit code without a fault")
        self.new = read("first/m.safetensors")
        self.files = sorted(os.listdir("first"))
        self.found, self.hidden = read_trace("first.trace", "m.safetensors")
        shutil.rmtree("first")

    def commit(self, directory, *options):
        return strace(f"{directory}.trace", [weightfs_path, "commit", *self.options, f"{directory}/m.safetensors"], *options,
                      env=self.environment)

    def judge(self, case, directory):
        name, number, fault = case
        copy(self.template, directory)
        result = self.commit(directory, *inject(*case))
        after = content(f"{directory}/m.safetensors")
        if after not in (self.old, self.new):
            fail(f"the file is neither the old nor the new one: {result}")
        is_new = after == self.new
        if fault != KILL:
            judge_exit(fault, result, is_new)
        if name == "fsync" and fault not in (KILL, "error=EINTR") and result.code == 0:
            fail(f"nothing was said of a failed fsync: {result}")
        if fault == "error=EINTR" and name != "ftruncate" and result.code != 0:
            fail(f"an interrupted call was not done again: {result}")
        if self.backup is not None and content(f"{directory}/m.safetensors~") not in ((self.old,) if is_new else (self.old, self.backup)):
            fail(f"the backup is neither the old model nor what was there: {result}")
        again = weightfs("commit", *self.options, f"{directory}/m.safetensors", code=None)
        if again.code == 4 and "SpoolDamaged" in again.err:
            fail(f"a fault that is over is still felt: {again}")
        equal(again.code, 0, f"exit code of the next commit, after {result}: {again}")
        equal(read(f"{directory}/m.safetensors") == self.new, True, f"the next commit brings the edits, after {result}")
        left = sorted(set(os.listdir(directory)) - set(self.files))
        if left:
            fail(f"left behind: {left}")
        os.unlink(f"{directory}.trace")
        return f"{'killed' if result.code in (-9, 137) else f'exit {result.code}'} {'new' if is_new else 'old'}"

    def sweep(self, **options):
        found = self.found[::every]
        sweep.run(self.title, found, faults(found, **options), self.judge, self.hidden)


PUBLISHING = {"openat", "linkat", "renameat", "renameat2", "unlinkat", "fsync", "fcntl", "newfstatat"}
Commits("a commit", "edited").sweep(errnos=None if every == 1 else 1)
Commits("--backup", "backed", ["--backup"], backup=b"an older one").sweep(errnos=2 if every == 1 else 1, names=PUBLISHING)
Commits("of a new model", "begun").sweep(errnos=2 if every == 1 else 1, names=PUBLISHING)
Commits("no O_TMPFILE", "edited", environment=shim).sweep(errnos=2 if every == 1 else 1, names=PUBLISHING)

# --- in a mount ---

os.mkdir("elsewhere")
shutil.copy2("edited/m.safetensors", "elsewhere/m.safetensors")
with Mount("elsewhere/m.safetensors", "mnt", "-o", "output=elsewhere/out.safetensors") as mount:
    stage(mount)


class MountedCommits:
    """A write of "commit" to control, in a mount of such a copy."""

    def __init__(self, title, template, target="m.safetensors", options=(), command="commit"):
        self.title, self.template, self.target, self.options, self.command = title, template, target, options, command
        self.old = content(f"{template}/{target}")
        os.mkdir("first")
        copy(template, "first")
        with self.mount("first") as m:
            equal(self.commit(m, "first"), 0, "a commit without a fault")
        self.new = read(f"first/{target}")
        self.found, _ = read_trace("first.trace", None)
        self.files = sorted(os.listdir("first"))
        shutil.rmtree("first")

    def mount(self, directory):
        return Mount(f"{directory}/m.safetensors", f"{directory}.mnt", *(option.replace("DIR", directory) for option in self.options))

    def commit(self, m, directory, *options):
        tracer = Tracer(m.pid(), f"{directory}.trace", *options)
        try:
            return m.control(self.command)
        except OSError as error:  # of the close, too
            return errno_name(error)
        finally:
            tracer.stop()

    def judge(self, case, directory):
        name, number, fault = case
        copy(self.template, directory)
        with self.mount(directory) as m:
            edits = m.changes()
            answer = self.commit(m, directory, *inject(*case))
            after = content(f"{directory}/{self.target}")
            if after not in (self.old, self.new):
                fail("the file is neither the old nor the new one")
            is_new = after == self.new
            if fault == KILL and answer != 0:
                forget_mount(m)
            else:
                self.judge_answer(m, fault, answer, is_new, edits)
        if fault == KILL and not is_new:
            with self.mount(directory) as m:
                equal(m.changes(), edits, "edits after the kill")
                equal(m.control(self.command), 0, "the next commit")
            after = content(f"{directory}/{self.target}")
        elif fault == KILL:
            with self.mount(directory) as m:  # cleans up
                equal(m.changes(), {}, "edits after the kill")
        equal(content(f"{directory}/{self.target}") == self.new, True, "the edits are in the file at last")
        if sorted(os.listdir(directory)) != self.files:  # what could not be cleaned up is by the next mount
            with self.mount(directory) as m:
                equal(m.changes(), {}, "edits after the commit")
        equal(sorted(os.listdir(directory)), self.files, "files in the end")
        os.unlink(f"{directory}.trace")
        os.rmdir(f"{directory}.mnt")
        return f"{'killed' if fault == KILL and answer != 0 else answer or 'done'}, {'new' if is_new else 'old'}"

    def judge_answer(self, m, fault, answer, is_new, edits):
        error = fault.removeprefix("error=")
        status = m.status()
        if answer == 0 or is_new:
            equal((answer in (0, "EIO"), is_new), (True, True), f"{answer} for a commit that was done")
            if answer:
                contains(status["commit"]["error"], "power loss")
            equal(m.changes(), {}, "edits after the commit")
            return
        equal(answer, error, "answer of a commit that failed")
        contains(status["commit"]["error"], "nothing was changed")
        equal(m.changes(), edits, "edits after a commit that failed")
        again = m.control(self.command)
        if again == "EIO" and any(code == "SpoolDamaged" for _, code in m.errors()):
            for tensor, _ in m.errors():  # a staged file whose bytes the disk may not have: written anew
                data = read(m.staged(tensor))
                os.unlink(m.staged(tensor))
                write(m.staged(tensor), data)
            again = m.control(self.command)
        equal(again, 0, f"the next commit, after {status['commit']['error']}")

    def sweep(self, **options):
        found = self.found[::every]
        sweep.run(self.title, found, faults(found, **options), self.judge)


if "FILES" not in os.environ:
    MountedCommits("in a mount", "edited").sweep(errnos=2 if every == 1 else 1)
    MountedCommits("in a mount --backup", "backed", command="commit --backup").sweep(errnos=1, names=PUBLISHING)
    MountedCommits("in a mount output=", "elsewhere", "out.safetensors", ["-o", "output=DIR/out.safetensors"]).sweep(errnos=1, names=PUBLISHING)
sweep.finish()
