# SPDX-License-Identifier: Apache-2.0
# A write or a flush of the disk fails while edits are fsynced and committed, sometimes with the daemon ending in between, then the
# disk is healed: what was acknowledged survives a power loss, nothing is committed that nobody wrote, the exit code says what
# happened to the file, and what was refused can be removed, written again and committed.
import sys

from wfs import *

requires("fuse", "root", "python:numpy")
sys.path.insert(0, os.environ["WEIGHTFS_SOURCE"] + "/tests/power")
import failing  # noqa: E402

sys.exit(failing.main(int(os.environ.get("RUNS", "20"))))
