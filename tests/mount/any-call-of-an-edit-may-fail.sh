# SPDX-License-Identifier: Apache-2.0
# Every sixth call of tests/thorough/every-call-of-an-edit-may-fail.py and of a recovery, which takes all of them.
. "$WEIGHTFS_SOURCE/tests/lib/common.sh"
requires fuse strace root
EVERY=6 python3 "$WEIGHTFS_SOURCE/tests/thorough/every-call-of-an-edit-may-fail.py"
mkdir recovery
cd recovery
EVERY=6 python3 "$WEIGHTFS_SOURCE/tests/thorough/every-call-of-a-recovery-may-fail.py"
