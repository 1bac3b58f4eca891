# SPDX-License-Identifier: Apache-2.0
. "$WEIGHTFS_SOURCE/tests/lib/common.sh"

project_scripts >list
mapfile -d '' -t scripts <list
[ "${#scripts[@]}" -gt 5 ] || fail "only ${#scripts[@]} scripts found"
cd "$WEIGHTFS_SOURCE"
for script in "${scripts[@]}"; do bash -n "$script"; done
