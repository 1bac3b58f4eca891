# SPDX-License-Identifier: Apache-2.0
# Two and a half times as many operations as in the suite, of other seeds. Longer: scripts/soak.
import pathlib

from wfs import *

requires("fuse")
test = pathlib.Path(os.environ["WEIGHTFS_SOURCE"]) / "tests/random/random-operations-meet-a-model-in-memory.py"
os.environ |= {"WEIGHTFS_RANDOM_OPERATIONS": "250000", "WEIGHTFS_RANDOM_SEED": "thorough"}
finished = subprocess.run([sys.executable, test])
sys.exit(finished.returncode)
