# SPDX-License-Identifier: Apache-2.0
# mount in the background, -f, the call of a mount helper, mount(8) itself, a mount point of its own making, a dead mount.
. "$WEIGHTFS_SOURCE/tests/lib/common.sh"
requires fuse root jq

small_model m.safetensors
mkdir mnt

# In the background: usable at once, silent, descriptors closed (the pipe would not end), and gone when umount returns.
for try in 1 2 3 4 5; do
    output=$(weightfs mount m.safetensors mnt 2>&1 | cat; stat -c %s mnt/tensors/a)
    assert_eq "$output" 40 "a usable mount, round $try"
    pid=$(daemon_pid mnt)
    kill -0 "$pid"
    assert_eq "$(readlink "/proc/$pid/cwd")" /
    weightfs umount mnt
    ! kill -0 "$pid" 2>/dev/null || [ "$(awk '{print $3}' "/proc/$pid/stat")" = Z ] || fail "the daemon outlives umount"
    ! is_mounted mnt || fail "still mounted"
done

# In the foreground, until a signal.
for signal in TERM INT HUP; do
    weightfs mount -f m.safetensors mnt 2>"log.$signal" &
    pid=$!
    for _ in $(seq 600); do [ -e mnt/tensors/a ] && break; sleep 0.05; done
    tensor_bytes m.safetensors a | cmp - mnt/tensors/a
    assert_eq "$(daemon_pid mnt)" "$pid"
    kill -$signal "$pid"
    wait "$pid" || true
    ! is_mounted mnt || fail "still mounted after SIG$signal"
done

# As mount(8) and fstab call a helper.
weightfs m.safetensors mnt -o ro,noatime
cmp mnt/m.safetensors m.safetensors
assert_contains "$(grep " $TEST_TMP/mnt " /proc/mounts)" 'fuse.weightfs ro,'
weightfs umount mnt
weightfs m.safetensors mnt -o rw,nodev,nosuid
assert_contains "$(grep " $TEST_TMP/mnt " /proc/mounts)" 'm.safetensors.* fuse.weightfs rw,.*nosuid.*nodev|fuse.weightfs rw'
fusermount3 -u mnt
for _ in $(seq 600); do is_mounted mnt || break; sleep 0.05; done
if [ -x /sbin/mount.fuse ]; then
    mount -t fuse "$WEIGHTFS#$PWD/m.safetensors" "$PWD/mnt" -o ro
    cmp mnt/m.safetensors m.safetensors
    umount mnt
fi

# Relative paths, symlinks on the way, spaces.
mkdir -p 'a b/c d'
cp m.safetensors 'a b/s p.safetensors'
(cd 'a b' && weightfs mount 's p.safetensors' 'c d')
cmp 'a b/c d/s p.safetensors' m.safetensors
weightfs umount 'a b/c d'

# Without a directory: ./STEM, which goes with the mount.
weightfs mount m.safetensors
cmp m/m.safetensors m.safetensors
weightfs umount m
assert_missing m

# A dead mount is cleared by the next one.
mount_model m.safetensors mnt
kill -KILL "$(daemon_pid mnt)"
for _ in $(seq 600); do cat mnt/.weightfs/status >/dev/null 2>&1 || break; sleep 0.05; done
assert_exit 1 cat mnt/.weightfs/status
weightfs mount m.safetensors mnt
cmp mnt/m.safetensors m.safetensors
weightfs umount mnt

# umount of a dead mount works too.
mount_model m.safetensors mnt
kill -KILL "$(daemon_pid mnt)"
for _ in $(seq 600); do cat mnt/.weightfs/status >/dev/null 2>&1 || break; sleep 0.05; done
weightfs umount mnt
! is_mounted mnt || fail "a dead mount is still there"

# Usage errors.
assert_exit 2 weightfs mount
assert_exit 2 weightfs mount --no-such-option m.safetensors mnt
assert_exit 2 weightfs mount -o no_such_option=1 m.safetensors mnt
! is_mounted mnt || fail "mounted in spite of a wrong option"
assert_exit 2 weightfs umount
result=0
weightfs umount mnt 2>err || result=$?
[ "$result" != 0 ] || fail "umount of what is not mounted succeeded"
assert_contains "$(cat err)" 'mnt'
