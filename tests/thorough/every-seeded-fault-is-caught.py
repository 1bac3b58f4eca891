# SPDX-License-Identifier: Apache-2.0
# Each fault of src/base/faults.def takes one fsync, check, lock or order out of the commit path or of reading, chosen at run time in a build
# with WEIGHTFS_FAULTS. The test of the suite that stands for it here passes without the fault and fails with it.
# WEIGHTFS_FAULTS_BUILD=DIR is such a build (made in build/faults when it is not given). Names as arguments: only these.
import re

from wfs import *

requires("fuse", "root", "strace", "cmake", "ninja")
CAUGHT_BY = {
    "spool-sync": "unit/order",
    "spool-sync-at-close": "unit/file",
    "spool-names-sync": "unit/order",
    "journal-sync": "unit/order",
    "target-sync": "unit/order",
    "directory-sync": "unit/order",
    "directory-sync-early": "unit/order",
    "mark-early": "unit/order",
    "mark-kept": "unit/order",
    "drop-early": "unit/order",
    "clear-early": "unit/order",
    "journal-append": "mount/a-killed-daemon-loses-no-edit.py",
    "journal-late": "unit/order",
    "intent": "unit/order",
    "discard-record": "unit/order",
    "discard-sync": "unit/order",
    "record-checksum": "unit/journal",
    "torn-tail": "unit/journal",
    "durable-mark": "unit/journal",
    "journal-latch": "unit/renew",
    "write-latch": "unit/order",
    "sync-latch": "unit/file",
    "boot-id": "unit/recover",
    "unsynced": "unit/recover",
    "other-model": "unit/recover",
    "sweep": "mount/a-commit-killed-before-its-rename-leaves-nothing.sh",
    "lock": "mount/two-mounts-of-one-model-never-mix.py",
    "lock-named": "unit/spool",
    "freeze": "unit/publish",
    "writers": "unit/publish",
    "identity-before": "unit/order",
    "identity-after": "unit/order",
    "target-exists": "unit/publish",
    "link": "mount/links-are-replaced-only-when-asked.py",
    "cache": "mount/links-are-replaced-only-when-asked.py",
    "problems": "unit/publish",
    "no-tensors": "unit/publish",
    "space": "mount/a-full-disk-loses-nothing.py",
    "keep-owner": "unit/replace",
    "range-begin": "unit/clone",
    "validation": "unit/order",
    "backup-order": "unit/replace",
    "cancel-late": "unit/order",
    "switch-early": "unit/order",
    "reply-early": "mount/the-control-file-answers-with-an-errno.py",
    "notify": "mount/a-commit-keeps-what-did-not-change.py",
    "read-place": "mount/every-byte-read-is-of-one-state.py",
    "source-check": "mount/a-changed-source-is-noticed.py",
}
source = os.environ["WEIGHTFS_SOURCE"]
build_dir = os.environ.get("WEIGHTFS_FAULTS_BUILD", f"{source}/build/faults")
faults = re.findall(r'^FAULT\(\w+, "([\w-]+)"', read(f"{source}/src/base/faults.def").decode(), re.M)
equal(sorted(CAUGHT_BY), sorted(faults), "faults that have a test")
equal(b"WEIGHTFS_FAULT" in read(os.environ["WEIGHTFS"]), False, "faults in an ordinary build")
chosen = sys.argv[1:] or faults


def program(test):
    return f"{build_dir}/tests/unit/test_{test[5:]}"


if "WEIGHTFS_FAULTS_BUILD" not in os.environ:
    targets = {"weightfs"} | {f"test_{test[5:]}" for test in CAUGHT_BY.values() if test.startswith("unit/")}
    run("cmake", "-S", source, "-B", build_dir, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_C_FLAGS_DEBUG=-O1 -g",
        "-DWEIGHTFS_FAULTS=ON", timeout=300)
    run("cmake", "--build", build_dir, "--target", *sorted(targets), timeout=1200)


def finish(test, fault=None):
    """Runs a test; (exit code, what it said)."""
    environment = dict(os.environ, WEIGHTFS_BUILD=build_dir, WEIGHTFS=f"{build_dir}/weightfs", WEIGHTFS_TEST_SECONDS="60")
    environment.pop("WEIGHTFS_FAULT", None)
    if fault:
        environment["WEIGHTFS_FAULT"] = fault
    if test.startswith("unit/"):
        command = [program(test)]
    else:
        command = [f"{source}/tests/lib/run", f"{source}/tests/{test}"]
    environment.pop("TEST_TMP")  # of a test in the test, which looks after what it started
    result = run(*command, code=None, env=environment, timeout=180)
    return result.code, result.out + result.err


def why(said):
    """The line that says what was noticed."""
    lines = [line for line in said.splitlines() if re.search(r":[FE]:|Error: |FAILED|[Ff]ailed", line)]
    return re.sub(r"\S*/(?=[\w-]+\.(c|py|sh))", "", lines[0] if lines else (said.strip() or "?").splitlines()[-1])[:150]


for test in sorted({CAUGHT_BY[fault] for fault in chosen}):
    code, said = finish(test)
    if code == 77:
        skip(f"{test}: {said.strip().splitlines()[-1]}")
    if code != 0:
        fail(f"{test} fails without a fault: {said[-3000:]}")

escaped = []
for fault in chosen:
    code, said = finish(CAUGHT_BY[fault], fault)
    print(f"{fault:22} {CAUGHT_BY[fault]:58} {why(said) if code not in (0, 77) else 'NOT CAUGHT'}", flush=True)
    if code in (0, 77):
        escaped.append(fault)
print(f"{len(chosen)} seeded faults, {len(chosen) - len(escaped)} caught")
equal(escaped, [], "faults that nothing noticed")
