# SPDX-License-Identifier: Apache-2.0
# cp, cp -a, cat >, tee, install, tar, rsync -a and --inplace, dd: the bytes change, dtype and shape stay, scratch files never
# become tensors.
. "$WEIGHTFS_SOURCE/tests/lib/common.sh"
requires fuse rsync tar jq

python3 - <<'END'
from wfs import *
TOOLS = ["cp", "cp-a", "cp-p", "cat", "tee", "install", "tar", "rsync", "rsync-inplace", "dd", "mv-in", "cp-force"]
save("m.safetensors", {tool: tensor("BF16", [40, 60], i) for i, tool in enumerate(TOOLS)})
os.mkdir("in")
wanted = {tool: ("BF16", [40, 60], pattern(4800, 100 + i)) for i, tool in enumerate(TOOLS)}
for tool, (_, _, data) in wanted.items():
    write(f"in/{tool}", data)
    os.utime(f"in/{tool}", (1e9, 1e9 + len(tool)))
    os.chmod(f"in/{tool}", 0o604)
save("wanted.safetensors", wanted)
END
mount_model m.safetensors mnt
t=mnt/staging/tensors

cp in/cp $t/cp
cp -a in/cp-a $t/cp-a
cp -p in/cp-p $t/cp-p
cat in/cat >$t/cat
tee $t/tee <in/tee >/dev/null
install -m 600 in/install $t/install
tar -C in -c tar | tar -C $t -x
rsync -a in/rsync $t/
rsync -a --inplace in/rsync-inplace $t/
dd if=in/dd of=$t/dd bs=1000 status=none
mv in/mv-in $t/mv-in
cp --force --remove-destination in/cp-force $t/cp-force

# What was asked to be kept is shown until the commit.
for tool in cp-a cp-p; do
    assert_eq "$(stat -c '%Y %a' $t/$tool)" "$(stat -c '%Y %a' in/$tool)" "times and mode after $tool"
done
assert_eq "$(stat -c %Y $t/rsync)" "$(stat -c %Y in/rsync)" "time after rsync -a"
for tool in cp cp-a cp-p cat tee install tar rsync rsync-inplace dd cp-force; do
    cmp in/$tool $t/$tool
done

# Nothing but the twelve tensors: no scratch file lies about, all still BF16.
assert_eq "$(ls -A mnt/staging)" "m.safetensors
metadata.json
npy
tensors"
assert_eq "$(ls -A $t | wc -l)" 12
assert_eq "$(jq -r 'del(.__metadata__) | map("\(.dtype) \(.shape)") | unique[]' mnt/staging/metadata.json)" 'BF16 [40,60]'
assert_eq "$(jq -c '.staging.problems' mnt/.weightfs/status.json)" '[]'
assert_eq "$(jq -r '.staging.changes[].kind' mnt/.weightfs/status.json | sort | uniq -c | tr -s ' ' | paste -sd,)" ' 1 patched, 11 replaced' "only rsync --inplace patches"

weightfs commit mnt
umount_model mnt
python3 -c 'from wfs import *; judge("m.safetensors", parse("wanted.safetensors")[1])'

# The same onto a whole directory: rsync and tar of a tree made elsewhere.
mount_model m.safetensors mnt
mkdir out
rsync -a mnt/tensors/ out/
assert_eq "$(ls out | wc -l)" 12
for file in out/*; do chmod u+w "$file"; printf X | dd of="$file" bs=1 conv=notrunc status=none; done
rsync -a --checksum --no-perms out/ $t/
for file in out/*; do cmp "$file" "$t/${file#out/}"; done
tar -C out -cf all.tar .
tar -C $t -xf all.tar --no-overwrite-dir
weightfs commit mnt
for file in out/*; do cmp "$file" "mnt/tensors/${file#out/}"; done
umount_model mnt
