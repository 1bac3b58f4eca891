# SPDX-License-Identifier: Apache-2.0
. "$WEIGHTFS_SOURCE/tests/lib/common.sh"

mkdir tmp
assert_exit 0 env TMPDIR="$PWD/tmp" weightfs selftest
assert_eq "$(grep -c ' ok$' out)" 4
assert_eq "$(ls -A tmp)" "" "what is left behind"
assert_exit 4 env TMPDIR=/nonexistent weightfs selftest
assert_exit 2 weightfs selftest more
