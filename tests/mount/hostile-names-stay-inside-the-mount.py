# SPDX-License-Identifier: Apache-2.0
# Names with a slash, dots, nothing, newlines, NUL, escape sequences, 300 bytes: every tensor has one file, every file one tensor.
from wfs import *

requires("fuse")
LONG = "n" * 300
NAMES = ["a/b", "..", ".", "", "new\nline", "nul\0byte", "\x1b[31mred", "%", "%41", "a%2Fb", ".hidden", "tail~", "sed123456", "4913", LONG,
         LONG + "x", "é" * 200, "日本", "space name", "tab\tname", "-rf", "*", "\x7f", "__init__", "A", "a", "con", "x.npy", "../../etc/passwd",
         "n" * 251, "n" * 252, "%" * 83, "%" * 84, "~" + "0" * 16, "n~0123456789abcdef", "bell\a", "\u202eevil", "metadata.json", "quote'\"\\"]
before = {name: ("U8", [4], struct.pack("<I", 1000 + i)) for i, name in enumerate(NAMES)}
save("m.safetensors", before)
EXPECTED = {"a/b": "a%2Fb", "..": "%2E.", ".": "%2E", "": "%", "new\nline": "new%0Aline", "nul\0byte": "nul%00byte", "%": "%25", "%41": "%2541",
            ".hidden": "%2Ehidden", "tail~": "tail%7E", "\x1b[31mred": "%1B[31mred", "4913": "%34913", "sed123456": "%73ed123456", "日本": "日本",
            "n" * 251: "n" * 251}

with Mount("m.safetensors") as m:
    files = os.listdir("mnt/tensors")
    equal(len(files), len(NAMES), "files")
    equal([f for f in files if len(f.encode()) > 251 or "/" in f or f.startswith(".") or any(ord(c) < 32 for c in f)], [], "unsafe file names")
    by_name = {}
    for file in files:
        name = os.getxattr(f"mnt/tensors/{file}", "user.safetensors.name").decode()
        by_name[name] = file
        equal(read(f"mnt/tensors/{file}"), before[name][2], f"bytes of {name!r}")
        equal(read(f"mnt/staging/tensors/{file}"), before[name][2], f"staged bytes of {name!r}")
        if name in EXPECTED:
            equal(file, EXPECTED[name], f"file name of {name!r}")
    equal(sorted(by_name), sorted(NAMES), "names in xattrs")
    equal(sorted(os.listdir("mnt/npy")), sorted(f"{file}.npy" for file in files), "npy/")
    equal(sorted(os.listdir("mnt")), [".weightfs", "m.safetensors", "metadata.json", "npy", "staging", "tensors"], "root")

    # Every one can be edited under its file name: patched, renamed, and a copy keeps a long name by its xattr.
    wanted = {}
    for i, (name, file) in enumerate(by_name.items()):
        data = struct.pack("<I", 5000 + i)
        write(m.staged(file), data)
        wanted[name] = ("U8", [4], data)
    os.rename(m.staged(by_name["a/b"]), m.staged("c%2Fd"))
    wanted["c/d"] = wanted.pop("a/b")
    shell(f'cp -a mnt/staging/tensors/{by_name[LONG]} outside; rm mnt/staging/tensors/{by_name[LONG]}; cp -a outside mnt/staging/tensors/{by_name[LONG]}')
    os.rename(m.staged(by_name["*"]), m.staged("renamed\u00e9"))
    wanted["renamed\u00e9"] = wanted.pop("*")
    with raises("EINVAL"):
        os.open(m.staged("bad%zz"), os.O_CREAT | os.O_WRONLY)
    for text in (m.text(), weightfs("status", "mnt").out, weightfs("ls", "m.safetensors").out):
        equal([c for c in text if (ord(c) < 32 and c != "\n") or ord(c) == 127], [], "control characters for a terminal")
    m.commit()
    judge("m.safetensors", wanted)
