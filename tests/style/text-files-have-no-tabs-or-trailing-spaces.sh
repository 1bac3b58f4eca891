# SPDX-License-Identifier: Apache-2.0
. "$WEIGHTFS_SOURCE/tests/lib/common.sh"

cd "$WEIGHTFS_SOURCE"
found=$(project_files | grep -zvE '^(\./)?(LICENSE|docs/man/|tests/corpus/|tests/fuzz/corpus/)|\.(safetensors|npy|bin|png)$' |
    xargs -0 grep -InP '\t| +$' || true)
[ -z "$found" ] || fail "tabs or trailing spaces:
$found"
