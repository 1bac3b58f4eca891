# SPDX-License-Identifier: Apache-2.0
"""What weightfs makes of a state that a power loss left, and whether the ledger allows it."""
import collections
import hashlib

from ledger import METADATA, REFUSED
from session import ELSEWHERE
from wfs import *

KINDS = ["lost", "torn", "zeros", "unrecoverable", "unmountable", "leftover"]  # of findings: none may be found
BLOCK = 512
UNDECLARED = {"dtype": None, "shape": None}


class Observation:
    """What was found in one tree; many states have the same one."""

    def __init__(self):
        self.model = self.backup = None  # bytes of the file and of NAME~
        self.tensors, self.metadata = {}, None
        self.refused = {}  # name: codes of the problems that block it
        self.changes = 0
        self.failures = []  # (kind, sentence), whatever the moment


def fingerprint(directory):
    """Of everything in it that weightfs looks at."""
    found = hashlib.blake2b()
    for folder, folders, files in sorted(os.walk(directory)):
        folders.sort()
        if folder == directory and "lost+found" in folders:
            folders.remove("lost+found")
        for name in sorted(set(files) - {ELSEWHERE}):
            path = os.path.join(folder, name)
            status = os.stat(path)
            inode = (status.st_ino, status.st_mtime_ns) if folder == directory else ()
            found.update(repr((path, status.st_size, status.st_mode, inode)).encode())
            found.update(read(path))
    return found.digest()


def staged_files(mount):
    """{name: (dtype, shape, bytes)} of staging/tensors, with what staging/metadata.json says of each."""
    try:
        document = mount.document()
    except ValueError:
        document = None  # a document that cannot be applied is shown as it was written, and is a problem
    tensors = {}
    for name in os.listdir(mount.staging + "/tensors"):
        entry = (document or {}).get(name) or declared(mount.staged(name))
        tensors[name] = entry["dtype"], entry["shape"], read(mount.staged(name))
    return tensors, (document or {}).get("__metadata__", {})


def declared(path):
    """The same, as the attributes say it."""
    try:
        return {"dtype": os.getxattr(path, "user.safetensors.dtype").decode(),
                "shape": json.loads(os.getxattr(path, "user.safetensors.shape"))}
    except OSError:
        return UNDECLARED


def observe(session):
    seen = Observation()
    exists = os.path.exists(session.file)
    seen.model = read(session.file) if exists else None
    backup = session.file + "~"
    seen.backup = read(backup) if os.path.exists(backup) else None
    try:
        without_mount = weightfs("status", session.file, "--json").json() if exists else None
        with session.mounted() as mount:
            look(seen, mount, without_mount)
            mend(seen, mount, session)
    except AssertionError as error:
        seen.failures.append(("unrecoverable", str(error)))
    left = set(os.listdir(session.disk.directory)) - {"lost+found", ELSEWHERE, os.path.basename(session.source),
                                                      os.path.basename(session.file), os.path.basename(backup)}
    if left and not seen.failures:
        seen.failures.append(("leftover", f"beside the model, after it was mounted and committed: {sorted(left)}"))
    return seen


def look(seen, mount, without_mount):
    status = mount.status()
    for problem in status["staging"]["problems"]:
        if problem["severity"] == "error" and problem["code"] != "NoTensors":
            seen.refused.setdefault(problem["tensor"] or METADATA, []).append(problem["code"])
    seen.tensors, seen.metadata = staged_files(mount)
    seen.changes = len(status["staging"]["changes"]) + status["staging"]["metadata_changed"]
    if without_mount:
        for key in ("changes", "metadata_changed", "problems"):
            equal(status["staging"][key], without_mount["staging"][key], f"{key} with a mount, and before it without one")


