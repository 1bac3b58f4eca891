# SPDX-License-Identifier: Apache-2.0
# docs/staging.md 10: the keys, their types, JSON Lines for verbs that list; keys may be added, none may be missing.
from wfs import *

requires("fuse")
wanted = save_small()
start = 8 + struct.unpack("<Q", read("m.safetensors")[:8])[0]


def has(value, keys, what):
    missing = [key for key in keys.split() if key not in value]
    equal(missing, [], f"missing keys of {what}")


def check_status(status, what, mounted):
    has(status, "mountpoint source pid generation read_only staging commit last", what)
    has(status["staging"], "directory changes metadata_changed scratch problems", f"{what}.staging")
    has(status["commit"], "state phase bytes_done bytes_total error", f"{what}.commit")
    if status["last"] is not None:
        has(status["last"], "verb ok problems generation size cloned copied written seconds", f"{what}.last")
    for change in status["staging"]["changes"]:
        has(change, "tensor kind from dtype shape size", "a change")
    equal(isinstance(status["pid"], int), mounted, f"{what}: pid")
    equal(status["commit"]["state"] in ("idle", "running", "failed", "cancelled", "done"), True, "commit.state")
    equal(os.path.basename(status["source"]), "m.safetensors", "source")


lines = weightfs("ls", "--json", "m.safetensors").json_lines()
equal(sorted(line["name"] for line in lines), sorted(wanted), "names")
for line in lines:
    has(line, "name dtype shape size begin end file_offset file path", "ls")
    dtype, shape, data = wanted[line["name"]]
    equal((line["dtype"], line["shape"], line["size"], line["end"] - line["begin"]), (dtype, shape, len(data), len(data)), line["name"])
    equal(line["file_offset"], start + line["begin"], "file_offset")
    equal(read("m.safetensors")[line["file_offset"]:][:len(data)], data, "bytes at file_offset")

inspect = weightfs("inspect", "--json", "m.safetensors").json()
has(inspect, "file file_size header_size data_offset tensor_count parameter_count dtypes metadata", "inspect")
equal((inspect["file_size"], inspect["data_offset"], inspect["tensor_count"], inspect["metadata"]),
      (os.path.getsize("m.safetensors"), start, len(wanted), {"format": "pt"}), "inspect")
has(inspect["dtypes"]["BF16"], "count size", "inspect.dtypes")
equal(inspect["dtypes"]["BF16"], {"count": 2, "size": 8192}, "inspect.dtypes.BF16")

write("bad.safetensors", read("m.safetensors")[:-1])
good, bad = weightfs("verify", "--json", "m.safetensors", "bad.safetensors", code=1).json_lines()
for report in (good, bad):
    has(report, "file valid error problems", "verify")
equal((good["valid"], good["error"], good["problems"]), (True, None, []), "verify")
equal((bad["valid"], bad["error"], bad["problems"][0]["code"]), (False, "MetadataIncompleteBuffer", "MetadataIncompleteBuffer"), "verify")

with Mount("m.safetensors") as m:
    check_status(m.status(), "status.json", True)
    write(m.staged("a"), bytes(40))
    write(m.staged("new"), bytes(4))
    os.setxattr(m.staged("new"), "user.safetensors.dtype", b"F32")
    os.setxattr(m.staged("new"), "user.safetensors.shape", b"[1]")
    os.rename(m.staged("scalar"), m.staged("moved"))
    os.unlink(m.staged("flags"))
    with open(m.staged("layers.0.w"), "r+b") as f:
        f.write(b"patch")
    os.setxattr(m.staged("layers.2.w"), "user.safetensors.shape", b"[256]")
    write("mnt/staging/.scratch", b"")
    kinds = {"a": "replaced", "new": "added", "moved": "renamed", "flags": "removed", "layers.0.w": "patched", "layers.2.w": "declared"}
    equal(m.changes(), kinds, "kinds of change")
    status = weightfs("status", "--json", "mnt").json()
    check_status(status, "status --json", True)
    equal(next(c["from"] for c in status["staging"]["changes"] if c["tensor"] == "moved"), "scalar", "from")
    equal(next((c["dtype"], c["shape"], c["size"]) for c in status["staging"]["changes"] if c["tensor"] == "new"), ("F32", [1], 4), "new")
    equal(len(status["staging"]["scratch"]), 1, "scratch")
    os.unlink("mnt/staging/.scratch")
    equal(os.path.realpath(status["mountpoint"]), os.path.realpath("mnt"), "mountpoint")
    generation = status["generation"]

    check = weightfs("check", "--json", "mnt").json()
    has(check, "ok problems cost", "check")
    has(check["cost"], "cloned copied written", "check.cost")
    equal(check["ok"], True, "check.ok")
    commit = weightfs("commit", "--json", "mnt").json()
    has(commit, "ok problems cost generation size seconds", "commit")
    equal((commit["ok"], commit["size"], commit["generation"] > generation), (True, os.path.getsize("m.safetensors"), True), "commit")
    check_status(m.status(), "status.json after a commit", True)
    equal((m.status()["commit"]["state"], m.status()["last"]["verb"]), ("done", "commit"), "last")
    write(m.staged("a"), pattern(40))
    equal(len(read(m / ".weightfs/status.json")), os.stat(m / ".weightfs/status.json").st_size, "length of status.json")
    equal(len(m.text()) > 0 and os.stat(m / ".weightfs/status").st_size > 0, True, "length of status")
check_status(weightfs("status", "--json", "m.safetensors").json(), "status --json of a file", False)
weightfs("discard", "m.safetensors")
