# SPDX-License-Identifier: Apache-2.0
# The power is cut while edits are fsynced, committed and made again, on ext4, XFS and btrfs: whatever was acknowledged is there,
# nothing is torn, no zeros pass for data. tests/thorough has all workloads, scripts/power-loss as many states as one likes.
import power
from wfs import *

requires("fuse", "root", "python:numpy")
sys.exit(power.main(["--workload", "synced,again", "--states", "150", "--jobs", "1"]))
