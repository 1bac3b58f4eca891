# SPDX-License-Identifier: Apache-2.0
# Every verb of verbs.def is in README's table, and in weightfs(1) with each of the long options that its help names.
import pathlib
import re

from wfs import *

top = pathlib.Path(os.environ["WEIGHTFS_SOURCE"])
table_of_verbs = (top / "src/cli/verbs.def").read_text()
verbs = re.findall(r'^VERB\((\w+), (.*?)\)$', table_of_verbs, re.M | re.S)
equal(len(verbs), table_of_verbs.count("\nVERB("), "verbs found")

table = "\n".join(re.findall(r"^\| .*", (top / "README.md").read_text(), re.M))
manual = (top / "docs/man/weightfs.1").read_text().replace("\\-", "-")
equal([verb for verb, _ in verbs if f"`{verb}`" not in table], [], "verbs that README's table leaves out")
equal([verb for verb, _ in verbs if not re.search(rf"^\.(B|BI|BR) {verb}\b", manual, re.M)], [], "verbs that weightfs.1 leaves out")
options = {(verb, option) for verb, help in verbs for option in re.findall(r"--[a-z-]+", help)}
equal(sorted(f"{verb} {option}" for verb, option in options if option not in manual), [], "options that weightfs.1 leaves out")
