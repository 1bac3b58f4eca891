# SPDX-License-Identifier: Apache-2.0
# Every editing tool, on a disk of its own that can be full:
#   success   it exits 0, the commit takes its edit, the official library judges the bytes
#   full      it exits non-zero with a message of its own where it needs room, or needs none; nothing committed is lost, check tells what
#             is wrong with a half-written tensor; with room again the same command works, and its edit is committed
#   frozen    while a commit runs it fails at once, the tensor is as it was; after it the same command works
#   changed   the model was replaced underneath: the tool works, the commit is refused (ESTALE), both stay
# No tool leaves a file that it did not leave in a plain directory.
import threading
import traceback

from wfs import *

requires("fuse", "root", "vim", "rsync", "jq", "sponge", "python:numpy")
if has_official():
    import safetensors  # noqa: F401

SIZE = 300_000
T = "mnt/staging/tensors"
PYTHON = "python3 -c 'import sys, os, shutil, numpy as np\n{}'"


class Tool:
    """A command, and {name: bytes or None for gone} of what it makes of a tensor `x` of SIZE bytes; needs: whether it needs room."""

    def __init__(self, name, command, makes, needs=True, setup=""):
        self.name, self.command, self.makes, self.needs, self.setup = name, command, makes, needs, setup


def patched(offset, data):
    return OLD[:offset] + data + OLD[offset + len(data):]


OLD, NEW = pattern(SIZE, 1), pattern(SIZE, 99)
TEXT = OLD.replace(b"\xa7", b"Q")
PARALLEL = {f"p{i}": NEW for i in range(4)}
TOOLS = [
    Tool("cp", f"cp new {T}/x", {"x": NEW}),
    Tool("cp -a", f"cp -a new {T}/x", {"x": NEW}),
    Tool("cp --remove-destination", f"cp --remove-destination new {T}/x", {"x": NEW}),
    Tool("cp inside", f"cp {T}/x {T}/p0", {"x": OLD, "p0": OLD}, needs=False),
    Tool("mv in", f"cp new in; mv in {T}/x", {"x": NEW}),
    Tool("mv out", f"mv {T}/x moved-out; cmp moved-out old", {"x": None}, needs=False),
    Tool("mv over", f"mv {T}/x {T}/p0", {"x": None, "p0": OLD}, needs=False),
    Tool("mv -n", f"mv -n {T}/x {T}/p9", {"x": None, "p9": OLD}, needs=False),
    Tool("mv exchange", PYTHON.format(f"import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
                                      f"r = libc.renameat2(-100, b\"{T}/x\", -100, b\"{T}/p0\", 2)\n"
                                      f"sys.exit(os.strerror(ctypes.get_errno()) if r else 0)"), {"x": pattern(SIZE, 2), "p0": OLD}, needs=False),
    Tool("rm", f"rm {T}/x", {"x": None}, needs=False),
    Tool("find -delete", f"find {T} -name x -delete", {"x": None}, needs=False),
    Tool("dd conv=notrunc", f"dd if=new of={T}/x bs=4096 count=2 seek=3 conv=notrunc status=none", {"x": patched(12288, NEW[:8192])}),
    Tool("truncate", f"truncate -s {SIZE - 4} {T}/x; truncate -s {SIZE} {T}/x", {"x": OLD[:-4] + bytes(4)}),
    Tool("fallocate", f"truncate -s 100 {T}/x; fallocate -l {SIZE} {T}/x", {"x": OLD[:100] + bytes(SIZE - 100)}),
    Tool(">>", f"truncate -s 100000 {T}/x; tail -c 200000 new >> {T}/x", {"x": OLD[:100000] + NEW[100000:]}),
    Tool("tee", f"tee {T}/x < new > /dev/null", {"x": NEW}),
    Tool("sed -i", f"LC_ALL=C sed -i 's/\\xa7/Q/g' {T}/x", {"x": TEXT}),
    Tool("vim", f"LC_ALL=C vim -Nu NONE -n -es -c 'set binary noeol' -c 'silent! %s/\\%xa7/Q/g' -c 'wq' {T}/x", {"x": TEXT}),
    Tool("rsync -a", f"rsync -a new {T}/x", {"x": NEW}),
    Tool("rsync --inplace", f"rsync -a --inplace new {T}/x", {"x": NEW}),
    Tool("tar x", f"tar -C {T} -x -f new.tar", {"x": NEW}),
    Tool("install", f"install -m 600 new {T}/x", {"x": NEW}),
    Tool("touch and chmod", f"touch -d @1 {T}/x; chmod 640 {T}/x", {"x": OLD}, needs=False),
    Tool("np.save", PYTHON.format("np.save(\"mnt/staging/npy/x.npy\", np.fromfile(\"new\", np.uint8))"), {"x": NEW}),
    Tool("tofile", PYTHON.format(f"np.fromfile(\"new\", np.uint8).tofile(\"{T}/x\")"), {"x": NEW}),
    Tool("np.memmap", PYTHON.format(f"a = np.memmap(\"{T}/x\", np.uint8, \"r+\")\na[:] = np.fromfile(\"new\", np.uint8)\na.flush()"), {"x": NEW}),
    Tool("save to scratch, rename", PYTHON.format(f"shutil.copyfile(\"new\", \"{T}/.x.tmp\")\nos.replace(\"{T}/.x.tmp\", \"{T}/x\")"), {"x": NEW}),
    Tool("parallel cp", f"seq 0 3 | xargs -P 4 -I N cp new {T}/pN", PARALLEL),
    Tool("jq | sponge", "jq '.x.shape = [2, 150000]' mnt/staging/metadata.json | sponge mnt/staging/metadata.json", {"x": OLD}),
    Tool("jq . f > f", "jq . mnt/staging/metadata.json > mnt/staging/metadata.json", {"x": OLD}, needs=False),
]
if has_official():
    TOOLS.append(Tool("save_file to a scratch path",
                      PYTHON.format("from safetensors.numpy import save_file\nsave_file({\"a\": np.fromfile(\"new\", np.uint8)}, \"mnt/staging/s.tmp\")\n"
                                    "os.unlink(\"mnt/staging/s.tmp\")"), {"x": OLD}))


