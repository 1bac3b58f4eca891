# SPDX-License-Identifier: Apache-2.0
# dd conv=notrunc, truncate, >>, sed -i, vim, fallocate, xxd -r, cp --sparse: parts of a tensor change, the rest stays.
. "$WEIGHTFS_SOURCE/tests/lib/common.sh"
requires fuse vim jq xxd

python3 - <<'END'
from wfs import *
TOOLS = ["dd", "dd-end", "truncate", "append", "sed", "vim", "fallocate", "xxd", "shrink-grow"]
model = {tool: ("U8", [600], bytes(ord("a") + (i + j) % 26 if (j + 1) % 60 else 10 for j in range(600))) for i, tool in enumerate(TOOLS)}
save("m.safetensors", model)
os.mkdir("plain")
for name, (_, _, data) in model.items():
    write(f"plain/{name}", data)
END
mount_model m.safetensors mnt

edit() { # the same in a plain directory and in the mount
    local t=$1
    printf HELLO | dd of="$t/dd" bs=1 seek=300 conv=notrunc status=none
    printf TAIL | dd of="$t/dd-end" bs=1 seek=596 conv=notrunc status=none
    truncate -s 500 "$t/truncate"
    printf 'more bytes' >>"$t/append"
    printf 'and more' >>"$t/append"
    sed -i 's/abc/XYZ/g' "$t/sed"
    vim -Nu NONE -n -es -c '%s/xyz/ABC/g' -c 'wq' "$t/vim" >/dev/null 2>&1
    fallocate -l 700 "$t/fallocate"
    echo '0000010: dead beef' | xxd -r - "$t/xxd"
    truncate -s 10 "$t/shrink-grow"
    truncate -s 600 "$t/shrink-grow"
}
edit plain
edit mnt/staging/tensors
for file in plain/*; do
    cmp "$file" "mnt/staging/tensors/${file#plain/}"
done
cmp plain/sed <(cat mnt/staging/tensors/sed)
assert_eq "$(ls -A mnt/staging/tensors)" "$(ls -A plain)"
assert_eq "$(ls -A mnt/staging)" "m.safetensors
metadata.json
npy
tensors"

# Vim as people have it: swap file, backup file, rename over the original.
vim -Nu NONE -es -c 'set swapfile backup writebackup backupcopy=no' -c 'normal! ggrQ' -c 'wq' mnt/staging/tensors/vim >/dev/null 2>&1
vim -Nu NONE -es -c 'set swapfile backup writebackup backupcopy=no' -c 'normal! ggrQ' -c 'wq' plain/vim >/dev/null 2>&1
rm -f plain/vim~
cmp plain/vim mnt/staging/tensors/vim
assert_eq "$(jq -c '[.staging.changes[].tensor] | sort' mnt/.weightfs/status.json | tr -d '[]"')" "$(ls plain | paste -sd,)"

# Sizes that do not fit dtype and shape are problems until they are declared.
assert_exit 1 weightfs check mnt
assert_contains "$(cat out err)" SizeMismatch
for name in truncate append fallocate; do
    setfattr -n user.safetensors.shape -v "[$(stat -c %s plain/$name)]" mnt/staging/tensors/$name
done
weightfs check mnt
rm -f mnt/staging/tensors/*~
cp mnt/staging/m.safetensors preview
weightfs commit mnt
assert_same preview m.safetensors
for file in plain/*; do
    cmp "$file" "mnt/tensors/${file#plain/}"
done
umount_model mnt
