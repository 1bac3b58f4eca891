# SPDX-License-Identifier: Apache-2.0
# The races of tests/mount for longer: readers, writers and committers for a minute, two commits of one model 200 times.
import pathlib

from wfs import *

requires("fuse")
os.environ |= {"WEIGHTFS_RACE_SECONDS": "60", "WEIGHTFS_RACE_ROUNDS": "200"}
tests = pathlib.Path(os.environ["WEIGHTFS_SOURCE"]) / "tests/mount"
for claim in ("readers-writers-and-committers-race", "of-two-commits-of-one-model-one-wins"):
    os.makedirs(claim)
    finished = subprocess.run([sys.executable, tests / f"{claim}.py"], cwd=claim)
    equal(finished.returncode, 0, f"exit code of {claim}")
