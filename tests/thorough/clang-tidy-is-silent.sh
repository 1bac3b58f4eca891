# SPDX-License-Identifier: Apache-2.0
. "$WEIGHTFS_SOURCE/tests/lib/common.sh"
requires clang-tidy jq

[ -f "$WEIGHTFS_BUILD/compile_commands.json" ] || fail "no compile_commands.json in $WEIGHTFS_BUILD"
# One file a process: the va_list checker of clang-tidy 14 forgets how to recognise va_start in the second.
cd "$WEIGHTFS_SOURCE"
jq -r '.[].file' "$WEIGHTFS_BUILD/compile_commands.json" | grep "^$WEIGHTFS_SOURCE/src/" | sort -u |
    xargs -r -P 2 -n 1 clang-tidy --quiet -p "$WEIGHTFS_BUILD" 2>"$TEST_TMP/stderr" || {
        tail -n 20 "$TEST_TMP/stderr"
        fail "clang-tidy has something to say"
    }
