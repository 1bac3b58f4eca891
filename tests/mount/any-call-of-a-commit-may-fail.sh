# SPDX-License-Identifier: Apache-2.0
# Every third case of tests/thorough/every-call-of-a-commit-may-fail.py, which takes all.
. "$WEIGHTFS_SOURCE/tests/lib/common.sh"
requires fuse strace
EVERY=3 python3 "$WEIGHTFS_SOURCE/tests/thorough/every-call-of-a-commit-may-fail.py"
