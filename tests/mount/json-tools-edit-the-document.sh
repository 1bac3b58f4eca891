# SPDX-License-Identifier: Apache-2.0
# staging/metadata.json under jq | sponge, sed -i, vim, cp, tee, >, jq . f > f: what is valid is applied at the last close, what is
# not is shown and blocks, an empty document and a stale one change nothing.
. "$WEIGHTFS_SOURCE/tests/lib/common.sh"
requires fuse jq sponge vim

small_model m.safetensors
mount_model m.safetensors mnt
d=mnt/staging/metadata.json
cp $d stale.json
meta() { jq -c .__metadata__ $d; }

jq '.__metadata__.title = "one"' $d | sponge $d
assert_eq "$(meta)" '{"format":"pt","title":"one"}'
sed -i 's/"one"/"two"/' $d
assert_eq "$(meta)" '{"format":"pt","title":"two"}'
vim -Nu NONE -es -c '%s/"two"/"three"/' -c wq $d >/dev/null 2>&1
assert_eq "$(meta)" '{"format":"pt","title":"three"}'
jq '.__metadata__.title = "four"' $d >edited.json
cp edited.json $d
assert_eq "$(meta)" '{"format":"pt","title":"four"}'
cp edited.json mnt/staging/.tmp.json
mv mnt/staging/.tmp.json $d
assert_eq "$(meta)" '{"format":"pt","title":"four"}'
echo '{"__metadata__": {"only": "this"}}' | tee $d >/dev/null     # the whole map is replaced, no tensor is dropped
assert_eq "$(meta)" '{"only":"this"}'
assert_eq "$(jq length $d)" 13
echo '{"__metadata__": {}}' >$d
assert_eq "$(meta)" '{}'
echo '{"__metadata__": null}' >$d
assert_eq "$(meta)" null
echo '{}' >$d
assert_eq "$(jq length $d)" 12
jq . $d >$d || true                                               # empties it before jq reads: harmless
assert_eq "$(jq length $d)" 12
rm $d                                                             # tar and vim do that, and write it anew
assert_eq "$(ls mnt/staging/tensors | wc -l)" 12
echo '{}' >$d
assert_eq "$(jq length $d)" 12
assert_eq "$(jq -c '[.staging.problems[] | select(.severity == "error")]' mnt/.weightfs/status.json)" '[]'

# Same dtype and size, another shape: declared.
jq '."layers.0.w".shape = [4, 64]' $d | sponge $d
assert_eq "$(jq -c '."layers.0.w".shape' $d)" '[4,64]'
assert_eq "$(getfattr --only-values -n user.safetensors.shape mnt/staging/tensors/layers.0.w | tr -d ' ')" '[4,64]'
jq '."layers.10.w" = {dtype: "BF16", shape: [256], colour: "ignored", data_offsets: "ignored"}' $d | sponge $d
assert_eq "$(jq -c '."layers.10.w" | [.dtype, .shape]' $d)" '["BF16",[256]]'

# A stale copy says nothing of what was renamed or removed since.
mv mnt/staging/tensors/a mnt/staging/tensors/z
rm mnt/staging/tensors/optimizer.m
cp stale.json $d
assert_eq "$(jq -r 'keys[]' $d | grep -E '^(a|z|optimizer)' | paste -sd' ')" 'optimizer.v z'
assert_eq "$(meta)" '{"format":"pt"}'
assert_eq "$(jq -c '[.staging.problems[] | select(.severity == "error")]' mnt/.weightfs/status.json)" '[]'

# An invalid one is shown as written, named with line and column, and blocks.
printf '{\n  "a": {"dtype": "F32",\n' >$d
assert_eq "$(cat $d)" "$(printf '{\n  "a": {"dtype": "F32",\n')"
assert_exit 1 weightfs check mnt
assert_contains "$(cat out err)" DocumentInvalid
assert_contains "$(cat out err)" 'line [0-9]+.*column [0-9]+'
assert_exit 1 weightfs commit mnt
[ "$(stat -c %s mnt/staging/m.safetensors)" = 0 ] || fail "the preview has a size in spite of a problem"
for wrong in '{"__metadata__": {"n": 1}}' '{"layers.0.w": {"dtype": "F99", "shape": [256]}}' '[]' '{"flags": {"shape": [-13]}}' '{"flags": {"shape": 13}}'; do
    echo "$wrong" >$d
    assert_exit 1 weightfs check mnt
done
echo '{"__metadata__": {"format": "pt"}}' >$d
weightfs check mnt
weightfs commit mnt
umount_model mnt
python3 -m wfs list m.safetensors >found
assert_contains "$(cat found)" '^layers.10.w BF16 \[256\]$'
assert_contains "$(cat found)" '^z I64 \[5\]$'
assert_lacks "$(cat found)" '^a |optimizer.m'
