# SPDX-License-Identifier: Apache-2.0
. "$WEIGHTFS_SOURCE/tests/lib/common.sh"

cd "$WEIGHTFS_SOURCE"
scripts=()
while IFS= read -r -d '' file; do
    [ -f "$file" ] || continue
    if [[ $file == *.sh ]] || [[ $(head -c 64 "$file" | head -n 1 | tr -d '\0') == '#!'*bash ]]; then scripts+=("$file"); fi
done < <(project_files)

[ "${#scripts[@]}" -gt 5 ] || fail "only ${#scripts[@]} scripts found"
for script in "${scripts[@]}"; do bash -n "$script"; done
if command -v shellcheck >/dev/null; then
    shellcheck -s bash -S warning -e SC1091,SC2154 "${scripts[@]}"
fi
