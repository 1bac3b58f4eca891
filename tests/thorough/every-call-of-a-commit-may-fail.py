# SPDX-License-Identifier: Apache-2.0
# `weightfs commit FILE` on staging that was left behind, with each system call of it failing once, and with the process killed
# at each: the file is the old or the new one, whole; what is staged is there as long as the file is old; the exit code and one
# sentence tell which. EVERY=5 looks at every fifth call only.
import collections
import re

from wfs import *

requires("fuse", "strace")
every = int(os.environ.get("EVERY", "1"))
weightfs_path = os.environ["WEIGHTFS"]
os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"  # which does not work under strace
errors = {
    "openat": ["EACCES", "EMFILE", "ENOSPC"], "pwrite64": ["ENOSPC", "EIO", "EDQUOT"], "copy_file_range": ["ENOSPC", "EIO"],
    "ioctl": ["EIO"], "fsync": ["EIO", "ENOSPC"], "linkat": ["ENOSPC", "EACCES"], "renameat2": ["EACCES", "ENOSPC"],
    "renameat": ["EACCES", "ENOSPC", "EIO"], "rename": ["EACCES", "ENOSPC"], "ftruncate": ["EIO"], "fchmod": ["EPERM", "EIO"],
    "fchown": ["EPERM", "EIO"], "fstat": ["EIO"], "newfstatat": ["EIO", "EACCES"], "unlinkat": ["EIO", "EACCES"],
    "fsetxattr": ["ENOSPC"], "fgetxattr": ["EIO"], "flistxattr": ["EIO"], "fcntl": ["EMFILE"], "pread64": ["EIO"],
    "getdents64": ["EIO"], "fstatfs": ["EIO"], "mkdirat": ["ENOSPC"], "fallocate": ["ENOSPC"],
}
traced = "trace=" + ",".join(errors)

save_small("m.safetensors")
with Mount("m.safetensors") as m:
    write(m.staged("a"), pattern(40, 60))
    with open(m.staged("optimizer.m"), "r+b") as file:
        file.seek(100)
        file.write(b"patched")
    os.rename(m.staged("scalar"), m.staged("moved"))
    os.unlink(m.staged("flags"))
os.rmdir("mnt")
os.mkdir("left")
shell("cp -a m.safetensors .m.safetensors.staging left/")


def fresh():
    """What the unmount left, with its times."""
    shell("rm -rf case; cp -a left case")


def strace(*options):
    return run("strace", "-f", "-o", "trace", *options, weightfs_path, "commit", "case/m.safetensors", code=None)


fresh()
old = read("case/m.safetensors")
equal(strace("-e", traced).code, 0, "exit code without a fault")
new = read("case/m.safetensors")
equal(os.listdir("case"), ["m.safetensors"], "files after a commit")


def calls():
    """(name, number) of each call from the first that looks at the model on. strace counts by thread, and the first thread
    loads libraries: a call of another with a number from that time cannot be told from those."""
    counts, found, hidden, loading = collections.Counter(), [], 0, {}
    main = begun = None
    for line in read("trace").decode(errors="replace").splitlines():
        if ".gcda" in line:
            break  # a coverage build that writes down what it counted
        call = re.match(r"(\d+) +(\w+)\(", line)
        if not call or call.group(2) not in errors:
            continue
        thread, name = call.groups()
        main = main or thread
        counts[thread, name] += 1
        if not begun and "m.safetensors" in line:
            begun, loading = True, {word: counts[main, word] for word in errors}
            loading[name] -= 1
        case = (name, counts[thread, name])
        if begun and case not in found:
            if case[1] > loading[name]:
                found.append(case)
            else:
                hidden += 1
    return found, hidden


def judge_case(case, result):
    """Returns what came out, in one word."""
    after = read("case/m.safetensors")
    if after not in (old, new):
        fail(f"{case}: the file is neither the old nor the new one: {result}")
    is_new = after == new
    allowed = (0, 5) if is_new else (3, 4)
    if result.code not in allowed and not ("KILL" in case and result.code in (-9, 137)):
        fail(f"{case}: the file is {'new' if is_new else 'old'}: {result}")
    if result.code in (3, 4, 5):
        one_sentence(result.err)
    if case.startswith("fsync") and result.code == 0:
        fail(f"{case}: nothing was said of it: {result}")
    again = weightfs("commit", "case/m.safetensors", code=None)
    equal(again.code, 0, f"{case}: exit code of the next commit, after {result}: {again}")
    if read("case/m.safetensors") != new:
        fail(f"{case}: the next commit did not bring the edits: {result}")
    left = [name for name in os.listdir("case") if name != "m.safetensors"]
    if "KILL" not in case and left:
        fail(f"{case}: left behind: {left}")
    return f"exit {result.code}, {'new' if is_new else 'old'}" + (", a hidden file stayed" if left else "")


outcomes = collections.Counter()
found, hidden = calls()
failures = []
for name, number in found[::every]:
    for fault in [f"error={error}" for error in errors[name]] + ["signal=KILL"]:
        case = f"{name} {number} {fault}"
        fresh()
        result = strace("-e", traced, "-e", f"inject={name}:{fault}:when={number}")
        try:
            outcomes[judge_case(case, result)] += 1
        except AssertionError as error:
            failures.append(str(error))
for outcome, count in sorted(outcomes.items()):
    print(f"{count:5} {outcome}")
print(f"{len(found[::every])} of {len(found)} calls ({hidden} more could not be told apart), {sum(outcomes.values()) + len(failures)} cases, {len(failures)} failures")
if failures:
    fail("\n".join(failures))
