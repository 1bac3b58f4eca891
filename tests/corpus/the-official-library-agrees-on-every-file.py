# SPDX-License-Identifier: Apache-2.0
"""The official library accepts what is good, or bad to --strict only, and names the same rule for the rest. Where weightfs differs
(names that occur twice), `verify --json` tells the official verdict beside its own."""
import glob
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.environ["WEIGHTFS_SOURCE"], "tests", "differential"))
sys.dont_write_bytecode = True
try:
    from official import verdict
except ImportError:
    print("the Python package safetensors is not installed")
    sys.exit(77)

corpus = os.path.join(os.environ["WEIGHTFS_SOURCE"], "tests", "corpus")
paths = sorted(glob.glob(os.path.join(corpus, "*.safetensors")))
assert len(paths) > 80
reports = subprocess.run([os.environ["WEIGHTFS"], "verify", "--json", *paths], stdout=subprocess.PIPE).stdout.splitlines()
for path, report in zip(paths, map(json.loads, reports), strict=True):
    with open(path, "rb") as file:
        they = verdict(file.read())
    rule = re.search(r"/(?:good|bad-(\w+?))-", path)[1]
    assert (report["error"] or "ok") == they, (path, they, report["error"])
    if rule == "DuplicateTensor":
        assert not report["valid"], path
        continue
    assert they == ("ok" if rule is None or rule.startswith("Strict") else rule), (path, they)
print(f"{len(paths)} files")
