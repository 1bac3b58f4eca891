# SPDX-License-Identifier: Apache-2.0
# What a kill at each call of a commit, of a discard and of a first edit leaves is taken up by `weightfs status FILE` and by a mount.
# Each of their calls fails once, or is the last before another kill: nothing that was taken up before is lost, the exit code and
# one sentence are right, and the next commit without a fault brings the edits. EVERY=N looks at every N-th call only.
import hashlib

from injection import *

requires("fuse", "root")
every = int(os.environ.get("EVERY", "1"))
weightfs_path = os.environ["WEIGHTFS"]
sweep = Sweep()

os.mkdir("edited")
save_small("edited/m.safetensors")
with Mount("edited/m.safetensors") as mount:
    stage(mount)
old = read("edited/m.safetensors")
os.mkdir("committed")
copy("edited", "committed")
weightfs("commit", "committed/m.safetensors")
new = read("committed/m.safetensors")


# --- what is left: kinds of directories, by names, sizes and what the file is ---

left = {}


def keep_kind(directory, what):
    files = sorted((re.sub(r"[0-9a-f]{16}$", "*", name), os.path.getsize(os.path.join(top, name)))
                   for top, _, names in os.walk(directory) for name in names)
    kind = hashlib.sha1(repr((files, read(f"{directory}/m.safetensors") == new)).encode()).hexdigest()[:8]
    if kind not in left:
        left[kind] = (what, f"left.{kind}")
        os.mkdir(left[kind][1])
        copy(directory, left[kind][1])


def kill_each(title, *words):
    os.mkdir("first")
    copy("edited", "first")
    strace("first.trace", [weightfs_path, *words, "first/m.safetensors"])
    found, _ = read_trace("first.trace", "m.safetensors")
    shutil.rmtree("first")

    def judge(case, directory):
        copy("edited", directory)
        strace(f"{directory}.trace", [weightfs_path, *words, f"{directory}/m.safetensors"], *inject(*case))
        keep_kind(directory, f"{words[0]}, {case[0]} {case[1]}")
        os.unlink(f"{directory}.trace")
        return "killed"

    sweep.run(f"killed in {title}", found, [case for case in faults(found, errnos=0)], judge)


kill_each("a commit", "commit")
kill_each("a discard", "discard")
kinds = sorted(left.values())
print(f"{len(kinds)} kinds of directories are left")


# --- taking it up ---

def final(directory, expected, case):
    """Without a fault: what was staged is committed, and nothing is left."""
    again = weightfs("commit", f"{directory}/m.safetensors", code=None)
    equal(again.code, 0, f"exit code of the commit after it: {again}")
    equal(read(f"{directory}/m.safetensors") == expected, True, "the file in the end")
    equal(sorted(name for name in os.listdir(directory) if name != "m.safetensors"), [], "left behind in the end")


def expected_of(kind):
    """What a commit makes of it: for a discard that was through by then, the old model."""
    os.mkdir("probe")
    copy(kind, "probe")
    weightfs("commit", "probe/m.safetensors")
    result = read("probe/m.safetensors")
    shutil.rmtree("probe")
    equal(result in (old, new), True, f"{kind}: the old model or the new one")
    return result


def judge_exit(fault, result):
    if result.code == 0:
        return
    error = fault.removeprefix("error=")
    sentence = one_sentence(result.err)
    is_read_only = error == "EROFS" and "/dev/fuse" not in sentence  # a device is opened for writing on a read-only disk, too
    equal(result.code, 3 if is_read_only else 4, f"exit code: {result}")
    if error != "ENOMEM" and not re.search(r"case|m\.safetensors", sentence):
        fail(f"names no file: {sentence}")


class ByStatus:
    """`weightfs status FILE`."""
    title = "status of what was left by"

    def run(self, directory, *options):
        return strace(f"{directory}.trace", [weightfs_path, "status", f"{directory}/m.safetensors"], *options)


class ByMount:
    """`weightfs mount`, unmounted at once."""
    title = "mount of what was left by"

    def run(self, directory, *options):
        point = f"{directory}.mnt"
        os.mkdir(point)
        process = subprocess.Popen(["strace", "-f", "-o", f"{directory}.trace", "-e", TRACE, *options, weightfs_path, "mount",
                                    f"{directory}/m.safetensors", point], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        wait_for(lambda: process.poll() is not None or os.path.ismount(point), "the mount", 30)
        if process.poll() is None:
            time.sleep(0.02)
            run("fusermount3", "-u", "-z", point, code=None)
        try:
            _, err = process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            _, err = process.communicate()
        run("fusermount3", "-u", "-z", point, code=None)  # of a daemon that was killed
        os.rmdir(point)
        finished = subprocess.CompletedProcess([], process.returncode, "", "".join(
            line for line in err.splitlines(True) if not re.search(r"resumed \d|changes? kept in", line)))
        return Result(["mount", *options], finished)


def sweep_recovery(way, kind, what):
    expected = expected_of(kind)
    os.mkdir("first")
    copy(kind, "first")
    equal(way.run("first").code, 0, f"exit code without a fault, of what was left by {what}")
    found, hidden = read_trace("first.trace", "m.safetensors")
    shutil.rmtree("first")

    def judge(case, directory):
        copy(kind, directory)
        result = way.run(directory, *inject(*case))
        if read(f"{directory}/m.safetensors") not in (old, new):
            fail(f"the file is neither the old nor the new one: {result}")
        if case[2] != KILL:
            judge_exit(case[2], result)
        final(directory, expected, case)
        os.unlink(f"{directory}.trace")
        return "killed" if result.code in (-9, 137) else f"exit {result.code}"

    found = found[::every]
    sweep.run(f"{way.title} {what}", found, faults(found, errnos=1), judge, hidden)


for number, (what, kind) in enumerate(kinds):
    if number % every == 0:
        sweep_recovery(ByStatus(), kind, what)
for number, (what, kind) in enumerate(kinds):
    if number % (3 * every) == 0:
        sweep_recovery(ByMount(), kind, what)
sweep.finish()
