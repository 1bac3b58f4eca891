# SPDX-License-Identifier: Apache-2.0
. "$WEIGHTFS_SOURCE/tests/lib/common.sh"
requires shellcheck

# SC1091, SC2154, SC2164: common.sh, which is not followed, sets variables and ends a test when a `cd` fails
project_scripts >list
cd "$WEIGHTFS_SOURCE"
xargs -0 -P 2 -n 4 shellcheck -s bash -S warning -e SC1091,SC2154,SC2164 <"$TEST_TMP/list"
