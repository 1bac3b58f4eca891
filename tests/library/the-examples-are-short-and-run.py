# SPDX-License-Identifier: Apache-2.0
# Reading one tensor takes at most 15 lines, writing a file at most 25 (statements and their declarations; no blank lines, no lone braces);
# both are compiled against the installed headers' directory and the library, and run.
import re
from wfs import *

requires("cc")
source, build_directory = os.environ["WEIGHTFS_SOURCE"], os.environ["WEIGHTFS_BUILD"]
cache = read(f"{build_directory}/CMakeCache.txt").decode()
if "WEIGHTFS_SANITIZE:STRING=\n" not in cache or "WEIGHTFS_COVERAGE:BOOL=OFF" not in cache:
    skip("an instrumented library needs flags of its own")


def compile_example(name, *libraries):
    run("cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-Wpedantic", f"-I{source}/include", f"{source}/examples/{name}.c", *libraries,
        f"{build_directory}/libweightfs.so", f"-Wl,-rpath,{build_directory}", "-o", name)


def lines_of_main(name):
    text = read(f"{source}/examples/{name}.c").decode()
    body = text[text.index("int main("):].split("\n{\n", 1)[1].rsplit("\n}", 1)[0]
    return len([line for line in body.splitlines() if re.search(r"[^\s{}]", line)])


for name, limit in (("read", 15), ("write", 25)):
    equal(lines_of_main(name) <= limit, True, f"{name}: {lines_of_main(name)} lines, at most {limit}")
    compile_example(name)

run("./write", "model.safetensors")
equal(os.path.getsize("model.safetensors") > 1024000, True, "size")
equal(run("./read", "model.safetensors", "embedding").out, "0 0.00390625 0.0078125 0.0117188\n", "what was read")
metadata, tensors = parse("model.safetensors")
equal((metadata, list(tensors), tensors["embedding"][:2]), ({"format": "pt"}, ["embedding"], ("F32", [1000, 256])), "the model")
judge("model.safetensors", tensors)
contains(run("./read", "model.safetensors", "other", code=1).err, "model.safetensors: there is no tensor 'other'")
contains(run("./read", "missing", "x", code=1).err, "missing")
contains(run("./write", "/nonexistent/x", code=1).err, "/nonexistent/x")
