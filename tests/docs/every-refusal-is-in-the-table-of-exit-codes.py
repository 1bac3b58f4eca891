# SPDX-License-Identifier: Apache-2.0
# Each refusal of rules.def that docs/staging.md 9 is to explain has a row in the table there, with its errno. (All other rules:
# tests/corpus/every-rule-is-explained-where-it-says.py.)
import pathlib
import re

from wfs import *

top = pathlib.Path(os.environ["WEIGHTFS_SOURCE"])
refusals = re.findall(r'^RULE\(\w+, "(\w+)", REFUSAL, (\w+), "[^"]*", "S 9"\)', (top / "include/weightfs/rules.def").read_text(), re.M)
equal(len(refusals) > 8, True, "refusals found")
section = re.search(r"^## 9\. .*?(?=^## )", (top / "docs/staging.md").read_text(), re.M | re.S)[0]
rows = [row.split("|") for row in section.splitlines() if row.startswith("| ")]
for name, errnum in refusals:
    found = [row[3] for row in rows if f"`{name}`" in row[2]]
    contains(" ".join(found), errnum)
