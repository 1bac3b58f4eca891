# SPDX-License-Identifier: Apache-2.0
# README.md shows a tour: fenced blocks marked `console`, in which a line behind "$ " is typed and the others are what it prints.
# All of them run here in one shell, through a real mount, and print what README shows.
import pathlib
import re
import shlex

from wfs import *

requires("fuse", "jq", "sponge", "xxd", "python:numpy", "python:safetensors")

DEMO = "/tmp/demo"
MARK = "\x1e"


def steps(document):
    """(typed, printed) of every command of the tour."""
    for block in re.findall(r"^```console\n(.*?)^```", document, re.M | re.S):
        equal(block[:2], "$ ", "beginning of a console block")
        for step in re.split(r"^\$ ", block, flags=re.M)[1:]:
            typed, _, printed = step.partition("\n")
            yield typed, printed


def normal(printed, here):
    """What may differ from run to run: places, pids, the kernel's read-ahead, whether the file system shares blocks."""
    printed = printed.replace(here, DEMO)
    printed = re.sub(r"\(pid \d+\)", "(pid N)", printed)
    printed = re.sub(r"^read-ahead .*", "read-ahead", printed, flags=re.M)
    printed = re.sub(r"^kernel passthrough .*\n", "", printed, flags=re.M)
    printed = re.sub(r"^(ok: a commit would write) .*", r"\1", printed, flags=re.M)
    return printed.strip("\n")


source = pathlib.Path(os.environ["WEIGHTFS_SOURCE"])
tour = list(steps((source / "README.md").read_text()))
equal(len(tour) > 15, True, "the tour has steps")

here = os.path.join(os.getcwd(), "demo")
program = f"cd {shlex.quote(str(source))}; exec 2>&1\n"
for typed, _ in tour:
    typed = typed.replace("$PWD/build/quickstart", shlex.quote(os.path.dirname(os.environ["WEIGHTFS"]))).replace(DEMO, shlex.quote(here))
    program += f"{typed}\nprintf '\\036'\n"
played = run("bash", "-c", program, code=0).out.split(MARK)
equal(len(played), len(tour) + 1, "steps that ran")
for (typed, shown), printed in zip(tour, played):
    equal(normal(printed, here), normal(shown, DEMO), f"what README shows for: {typed}")
