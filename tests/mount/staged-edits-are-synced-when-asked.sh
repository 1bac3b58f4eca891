# SPDX-License-Identifier: Apache-2.0
# fsync through any descriptor reaches the disk before it answers; a commit syncs the file before, and the directory after, the
# rename. Seen from outside, as the daemon's system calls.
. "$WEIGHTFS_SOURCE/tests/lib/common.sh"
requires fuse strace jq root

small_model m.safetensors
mount_model m.safetensors mnt
pid=$(daemon_pid mnt)
trace() { # trace FILE: follows the daemon from here on
    strace -f -y -qq -e trace=fsync,fdatasync,syncfs,rename,renameat,renameat2,linkat -o "$1" -p "$pid" 2>strace.err &
    tracer=$!
    cleanup_fn eval "kill $tracer 2>/dev/null"
    local try
    for try in $(seq 600); do
        [ "$(awk '/TracerPid/ {print $2}' "/proc/$pid/status")" != 0 ] && return 0
        kill -0 $tracer 2>/dev/null || skip "strace cannot attach: $(tail -n 1 strace.err)"
        sleep 0.05
    done
    skip "strace cannot attach (waited after $try tries)"
}
untrace() { kill -INT $tracer; wait $tracer || true; }

dd if=/dev/zero of=mnt/staging/tensors/a bs=40 count=1 conv=notrunc status=none
trace log.fsync
dd if=/dev/urandom of=mnt/staging/tensors/a bs=40 count=1 conv=notrunc,fsync status=none
sync mnt/staging/metadata.json mnt/staging/tensors
untrace
[ "$(grep -cE 'f(data)?sync\(.*staging/.*= 0' log.fsync)" -ge 2 ] || fail "fsync of a staged file and its journal: $(cat log.fsync)"

trace log.commit
weightfs commit mnt
untrace
awk '
    /f(data)?sync\(.*(m\.safetensors|\(deleted\)|#[0-9]+).*= 0/ && !renamed {synced = 1}
    /rename(at2?)?\(.*m\.safetensors/ {if (!synced) exit 1; renamed = 1}
    renamed && /f(data)?sync\(.*= 0/ {directory = 1}
    END {exit !(synced && renamed && directory)}' log.commit || fail "order of the commit: $(cat log.commit)"
umount_model mnt
