# SPDX-License-Identifier: Apache-2.0
# A daemon that dies while its status is read: what came before is not taken for the whole. strace stands in for it, with the second read.
from wfs import *

requires("fuse", "strace")
os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"  # which does not work under strace
COUNT = 2000
save("m.safetensors", {f"layer.{i}.weight": ("U8", [1], b"x") for i in range(COUNT)})
BREAKS = ["strace", "-f", "-o", "trace", "-e", "trace=read", "-e", "inject=read:error=ENOTCONN:when=2"]

with Mount("m.safetensors") as m:
    for i in range(COUNT):
        os.unlink(m.staged(f"layer.{i}.weight"))
    for name, *words in ("status",), ("status.json", "--json"):
        path = os.path.abspath(m / f".weightfs/{name}")
        equal(len(read(path)) > 65536, True, "more than one read takes")
        result = run(*BREAKS, "-P", path, os.environ["WEIGHTFS"], "status", *words, "mnt", code=None)
        if "INJECTED" not in read("trace").decode():
            skip("strace cannot inject here")
        equal((result.code, result.out), (4, ""), "exit code and output")
        contains(result.err, "the daemon has died")
    weightfs("discard", "mnt")
