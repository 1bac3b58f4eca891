# SPDX-License-Identifier: Apache-2.0
# cp inside the mount stages a range of the source: staging on disk stays small, dtype and shape are carried, and the copy is its own.
. "$WEIGHTFS_SOURCE/tests/lib/common.sh"
requires fuse jq

python3 -c 'from wfs import *; save("m.safetensors", {"big": tensor("BF16", [4096, 1024], 1), "other": tensor("BF16", [4096, 1024], 2), "s": tensor("U8", [3])})'
mount_model m.safetensors mnt
t=mnt/staging/tensors
cp $t/big $t/copy1
cat $t/big >$t/copy2
cp mnt/tensors/big $t/copy3
cp $t/big $t/other
cp mnt/staging/npy/big.npy mnt/staging/npy/copy4.npy
for copy in copy1 copy2 copy3 copy4 other; do
    cmp mnt/tensors/big $t/$copy
done
assert_eq "$(jq -c '[.copy1, .copy2, .copy3, .copy4] | map(.dtype, .shape) | unique' mnt/staging/metadata.json)" '["BF16",[4096,1024]]'
on_disk=$(du -sk .m.safetensors.staging | cut -f1)
[ "$on_disk" -lt 1000 ] || fail "five copies of 8 MiB take $on_disk KiB in staging"

cp mnt/tensors/other $t/other      # un-stages
assert_eq "$(jq -r '.staging.changes[].tensor' mnt/.weightfs/status.json | sort | paste -sd' ')" 'copy1 copy2 copy3 copy4'

printf X | dd of=$t/copy1 bs=1 seek=5000000 conv=notrunc status=none
cmp mnt/tensors/big $t/big
assert_exit 1 cmp $t/copy1 $t/big
rm $t/big                           # the copies live on
cp mnt/staging/m.safetensors preview
weightfs commit mnt
umount_model mnt
assert_same preview m.safetensors
python3 - <<'END'
from wfs import *
big = tensor("BF16", [4096, 1024], 1)
patched = ("BF16", [4096, 1024], big[2][:5000000] + b"X" + big[2][5000001:])
judge("m.safetensors", {"copy1": patched, "copy2": big, "copy3": big, "copy4": big, "other": tensor("BF16", [4096, 1024], 2), "s": tensor("U8", [3])})
END
