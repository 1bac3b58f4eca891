# SPDX-License-Identifier: Apache-2.0
# To a pipe, a file, a file that is appended to, in the middle of a file; never to a terminal.
from wfs import *
import pty

wanted = save_small()
tensor_bytes = wanted["model.embed.weight"][2]
for name, (dtype, shape, data) in wanted.items():
    finished = subprocess.run([os.environ["WEIGHTFS"], "cat", "m.safetensors", name], capture_output=True, check=True)
    equal(finished.stdout, data, name)
shell('"$WEIGHTFS" cat m.safetensors model.embed.weight > file; echo before > log; "$WEIGHTFS" cat m.safetensors model.embed.weight >> log')
shell('{ printf start; "$WEIGHTFS" cat m.safetensors model.embed.weight; printf end; } > middle')
equal(read("file"), tensor_bytes, "a file")
equal(read("log"), b"before\n" + tensor_bytes, "a file that is appended to")
equal(read("middle"), b"start" + tensor_bytes + b"end", "in the middle")
shell('"$WEIGHTFS" cat m.safetensors model.embed.weight | head -c 1 > /dev/null', code=None)

# of more than is reserved at a time; over what is there; no blocks are left over
big = pattern((65 << 20) + 5, 6)
save("big.safetensors", {"big": ("U8", [len(big)], big)})
write("over", b"-" * (len(big) + 10))
shell('"$WEIGHTFS" cat big.safetensors big > file; printf before > log; "$WEIGHTFS" cat big.safetensors big >> log')
shell('{ printf 123; "$WEIGHTFS" cat big.safetensors big; } 1<> over')
equal(read("file"), big, "a large file")
equal(read("log"), b"before" + big, "a large file that is appended to")
equal(read("over"), b"123" + big + b"-" * 7, "over a file")
run("sync", "file")
equal(os.stat("file").st_blocks * 512 <= len(big) + (1 << 20), True, "blocks")

weightfs("cat", "m.safetensors", code=2)
contains(weightfs("cat", "m.safetensors", "model.embed.wieght", code=2).err, "Did you mean 'model.embed.weight'?")
write("cut.safetensors", read("m.safetensors")[:-1])
contains(one_sentence(weightfs("cat", "cut.safetensors", "a", code=2).err), "MetadataIncompleteBuffer")
if os.access("/dev/full", os.W_OK):
    contains(shell('"$WEIGHTFS" cat m.safetensors a > /dev/full', code=4).err, "No space left")

master, terminal = pty.openpty()
finished = subprocess.run([os.environ["WEIGHTFS"], "cat", "m.safetensors", "a"], stdout=terminal, stderr=subprocess.PIPE, text=True)
equal(finished.returncode, 2, "on a terminal")
contains(one_sentence(finished.stderr), "terminal")

# .npy, for the tensors that can be one
try:
    import numpy
except ImportError:
    numpy = None
if numpy:
    shell('"$WEIGHTFS" cat --npy m.safetensors layers.0.w > w.npy')
    array = numpy.load("w.npy")
    equal((array.dtype.str, array.shape, array.tobytes()), ("<f2", (16, 16), wanted["layers.0.w"][2]), "the .npy")
save("f4.safetensors", {"x": tensor("F4", [2])})
contains(weightfs("cat", "--npy", "f4.safetensors", "x", code=2).err, "F4")

if os.geteuid() == 0:
    with disk("ext4", 32):
        contains(shell('"$WEIGHTFS" cat big.safetensors big > disk/file', code=4).err, "No space left")
