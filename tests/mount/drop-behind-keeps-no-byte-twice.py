# SPDX-License-Identifier: Apache-2.0
# -o drop_behind: what the daemon brought into the page cache to serve a reader does not stay there; what somebody else had in it
# before does. Without the option all of it stays.
from wfs import *

requires("fuse")
import ctypes  # noqa: E402
import mmap  # noqa: E402

SIZE, STILL = 96 << 20, 28 << 20  # the block with the header, the last one, and what the kernel read ahead may still be there
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


def cached(path, begin=0, end=None):
    """Bytes of a file that are in the page cache."""
    size = os.path.getsize(path)
    fd = os.open(path, os.O_RDONLY)
    address = libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, fd, 0)
    pages = ctypes.create_string_buffer((size + 4095) // 4096)
    equal(libc.mincore(address, size, pages), 0, "mincore")
    libc.munmap(address, size)
    os.close(fd)
    return 4096 * sum(page & 1 for page in pages.raw[begin // 4096:end and end // 4096])


def forget(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


# two tensors, sparse: the bytes do not matter, but a few in the middle
header = json.dumps({name: {"dtype": "U8", "shape": [SIZE], "data_offsets": [i * SIZE, (i + 1) * SIZE]}
                     for i, name in enumerate(("a", "b"))}).encode()
write("m.safetensors", frame(header))
os.truncate("m.safetensors", 8 + len(header) + 2 * SIZE)
mark = os.open("m.safetensors", os.O_WRONLY)
os.pwrite(mark, b"here", 8 + len(header) + SIZE // 2)
os.close(mark)
forget("m.safetensors")
if cached("m.safetensors") > 1 << 20:
    skip("this file system keeps everything in the page cache")

with Mount("m.safetensors", "plain", "-o", "ro") as m:
    shell(f"cat {m.tensor('a')} > /dev/null")
    equal(cached("m.safetensors") >= SIZE, True, "without the option the file is cached, too")

forget("m.safetensors")
with Mount("m.safetensors", "mnt", "-o", "ro,drop_behind") as m:
    data = read(m.tensor("a"))
    equal((len(data), data[SIZE // 2:SIZE // 2 + 4]), (SIZE, b"here"), "bytes")
    equal(cached("m.safetensors") <= STILL, True, f"{cached('m.safetensors')} bytes of the model are still cached")
    equal(cached(m.tensor("a")) >= SIZE * 9 // 10, True, "but the tensor is")

    # what another program uses stays, if it was there before the reader came near
    shell("tail -c +$((96 << 20)) m.safetensors > /dev/null")
    before = cached("m.safetensors", SIZE + (32 << 20))
    equal(before >= 60 << 20, True, "read by another program")
    read(m.tensor("b"))
    equal(cached("m.safetensors", SIZE + (32 << 20)) >= before, True, "and kept for it")
