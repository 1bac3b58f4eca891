# SPDX-License-Identifier: Apache-2.0
"""good-* is right even to --strict; bad-RULE-* breaks RULE and no other; every rule of rules.def about files has a file."""
import glob
import os
import re
import subprocess
import sys
import tempfile

source = os.environ["WEIGHTFS_SOURCE"]
corpus = os.path.join(source, "tests", "corpus")


def read(*path):
    with open(os.path.join(*path), "rb") as file:
        return file.read()


with tempfile.TemporaryDirectory() as fresh:
    subprocess.run([sys.executable, os.path.join(corpus, "generate.py"), fresh], check=True)
    names = sorted(os.listdir(fresh))
    for name in names:
        assert read(fresh, name) == read(corpus, name), f"{name} is not what generate.py writes"
stray = {os.path.basename(path) for path in glob.glob(os.path.join(corpus, "*.safetensors"))} - set(names)
assert not stray, stray

kinds = dict(re.findall(r'RULE\(\w+, "(\w+)", (FORMAT|OURS|STRICT),', read(source, "include/weightfs/rules.def").decode()))
files = [name for name in names if name.endswith(".safetensors")]
judge = os.path.join(os.environ["WEIGHTFS_BUILD"], "tests", "corpus", "judge")
lines = subprocess.run([judge] + [os.path.join(corpus, name) for name in files], check=True, stdout=subprocess.PIPE).stdout.decode().splitlines()
assert len(lines) == len(files)

covered = set()
for name, line in zip(files, lines):
    first, every, strict, sentence = line.split(" ", 3)
    if name.startswith("good-"):
        assert (first, every, strict) == ("ok", "ok", "ok"), line
        continue
    rule = re.fullmatch(r"bad-(\w+)-.+\.safetensors", name)[1]
    covered.add(rule)
    if kinds[rule] == "STRICT":
        assert (first, every, strict) == ("ok", "ok", rule), (name, line)
    else:
        assert (first, every) == (rule, rule), (name, line)
        assert rule in sentence, (name, line)
assert covered == set(kinds), set(kinds) - covered
print(f"{len(files)} files, {len(covered)} rules")
