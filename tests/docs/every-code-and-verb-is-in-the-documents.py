# SPDX-License-Identifier: Apache-2.0
# Every code of rules.def is explained, as `Code`, in the section of the document that its row names; every verb of verbs.def is in
# README's table, and in the man page with each of its long options.
import pathlib
import re

from wfs import *

top = pathlib.Path(os.environ["WEIGHTFS_SOURCE"])
DOCUMENTS = {"F": "docs/format.md", "S": "docs/staging.md"}


def sections(document):
    """{"7": text, "7.1": text}: a section's text goes on in its subsections."""
    found = {}
    for line in document.splitlines():
        heading = re.match(r"#+ (\d+(?:\.\d+)?)[. ]", line)
        if heading:
            current = heading[1]
        elif line.startswith("#"):
            current = None
        if found or heading:
            for number in {current, current and current.split(".")[0]} - {None}:
                found[number] = found.get(number, "") + line + "\n"
    return found


rules = re.findall(r'^RULE\(\w+, "(\w+)", \w+, \w+, "[^"]*", "([FS]) ([0-9.]+)"\)', (top / "include/weightfs/rules.def").read_text(), re.M)
equal(len(rules) > 50, True, "rules found")
texts = {letter: sections((top / name).read_text()) for letter, name in DOCUMENTS.items()}
missing = [f"{name}: {DOCUMENTS[letter]} {section}" for name, letter, section in rules
           if f"`{name}`" not in texts[letter].get(section, "")]
equal(missing, [], "codes that are not explained where rules.def says")

verbs = re.findall(r'^VERB\((\w+), "([^"]*)", "[^"]*",((?:\s*"[^"]*")+)\)', (top / "src/cli/verbs.def").read_text(), re.M)
equal(len(verbs) > 10, True, "verbs found")
table = "\n".join(re.findall(r"^\| .*", (top / "README.md").read_text(), re.M))
manual = (top / "docs/man/weightfs.1").read_text().replace("\\-", "-")
equal([verb for verb, _, _ in verbs if f"`{verb}`" not in table], [], "verbs that README's table leaves out")
equal([verb for verb, _, _ in verbs if not re.search(rf"^\.(B|BI|BR) {verb}\b", manual, re.M)], [], "verbs that weightfs.1 leaves out")
options = {(verb, option) for verb, synopsis, details in verbs for option in re.findall(r"--[a-z-]+", synopsis + details)}
equal(sorted(f"{verb} {option}" for verb, option in options if option not in manual), [], "options that weightfs.1 leaves out")
