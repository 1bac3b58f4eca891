# SPDX-License-Identifier: Apache-2.0
# docs/from-stsw.md: the README of stsw, translated, those of its examples included on which stsw fails.
from wfs import *

requires("cc")
source, build_directory = os.environ["WEIGHTFS_SOURCE"], os.environ["WEIGHTFS_BUILD"]
cache = read(f"{build_directory}/CMakeCache.txt").decode()
if "WEIGHTFS_SANITIZE:STRING=\n" not in cache or "WEIGHTFS_COVERAGE:BOOL=OFF" not in cache:
    skip("an instrumented library needs flags of its own")
run("cc", "-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{source}/include", f"{source}/examples/from_stsw.c", f"{build_directory}/libweightfs.so",
    f"-Wl,-rpath,{build_directory}", "-o", "from_stsw")
equal(run("./from_stsw", ".").out.splitlines(), ["wrote 4750000 of 4750000 bytes", "valid: 2 checksums compared", "embeddings", "image", "the same",
                                               "valid: 300 checksums compared"], "what it says")
tensors = parse("model.safetensors")[1]
equal({name: value[:2] for name, value in tensors.items()}, {"embeddings": ("F32", [1000, 1000]), "image": ("U8", [500, 500, 3])}, "model")
judge("model.safetensors", tensors)
judge("checkpoint.safetensors", parse("checkpoint.safetensors")[1])
contains(weightfs("verify", "--crc", "checkpoint.safetensors").out, "300 checksums compared")
