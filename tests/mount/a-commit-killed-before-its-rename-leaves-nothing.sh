# SPDX-License-Identifier: Apache-2.0
# SIGKILL between linking the finished file under a hidden name and renaming it: the old model stays, the edits are resumed, and
# the hidden file is removed then; a file that only has such a name is left alone.
. "$WEIGHTFS_SOURCE/tests/lib/common.sh"
requires fuse strace
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"

small_model m.safetensors
cp m.safetensors before
mount_model m.safetensors mnt
rm mnt/staging/tensors/a
umount_model mnt
strace -f -o trace -e inject=renameat,renameat2,rename:signal=KILL weightfs commit m.safetensors && fail "was not killed"
cmp before m.safetensors
hidden=$(find . -maxdepth 1 -printf '%f\n' | grep -E '^\.m\.safetensors\.weightfs-[0-9a-f]{16}$') || skip "killed before the link: $(tail -n 1 trace)"
touch .m.safetensors.weightfs-0123456789abcdef
mount_model m.safetensors mnt
[ ! -e "$hidden" ] || fail "$hidden is still there"
[ -e .m.safetensors.weightfs-0123456789abcdef ] || fail "a file of somebody else's was removed"
[ ! -e mnt/staging/tensors/a ] || fail "the edit was lost"
weightfs commit mnt
umount_model mnt
assert_eq "$(weightfs verify m.safetensors)" "m.safetensors: ok, 11 tensors"
