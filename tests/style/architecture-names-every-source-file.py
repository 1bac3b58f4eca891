# SPDX-License-Identifier: Apache-2.0
# docs/architecture.md names every file of src/ as `layer/file.c` (or `layer/file.[ch]` for a pair), and no file that is not there.
import pathlib
import re

from wfs import *

top = pathlib.Path(os.environ["WEIGHTFS_SOURCE"])
present = {str(path.relative_to(top / "src")) for path in top.glob("src/*/*.[ch]")}
named = set()
document = (top / "docs/architecture.md").read_text()
for stem, ending in re.findall(r"\b((?:base|format|image|model|stage|mount|cli)/[a-z0-9_]+)\.(c\b|h\b|\[ch\])", document):
    named |= {stem + ".c", stem + ".h"} if ending == "[ch]" else {f"{stem}.{ending}"}

equal(sorted(present - named), [], "files of src/ that docs/architecture.md does not name")
equal(sorted(named - present), [], "files named in docs/architecture.md that are not in src/")
