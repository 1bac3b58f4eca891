# SPDX-License-Identifier: Apache-2.0
# Below every problem stands a command, and that very command (with what only the user knows filled in) ends the problem.
from wfs import *

requires("fuse", "setfattr", "bash")
FILE = "a model.safetensors"
save(FILE, {name: tensor("F32", [4], i) for i, name in enumerate(["a", "b", "it's", "d"])}, {"format": "pt"})
npy = b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }".ljust(127) + b"\n"


def undeclared(m):
    write(m.staged("new\u00e9 $x"), b"1234")


def too_short(m):
    write(m.staged("it's"), b"1234")


def no_npy(m):
    write(m.npy("a"), b"nothing like it at all" * 10)


def half_an_npy(m):
    write(m.npy("a"), npy + b"123")


def npy_in_tensors(m):
    write(m.staged("n"), npy + b"1234")


def conflict(m):
    write(m.npy("n"), npy + b"1234")
    os.setxattr(m.npy("n"), "user.safetensors.dtype", b"I32")


def document(m):
    write(m.staging + "/metadata.json", b"{ half")


def reserved(m):
    write(m.staged("__metadata__"), b"1234")
    os.setxattr(m.staged("__metadata__"), "user.safetensors.dtype", b"U8")
    os.setxattr(m.staged("__metadata__"), "user.safetensors.shape", b"[4]")


def odd_shape(m):
    os.setxattr(m.staged("a"), "user.safetensors.shape", b"[9223372036854775807,9223372036854775807]")


def missing(m):
    write(m.staging + "/metadata.json", b'{"later":{"dtype":"U8","shape":[4]}}')
    os.unlink(m.staged("d"))  # a document that declares for later is nothing to be committed by itself


def another_dtype(m):
    os.setxattr(m.staged("a"), "user.safetensors.dtype", b"I32")


def to_scratch(m):
    os.rename(m.staged("a"), m.staged("a~"))


fill = {"DTYPE": "U8", "FILE.npy": "good.npy", "FILE": "four"}
write("four", b"1234")
write("good.npy", npy + b"1234")

with Mount(FILE, "a mount") as m:
    for make, code in ((undeclared, "DtypeUndeclared"), (too_short, "SizeMismatch"), (no_npy, "NpyInvalid"), (half_an_npy, "NpyIncomplete"),
                       (npy_in_tensors, "NpyInTensors"), (conflict, "NpyConflict"), (document, "DocumentInvalid"),
                       (reserved, "NameReserved"), (odd_shape, "ValidationOverflow"), (missing, "TensorMissing"),
                       (another_dtype, "DtypeChanged"), (to_scratch, "ScratchFile")):
        make(m)
        equal(code in [p["code"] for p in m.problems()], True, f"{make.__name__}: {m.problems()}")
        lines = m.text().splitlines()
        at = next(i for i, line in enumerate(lines) if code in line)
        equal(lines[at].startswith(("problem: ", "warning: ")), True, lines[at])
        equal(lines[at + 1].startswith("    "), True, f"the command below {lines[at]!r}")
        commands = lines[at + 1].strip().split(", or: ")
        for command in commands:
            weightfs("discard", m.directory)
            make(m)
            for placeholder, value in (fill | {"'[N]'": "'[1]'" if make is too_short else "'[4]'"}).items():
                command = command.replace(placeholder, value)
            command = command.replace("weightfs ", os.environ["WEIGHTFS"] + " ")
            shell(command)
            found = [p["code"] for p in m.problems()]
            equal(code in found, False, f"after {command!r}: {m.problems()}")
        weightfs("discard", m.directory)
    equal(m.changes(), {}, "changes left")

# Colour: on a terminal, unless NO_COLOR says otherwise
with Mount(FILE, "a mount") as m:
    undeclared(m)
    plain = weightfs("status", m.directory).out
    equal("\033" in plain, False, "colour in a pipe")
    command = f"{os.environ['WEIGHTFS']} status {m.directory!r}"
    terminal = run("script", "-qec", command, "/dev/null", env=os.environ | {"TERM": "xterm"}).out
    contains(terminal, "\033[31mproblem: ", "\033[32m  added ")
    terminal = run("script", "-qec", command, "/dev/null", env=os.environ | {"TERM": "xterm", "NO_COLOR": "1"}).out
    equal("\033" in terminal, False, "colour with NO_COLOR")
