# SPDX-License-Identifier: Apache-2.0
# A file stays below 400 lines, a function below 60; and every C file begins with its licence.
import pathlib

from wfs import *

FILE_LINES, FUNCTION_LINES = 400, 60
top = pathlib.Path(os.environ["WEIGHTFS_SOURCE"])
wrong = []

for path in sorted([*top.glob("src/*/*.[ch]"), *top.glob("include/weightfs/*"), *top.glob("tests/*/*.[ch]")]):
    place = path.relative_to(top)
    lines = path.read_text().splitlines()
    if not lines or not lines[0].startswith("/* SPDX-License-Identifier: Apache-2.0"):
        wrong.append(f"{place}:1: does not begin with the SPDX line")
    if place.parts[0] != "tests" and len(lines) >= FILE_LINES:
        wrong.append(f"{place}: {len(lines)} lines")
    begin = None  # a function's body is what stands between braces in column one
    for number, line in enumerate(lines, 1):
        if line == "{":
            begin = number
        elif line == "}" and begin:
            if number - begin + 1 >= FUNCTION_LINES:
                wrong.append(f"{place}:{begin}: a function of {number - begin + 1} lines")
            begin = None

if wrong:
    fail("\n" + "\n".join(wrong))
