# SPDX-License-Identifier: Apache-2.0
# Ctrl-C: exit 130, one sentence, the old file untouched and no other left behind.
from wfs import *

os.makedirs("dir/tensors")
with open("dir/tensors/big", "wb") as file:
    file.truncate(6 << 30)
write("dir/metadata.json", b'{"big":{"dtype":"U8","shape":[6442450944]}}')
os.mkdir("out")
write("out/model.safetensors", b"old")
free = os.statvfs(".")
if free.f_bavail * free.f_frsize < 8 << 30:
    skip("less than 8 GiB free")


def is_writing(pid):
    """Has the new file open: it has no name yet, but its directory shows."""
    with contextlib.suppress(OSError):  # a descriptor that was closed meanwhile
        links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        return any(link.startswith(os.path.realpath("out") + "/") for link in links)
    return False


for signal_number in (signal.SIGINT, signal.SIGTERM):
    process = subprocess.Popen([os.environ["WEIGHTFS"], "pack", "-f", "dir", "out/model.safetensors"], stderr=subprocess.PIPE, text=True)
    wait_for(lambda: process.poll() is not None or is_writing(process.pid), "the new file to be begun")
    process.send_signal(signal_number)
    err = process.communicate(timeout=60)[1]
    equal(process.returncode, 130, err)
    contains(one_sentence(err.splitlines()[-1]), "weightfs: ", "cancelled")
    equal(os.listdir("out"), ["model.safetensors"], "files")
    equal(read("out/model.safetensors"), b"old", "the old file")