def mend(seen, mount, session):
    """What is refused can be dropped, and the rest committed."""
    for name in seen.refused:
        equal(mount.control(f'discard "{"metadata.json" if name == METADATA else name}"'), 0, f"discard of {name}: {mount.text()}")
    equal(mount.errors(), [], "problems after a discard of what was refused")
    if not mount.status()["staging"]["changes"] and not mount.status()["staging"]["metadata_changed"]:
        return
    if not seen.refused:
        tensors = parse(mount.preview)[1]
        same_tensors(tensors, seen.tensors)
    expected = read(mount.preview)
    equal(mount.control("commit --allow-empty"), 0, f"commit of what was taken up: {mount.text()}")
    equal(read(session.file), expected, "the file committed after the power loss, beside its preview")


def classify(found, allowed, older):
    """What is wrong with bytes that are not among those allowed."""
    if any(found == value for value in older):
        return "lost"
    if found is None or found == REFUSED or isinstance(found, dict):
        return "lost"
    data = found[2]
    wanted = [value[2] for value in allowed if isinstance(value, tuple)]
    for at in range(0, len(data), BLOCK):
        block = data[at:at + BLOCK]
        if not any(block) and not any(value[at:at + BLOCK] == block for value in wanted):
            return "zeros"
    return "torn"


def describe(value):
    if isinstance(value, tuple):
        return f"{value[0]} {value[1]} of {len(value[2])} bytes, {hashlib.md5(value[2]).hexdigest()[:8]}"
    return repr(value)


class Verdict:
    def __init__(self):
        self.counts = collections.Counter()
        self.findings = []  # (kind, sentence)

    def find(self, kind, sentence):
        self.counts[kind] += 1
        self.findings.append((kind, sentence))


def judge_model(seen, ledger, moment, verdict):
    """The generation that the file is."""
    allowed = ledger.generations_at(moment)
    for number in range(len(ledger.generations) - 1, -1, -1):
        if ledger.generations[number].data == seen.model:
            break
    else:
        verdict.find("torn", "the model file is none of those that it may be")
        return None
    if number not in allowed:
        verdict.find("lost", f"the model file is generation {number}, expected {allowed}")
        return None
    verdict.counts["new" if number else "old"] += 1
    backups = [None if number is None else ledger.generations[number].data for number in ledger.backup.allowed(moment)]
    if seen.backup not in backups:
        verdict.find("lost", "the backup is none of those that it may be")
    return number


def judge_name(name, found, history, seen, moment, verdict):
    allowed = history.allowed(moment)
    if name in seen.refused:
        verdict.counts["refused"] += 1
        if len(allowed) == 1 and allowed[0] != REFUSED:
            verdict.find("lost", f"{name}: refused ({' '.join(seen.refused[name])}) although it was acknowledged")
        return
    if found in allowed:
        verdict.counts["compared"] += 1
        return
    older = [value for _, value in history.values]
    verdict.find(classify(found, allowed, older),
                 f"{name}: {describe(found)}, expected {' or '.join(map(describe, allowed))}")


def judge_groups(seen, generation, moment, verdict):
    """Changes that were one step are there together or not at all."""
    for begun, changes in generation.groups:
        if begun > moment or any(name in seen.refused for name in changes):
            continue
        sides = set()
        for name in changes:
            found = seen.metadata if name == METADATA else seen.tensors.get(name)
            values = generation.histories[name].values
            before = any(value == found for when, value in values if when < begun)
            after = any(value == found for when, value in values if begun <= when <= moment)
            if before != after:
                sides.add(after)
        if len(sides) > 1:
            verdict.find("torn", f"one step on {sorted(changes)} was taken in part")


def judge_state(seen, ledger, moment):
    verdict = Verdict()
    verdict.counts["states"] += 1
    for kind, sentence in seen.failures:
        verdict.find(kind, sentence)
    number = judge_model(seen, ledger, moment, verdict)
    if number is None or any(kind == "unrecoverable" for kind, _ in seen.failures):
        return verdict
    generation = ledger.generations[number]
    for name in sorted({*seen.tensors, *generation.tensors, *generation.histories} - {METADATA}):
        judge_name(name, seen.tensors.get(name), generation.history(name), seen, moment, verdict)
    judge_name(METADATA, seen.metadata, generation.history(METADATA), seen, moment, verdict)
    judge_groups(seen, generation, moment, verdict)
    return verdict
