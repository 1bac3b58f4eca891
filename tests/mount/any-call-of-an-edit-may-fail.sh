# SPDX-License-Identifier: Apache-2.0
# Some calls of tests/thorough/every-call-of-an-edit-may-fail.py and of a recovery, which take all of them.
. "$WEIGHTFS_SOURCE/tests/lib/common.sh"
requires fuse strace root
EVERY=9 python3 "$WEIGHTFS_SOURCE/tests/thorough/every-call-of-an-edit-may-fail.py"
mkdir recovery
cd recovery
EVERY=15 python3 "$WEIGHTFS_SOURCE/tests/thorough/every-call-of-a-recovery-may-fail.py"
