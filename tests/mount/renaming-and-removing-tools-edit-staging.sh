# SPDX-License-Identifier: Apache-2.0
# mv, mv -n, mv over, rm, find -delete, and what must be refused: links, directories, renames between the trees.
. "$WEIGHTFS_SOURCE/tests/lib/common.sh"
requires fuse jq

small_model m.safetensors
mount_model m.safetensors mnt
t=mnt/staging/tensors
for file in mnt/tensors/*; do tensor_bytes m.safetensors "${file##*/}" >"was.${file##*/}"; done

mv $t/a $t/renamed
mv $t/layers.2.w $t/layers.10.w                            # over another tensor
mv -n $t/scalar $t/flags || true                           # not over
cmp $t/flags was.flags
mv mnt/staging/npy/empty.npy mnt/staging/npy/hollow.npy    # through the other view
rm $t/optimizer.m
find mnt/staging/npy -name 'optimizer.*' -delete
mv $t/lm_head.weight $t/tmp; mv $t/model.embed.weight $t/lm_head.weight; mv $t/tmp $t/model.embed.weight    # swap

cmp $t/renamed was.a
cmp $t/layers.10.w was.layers.2.w
cmp $t/lm_head.weight was.model.embed.weight
cmp $t/model.embed.weight was.lm_head.weight
assert_missing $t/a
assert_missing $t/optimizer.v
assert_missing mnt/staging/npy/a.npy
[ -e mnt/staging/npy/renamed.npy ] || fail "the rename does not show in npy/"
[ -e $t/hollow ] || fail "the rename does not show in tensors/"

refused() { # refused ERRNO_TEXT COMMAND...
    local text=$1
    shift
    assert_exit 1 "$@"
    assert_contains "$(cat err)" "$text"
}
refused 'not permitted' mkdir $t/dir
refused 'not permitted' ln $t/renamed $t/hard
refused 'not permitted' ln -s renamed $t/soft
refused 'not permitted' mkfifo $t/pipe
refused 'busy|not permitted' rmdir $t
refused 'Read-only' mv $t/renamed mnt/tensors/x
refused 'Read-only|Permission|not permitted' mv mnt/tensors/flags $t/x
refused 'Read-only|Permission|not permitted' rm -f mnt/tensors/flags
refused 'Invalid|subdirectory of itself' mv $t/renamed mnt/staging/npy/renamed.npy
cmp $t/renamed was.a
cmp $t/flags was.flags

assert_eq "$(jq -r '.staging.changes[] | "\(.tensor) \(.kind) \(.from)"' mnt/.weightfs/status.json | grep -E '^(renamed|hollow|optimizer)' | sort)" \
"hollow renamed empty
optimizer.m removed null
optimizer.v removed null
renamed renamed a"
weightfs commit mnt
umount_model mnt
python3 - <<'END'
from wfs import *
was = small()
was["flags"] = ("BOOL", [13], bytes(i % 2 for i in range(13)))
judge("m.safetensors", {"renamed": was["a"], "layers.10.w": was["layers.2.w"], "layers.0.w": was["layers.0.w"], "scalar": was["scalar"], "flags": was["flags"],
                        "hollow": was["empty"], "lm_head.weight": was["model.embed.weight"], "model.embed.weight": was["lm_head.weight"],
                        "model.norm.weight": was["model.norm.weight"]}, {"format": "pt"})
END
