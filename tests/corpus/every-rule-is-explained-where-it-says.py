# SPDX-License-Identifier: Apache-2.0
"""A rule that rules.def sends to docs/format.md 2.6 is named in that section, and each rule about files is its heading."""
import os
import re

source = os.environ["WEIGHTFS_SOURCE"]


def read(path):
    with open(os.path.join(source, path), encoding="utf-8") as file:
        return file.read()


def sections(path):
    """{"2.6": text}; a section has its subsections' text as well."""
    found = {}
    for number, text in re.findall(r"^#+ ([\d.]+?)\.? (.*?)(?=^#+ |\Z)", read(path), re.M | re.S):
        while number:
            found[number] = found.get(number, "") + text
            number = number.rpartition(".")[0]
    return found


pages = {"F": sections("docs/format.md"), "S": sections("docs/staging.md")}
rules = re.findall(r'^RULE\(\w+, "(\w+)", (\w+), \w+, "[^"]*", "([FS]) ([\d.]+)"\)', read("include/weightfs/rules.def"), re.M)
assert len(rules) == read("include/weightfs/rules.def").count("\nRULE("), "a rule is not written as the others are"
missing = []
for name, kind, page, number in rules:
    section = pages[page].get(number)
    if section is None or (name not in section and kind != "REFUSAL"):
        missing.append((name, page, number))
    if kind in ("FORMAT", "OURS", "STRICT"):
        assert section and section.startswith(name + "\n"), f"{name} is not the heading of its section"
assert not missing, missing
print(f"{len(rules)} rules")