def fresh():
    tensors = {"x": ("U8", [SIZE], OLD)} | {f"p{i}": ("U8", [SIZE], pattern(SIZE, 2 + i)) for i in range(4)}
    with contextlib.suppress(FileNotFoundError):
        os.unlink("disk/m.safetensors")
    save("disk/m.safetensors", tensors, {"format": "pt"})
    for left in ("in", "moved-out"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(left)
    return tensors


def result_of(tool, tensors):
    """The model after the tool: existing tensors keep dtype and shape."""
    after = dict(tensors)
    for name, data in tool.makes.items():
        if data is None:
            del after[name]
        else:
            shape = [2, SIZE // 2] if tool.name == "jq | sponge" and name == "x" else [SIZE]
            after[name] = ("U8", shape, data)
    return after


def do(tool, code=0):
    return run("bash", "-c", "set -e -o pipefail; " + tool.command, code=code, timeout=90)


def no_litter(tool):
    left = [f for d in ("", "tensors", "npy") for f in os.listdir(f"mnt/staging/{d}") if f.startswith(".fuse_hidden")]
    equal(left, [], f"{tool.name}: hidden files")
    equal([f for f in os.listdir("disk") if f not in ("m.safetensors", ".m.safetensors.staging", "filler")], [], f"{tool.name}: files beside the model")


def fill():
    """The disk has no room any more, not for one more block."""
    with open("disk/filler", "wb", buffering=0) as file:
        for size in (1 << 20, 1 << 16, 4096, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass


def success(tool, m, tensors):
    do(tool)
    no_litter(tool)
    equal(m.errors(), [], f"{tool.name}: problems")
    m.commit()
    judge("disk/m.safetensors", result_of(tool, tensors), {"format": "pt"})


def full(tool, m, tensors):
    write(m.staged("p3"), pattern(SIZE, 5))  # there is a staging directory, with room for the journal's next lines
    before = read("disk/m.safetensors")
    fill()
    result = do(tool, code=None)
    if tool.needs:
        equal(result.code != 0, True, f"{tool.name} on a full disk: exit code")
        if tool.name != "vim":  # in -es mode it only exits 1
            equal(result.err.strip() != "" or result.out.strip() != "", True, f"{tool.name} on a full disk: its message")
    equal(read("disk/m.safetensors"), before, f"{tool.name} on a full disk: the model")
    equal(read(m.tensor("x")), OLD, f"{tool.name} on a full disk: the model's tensor")
    for name in os.listdir(T):
        size = os.stat(f"{T}/{name}").st_size
        if name in tensors and size != SIZE:  # cut short: status tells, the commit refuses
            equal(name in [p[0] for p in m.errors()], True, f"{tool.name} on a full disk: a problem of {name} with {size} bytes")
            equal(m.control("commit"), "EINVAL", f"{tool.name} on a full disk: commit")
    os.unlink("disk/filler")
    for name in os.listdir(T):
        if name not in tensors and name != "p9":
            os.unlink(f"{T}/{name}")
    if result.code != 0 and "x" in os.listdir(T):
        shell(f"cp mnt/tensors/x {T}/x")  # what a person does: begin again
    if result.code != 0:
        do(tool)
    no_litter(tool)
    m.commit()
    after = result_of(tool, tensors)
    if "p3" not in tool.makes:
        after["p3"] = ("U8", [SIZE], pattern(SIZE, 5))
    judge("disk/m.safetensors", after, {"format": "pt"})


def frozen(tool, m, tensors):
    """A writer that stays open keeps a commit waiting for a second: staging is frozen all that time."""
    fd = os.open(m.staged("p2"), os.O_WRONLY)
    os.pwrite(fd, b"held", 0)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(m.control("commit")))
    begun = time.monotonic()
    thread.start()
    while m.status()["commit"]["state"] != "running" and not answers:
        pass
    try:
        os.truncate(m.staged("p1"), 1)
        refused = False
    except OSError as error:
        refused = errno_name(error) == "EBUSY"
    result = do(tool, code=None)
    still = not answers
    took = time.monotonic() - begun
    thread.join()
    os.close(fd)
    equal(answers, ["EBUSY"], "the commit that met an open writer")
    if still and took < 0.9:  # all of it was in the frozen time, also on a busy machine
        equal(refused, True, f"{tool.name} while frozen: EBUSY for a change")
        changes_nothing = tool.name in ("touch and chmod",)
        equal(result.code != 0 or changes_nothing, True, f"{tool.name} while frozen: exit code")
        if result.code != 0 and tool.name != "mv out":
            equal(read(m.staged("x")), OLD, f"{tool.name} while frozen: the tensor")
    if result.code != 0 or not refused:
        weightfs("discard", "mnt")
        do(tool)
        os.truncate(m.staged("p1"), SIZE)
    else:
        shell(f"for n in p1 p2; do cp mnt/tensors/$n {T}/$n; done")
    no_litter(tool)
    m.commit()
    found = parse("disk/m.safetensors")[1]
    for name, data in tool.makes.items():
        equal(found[name][2] if name in found else None, data, f"{tool.name} after the commit: {name}")
    return still and took < 0.9


def changed(tool, m, tensors):
    do(tool)
    other = build({"other": ("U8", [3], b"abc")})
    write("disk/other", other)
    os.replace("disk/other", "disk/m.safetensors")
    if m.status()["staging"]["changes"]:
        equal(m.control("commit"), "ESTALE", f"{tool.name} under a changed model: commit")
        equal(read("disk/m.safetensors"), other, f"{tool.name} under a changed model: the other one's file")
        for name, data in tool.makes.items():
            if data is None:
                equal(os.path.exists(m.staged(name)), False, f"{tool.name} under a changed model: {name} is gone")
            else:
                equal(read(m.staged(name)), data, f"{tool.name} under a changed model: the edit")


def go_through(case):
    """All tools in one case, in a directory and on a disk of their own."""
    os.mkdir(case.__name__)
    os.chdir(case.__name__)
    os.mkdir("disk")
    if run("mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", "disk", code=None).code:
        return 77
    write("new", NEW)
    write("old", OLD)
    shell("mkdir t && cp new t/x && tar -C t -c -f new.tar x")
    count = 0
    for tool in TOOLS:
        tensors = fresh()
        m = Mount("disk/m.safetensors")
        pid = m.pid()
        try:
            count += bool(case(tool, m, tensors))
            m.umount("--discard")
            wait_for(lambda: has_ended(pid), "the daemon's end", 20)
        except BaseException:
            print(f"{tool.name}, {case.__name__}: {tool.command}")
            traceback.print_exc()
            return 1
        with contextlib.suppress(FileNotFoundError):
            os.unlink("disk/filler")
    if case is frozen:
        print(f"{count} of {len(TOOLS)} tools ran wholly while staging was frozen")
    return 0


sys.stdout.flush()
pids = {}
for case in (success, full, frozen, changed):
    pid = os.fork()
    if pid == 0:
        code = go_through(case)
        sys.stdout.flush()
        os._exit(code)
    pids[pid] = case.__name__
codes = {}
for _ in range(len(pids)):
    pid, status = os.wait()
    codes[pids[pid]] = os.waitstatus_to_exitcode(status)
if set(codes.values()) == {77}:
    skip("no tmpfs can be mounted")
equal(codes, {name: 0 for name in codes}, "exit codes of the cases")
print(f"{len(TOOLS)} tools, {len(codes)} cases each")
