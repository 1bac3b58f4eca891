# SPDX-License-Identifier: Apache-2.0
# dtype and shape travel with cp -a, rsync -X and tar --xattrs, out of the mount and into another model.
. "$WEIGHTFS_SOURCE/tests/lib/common.sh"
requires fuse rsync tar getfattr jq

touch probe
setfattr -n user.probe -v 1 probe 2>/dev/null || skip "no user xattrs on this file system"

small_model m.safetensors
mount_model m.safetensors mnt
declared() { getfattr --absolute-names --only-values -n user.safetensors.dtype "$1"; getfattr --absolute-names --only-values -n user.safetensors.shape "$1" | tr -d ' '; }
assert_eq "$(declared mnt/tensors/layers.0.w)" 'F16[16,16]'
assert_eq "$(getfattr --absolute-names --only-values -n user.safetensors.name mnt/tensors/layers.0.w)" layers.0.w

mkdir by-cp by-rsync by-tar
cp -a mnt/tensors/layers.0.w by-cp/
rsync -aX mnt/tensors/ by-rsync/
tar --xattrs --xattrs-include='user.*' -C mnt/tensors -cf all.tar .
tar --xattrs --xattrs-include='user.*' -C by-tar -xf all.tar
for directory in by-cp by-rsync by-tar; do
    assert_eq "$(declared $directory/layers.0.w)" 'F16[16,16]' $directory
    cmp $directory/layers.0.w mnt/tensors/layers.0.w
done
umount_model mnt

# Into an empty model.
for directory in by-rsync by-tar; do
    mount_model new.$directory.safetensors mnt --create
    case $directory in
        by-rsync) rsync -rX --chmod=u+rw by-rsync/ mnt/staging/tensors/ ;;
        by-tar) tar --xattrs --xattrs-include='user.*' -C mnt/staging/tensors -xf all.tar --no-overwrite-dir ;;
    esac
    echo '{"__metadata__": {"format": "pt"}}' >mnt/staging/metadata.json
    weightfs commit mnt
    assert_same new.$directory.safetensors m.safetensors
    umount_model mnt
done
mount_model one.safetensors mnt --create
cp -a by-cp/layers.0.w mnt/staging/tensors/renamed
weightfs commit mnt
umount_model mnt
assert_eq "$(python3 -m wfs list one.safetensors)" 'renamed F16 [16,16]'
