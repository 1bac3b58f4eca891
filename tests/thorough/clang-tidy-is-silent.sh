# SPDX-License-Identifier: Apache-2.0
. "$WEIGHTFS_SOURCE/tests/lib/common.sh"
requires clang-tidy jq

[ -f "$WEIGHTFS_BUILD/compile_commands.json" ] || fail "no compile_commands.json in $WEIGHTFS_BUILD"
cd "$WEIGHTFS_SOURCE"
jq -r '.[].file' "$WEIGHTFS_BUILD/compile_commands.json" | grep "^$WEIGHTFS_SOURCE/src/" | sort -u |
    xargs -r -P 2 -n 4 clang-tidy --quiet -p "$WEIGHTFS_BUILD" 2>"$TEST_TMP/stderr" || {
        tail -n 20 "$TEST_TMP/stderr"
        fail "clang-tidy has something to say"
    }
