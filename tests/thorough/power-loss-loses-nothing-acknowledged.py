# SPDX-License-Identifier: Apache-2.0
# At least 2,000 states that a power loss could leave, of every workload on ext4, XFS and btrfs: none has lost what was
# acknowledged, none shows torn bytes or zeros for data, every staging directory can be recovered.
import sys

from wfs import *

requires("fuse", "root", "python:numpy")
sys.path.insert(0, os.environ["WEIGHTFS_SOURCE"] + "/tests/power")
import power  # noqa: E402

sys.exit(power.main(["--states", "2000"]))
