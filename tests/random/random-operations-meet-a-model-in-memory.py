# SPDX-License-Identifier: Apache-2.0
# 100,000 operations of fixed seeds through real mounts, each compared with a model in memory: every call's answer, bytes, sizes, names,
# declarations, status, preview, the committed file; over commits, discards, unmounts and SIGKILL of the daemon (operations.py).
# WEIGHTFS_RANDOM_OPERATIONS and WEIGHTFS_RANDOM_SEED make it another run.
import pathlib
import tempfile

from wfs import *

requires("fuse")
WORLDS, AT_ONCE = 8, 2
total = int(os.environ.get("WEIGHTFS_RANDOM_OPERATIONS", "100000"))
seed = os.environ.get("WEIGHTFS_RANDOM_SEED", "suite")
program = pathlib.Path(os.environ["WEIGHTFS_SOURCE"]) / "tests/random/operations.py"

# In memory, where syncing costs nothing, except for one world: what is tested is not the disk.
memory = tempfile.mkdtemp(prefix="weightfs.", dir="/dev/shm") if os.access("/dev/shm", os.W_OK) else None
os.mkdir("disk")
waiting = [(f"{seed}.{i}", "disk" if i == 0 or not memory else memory) for i in range(WORLDS)]
running, failed = {}, False
try:
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            name, directory = waiting.pop(0)
            output = open(f"{name}.out", "wb+")
            running[name] = output, subprocess.Popen([sys.executable, program, "--seed", name, "--ops", str(total // WORLDS), "--directory", directory],
                                                     stdout=output, stderr=subprocess.STDOUT)
        name = next((name for name, (_, process) in running.items() if process.poll() is not None), None)
        if not name:
            time.sleep(0.05)
            continue
        output, process = running.pop(name)
        output.seek(0)
        print(output.read().decode(errors="replace"), end="")
        output.close()
        if process.returncode != 0:
            failed = True
            waiting.clear()
finally:
    if memory:
        for left in pathlib.Path(memory).glob("*.ops"):
            shell(f"cp {left} .")
        shell(f"rm -rf {memory}")
if failed:
    fail("the mount and the model in memory disagree")
