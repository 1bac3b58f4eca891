# SPDX-License-Identifier: Apache-2.0
# A container that was started meanwhile has a copy of the mount: the daemon lives as long as that, umount says so and returns.
from wfs import *

requires("fuse", "root", "unshare")
save_small()
m = Mount("m.safetensors")
write(m.staged("a"), bytes(40))
pid = m.pid()
# without the mounts of tests that run beside this one: their daemons, too, would live as long
detach_others = f"grep ' - fuse.weightfs ' /proc/self/mountinfo | cut -d ' ' -f 5 | grep -vxF '{os.getcwd()}/mnt' | xargs -r -n 1 umount -l"
holder = subprocess.Popen(["unshare", "--mount", "sh", "-c", detach_others + "; exec sleep 100"])
try:
    wait_for(lambda: read(f"/proc/{holder.pid}/comm") == b"sleep\n", "the other namespace")
    began = time.monotonic()
    result = weightfs("umount", "mnt", timeout=30)
    print(f"{time.monotonic() - began:.1f} s")
    contains(result.err, f"process {holder.pid}", "1 staged change")
    equal((os.path.ismount("mnt"), has_ended(pid)), (False, False), "mounted, ended")
    contains(weightfs("mount", "m.safetensors", "mnt", code=3).err, str(pid))
finally:
    holder.kill()
    holder.wait()
wait_for(lambda: has_ended(pid), "the daemon's end", 10)
with Mount("m.safetensors") as m:
    equal(m.changes(), {"a": "replaced"}, "edits")
    m.umount("--discard")
