# SPDX-License-Identifier: Apache-2.0
# A discard of names or of a glob holds the lock of staging: four times the edits take about four times the processor's time; what is
# quadratic takes sixteen times as long. A dropped half of a rename drops the other one.
import resource
import shutil

from wfs import *

requires("fuse")
PROPORTION = 9
NOISE = 0.1  # seconds: the least that the smaller one counts as
STAGING = ".m.safetensors.staging"


def seconds(*names):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    weightfs("discard", "m.safetensors", *names)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(count):
    """Seconds that it takes to discard by a glob, by all names, and all scratch files by theirs."""
    save("m.safetensors", {f"x.{i}": ("U8", [1], b"x") for i in range(count)}, {})
    with Mount("m.safetensors") as m:
        for i in range(count):
            if i % 2:
                os.unlink(m.staged(f"x.{i}"))
            else:
                os.rename(m.staged(f"x.{i}"), m.staged(f"y.{i}"))
            write(m.staged(f"s{i}~"), b"")
        write(m.staged("z"), b"kept")
    shutil.copytree(STAGING, "before")
    costs = []
    for names in ["x.*"], [f"x.{i}" for i in range(count)]:
        shutil.rmtree(STAGING)
        shutil.copytree("before", STAGING)
        costs.append(seconds(*names))
        changes = weightfs("status", "--json", "m.safetensors").json()["staging"]["changes"]
        equal([change["tensor"] for change in changes], ["z"], f"left of {count} edits")
    costs.append(seconds(*[f"s{i}~" for i in range(count)]))
    equal(weightfs("status", "--json", "m.safetensors").json()["staging"]["scratch"], [], "scratch files left")
    shutil.rmtree("before")
    shutil.rmtree(STAGING)
    return costs


for what, small, large in zip(("a glob", "names", "scratch files"), measure(2500), measure(10000)):
    print(f"{what}: {small:.2f} s, of four times as many {large:.2f} s")
    equal(large < max(small, NOISE) * PROPORTION, True, f"{what}: whether {large:.2f} s are in proportion to {small:.2f} s")
