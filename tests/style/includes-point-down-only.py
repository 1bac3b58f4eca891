# SPDX-License-Identifier: Apache-2.0
# The folders of src/ are layers; tests/style/layers.txt says which may include which.
import pathlib
import re

from wfs import *

top = pathlib.Path(os.environ["WEIGHTFS_SOURCE"])
layers, exceptions, foreign = {}, {}, {}
for line in (top / "tests/style/layers.txt").read_text().splitlines():
    words = line.split("#")[0].split()
    if words:
        {"layer": layers, "file": exceptions, "foreign": foreign}[words[0]][words[1]] = words[2:]

wrong = []


def check_own(place, layer, target):
    """`target` is "layer/file.h"."""
    if not (top / "src" / target).exists():
        wrong.append(f'{place}: "{target}" is no file below src/ (written "layer/file.h")')
    elif target.split("/")[0] not in [layer, *layers[layer]] and target not in exceptions.get(place, []):
        wrong.append(f'{place}: {layer} must not include "{target}"')


def check_foreign(place, target):
    for prefix, places in foreign.items():
        if target.startswith(prefix) and not any(place == p or place.startswith(p + "/") for p in places):
            wrong.append(f"{place}: <{target}> belongs to {' '.join(places)}")


files = sorted(path for path in top.glob("src/*/*.[ch]"))
headers = sorted(top.glob("include/weightfs/*"))
for path in files + headers:
    is_installed = path in headers
    place = str(path.relative_to(top if is_installed else top / "src"))
    layer = "include" if is_installed else path.parent.name
    if layer not in layers:
        wrong.append(f"{place}: no layer of layers.txt")
        continue
    for form, target in re.findall(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', path.read_text(), re.M):
        if form == '"':
            check_own(place, layer, target)
        elif not target.startswith("weightfs/"):
            check_foreign(place, target)
        elif not (top / "include" / target).exists():
            wrong.append(f"{place}: <{target}> is not in include/")

equal(len(files) > 10, True, "files found")
if wrong:
    fail("\n" + "\n".join(wrong))
