# SPDX-License-Identifier: Apache-2.0
# Every fifth call of tests/thorough/every-call-of-a-commit-may-fail.py, which takes all of them and every errno.
. "$WEIGHTFS_SOURCE/tests/lib/common.sh"
requires fuse strace
EVERY=5 python3 "$WEIGHTFS_SOURCE/tests/thorough/every-call-of-a-commit-may-fail.py"
