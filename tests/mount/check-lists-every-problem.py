# SPDX-License-Identifier: Apache-2.0
# All problems of a staged model at once, each with tensor, expected and found; a failed commit changes nothing; each is mendable.
from wfs import *

requires("fuse")
wanted = save_small()
before = read("m.safetensors")
stamp = os.stat("m.safetensors")

with Mount("m.safetensors") as m:
    write(m.staged("undeclared"), b"123")
    write(m.staged("layers.0.w"), b"too short")
    append(m.staged("optimizer.m"), b"too long")
    write(m.staged("a"), b"\x93NUMPY\x01\0" + bytes(32))
    write(m.npy("garbled"), b"this is no npy file" * 10)
    write(m.npy("partial"), b"\x93NUMPY\x01\0\x76\0" + b"{'descr': '<f4', 'fortran_order': False, 'shape': (100,), }".ljust(117) + b"\n" + b"1234")
    write(m.npy("objects"), b"\x93NUMPY\x01\0\x76\0" + b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n" + b"12345678")
    write(m.npy("void"), b"\x93NUMPY\x01\0\x76\0" + b"{'descr': '|V1', 'fortran_order': False, 'shape': (4,), }".ljust(117) + b"\n" + b"1234")
    write(m.staged("unknown-dtype"), b"1234")
    os.setxattr(m.staged("unknown-dtype"), "user.safetensors.shape", b"[4]")
    write(m / "staging/metadata.json", b'{"__metadata__": {"n": 1}}')
    EXPECTED = {("undeclared", "DtypeUndeclared"), ("layers.0.w", "SizeMismatch"), ("optimizer.m", "SizeMismatch"), ("a", "NpyInTensors"),
                ("garbled", "NpyInvalid"), ("partial", "NpyIncomplete"), ("objects", "NpyInvalid"), ("void", "DtypeUndeclared"),
                ("unknown-dtype", "DtypeUndeclared"), (None, "DocumentInvalid")}

    for verb in ("check", "commit"):
        report = weightfs(verb, "mnt", "--json", code=1).json()
        equal(report["ok"], False, "ok")
        errors = {(p["tensor"], p["code"]) for p in report["problems"] if p["severity"] == "error"}
        equal(errors, EXPECTED, f"problems of {verb}")
        mismatch = next(p for p in report["problems"] if p["tensor"] == "layers.0.w")
        contains(f"{mismatch['expected']} {mismatch['found']} {mismatch['message']}", "512", "9", "layers.0.w")
        for problem in report["problems"]:
            equal(sorted(problem), ["code", "expected", "found", "message", "offset", "severity", "tensor"], "keys of a problem")
            one_sentence(problem["message"])
        text = weightfs(verb, "mnt", code=1)
        for name, code in EXPECTED:
            contains(text.out + text.err, code, *([name] if name else []))
        equal(m.control(verb), "EINVAL", verb)
    equal((os.stat(m.preview).st_size, read("m.safetensors") == before), (0, True), "preview's size, source")
    with raises("EINVAL"):
        os.open(m.preview, os.O_RDONLY)
    now = os.stat("m.safetensors")
    equal((now.st_ino, now.st_mtime_ns, now.st_size), (stamp.st_ino, stamp.st_mtime_ns, stamp.st_size), "identity of the source")
    equal(read(m.staged("layers.0.w")), b"too short", "staged bytes after a failed commit")
    equal(read(m / "staging/metadata.json"), b'{"__metadata__": {"n": 1}}', "document after a failed commit")
    for name, (_, _, data) in wanted.items():
        equal(read(m.tensor(name)), data, f"{name} in the read-only tree")
    equal([f for f in os.listdir(".") if f not in ("m.safetensors", "mnt", ".m.safetensors.staging")], [], "files left by a failed commit")

    # Each is mended by ordinary means.
    os.setxattr(m.staged("undeclared"), "user.safetensors.dtype", b"U8")
    os.setxattr(m.staged("undeclared"), "user.safetensors.shape", b"[3]")
    write(m.staged("layers.0.w"), bytes(512))
    os.truncate(m.staged("optimizer.m"), 400)
    os.unlink(m.staged("a"))
    for name in ("garbled", "partial", "objects", "void"):
        os.unlink(m.npy(name))
    os.setxattr(m.staged("unknown-dtype"), "user.safetensors.dtype", b"I32")
    os.setxattr(m.staged("unknown-dtype"), "user.safetensors.shape", b"[]")
    write(m / "staging/metadata.json", b'{"__metadata__": {"n": "1"}}')
    m.commit()
wanted |= {"undeclared": ("U8", [3], b"123"), "layers.0.w": ("F16", [16, 16], bytes(512)), "unknown-dtype": ("I32", [], b"1234")}
del wanted["a"]
judge("m.safetensors", wanted, {"n": "1"})
