# SPDX-License-Identifier: Apache-2.0
from wfs import *

tensors = {name: tensor("F32", [n + 1]) for n, name in enumerate(
    ["layer.10.w", "layer.2.w", "layer.1.w", "layer.1.b", "x[1]", "x1", "a.b.c", "*"])}
save("m.safetensors", tensors)


def names(*patterns, code=0):
    return [line["name"] for line in weightfs("ls", "--json", "m.safetensors", *patterns, code=code).json_lines()]


equal(names(), ["*", "a.b.c", "layer.1.b", "layer.1.w", "layer.2.w", "layer.10.w", "x1", "x[1]"], "natural order")
equal(names("layer.*"), ["layer.1.b", "layer.1.w", "layer.2.w", "layer.10.w"], "layer.*")
equal(names("l*w"), ["layer.1.w", "layer.2.w", "layer.10.w"], "* crosses dots")
equal(names("x[1]"), ["x[1]"], "a literal name wins over the glob")
equal(names("x[12]"), ["x1"], "a glob")
equal(names("*"), ["*"], "a tensor called *")
equal(names("layer.?.w", "*.b", "layer.2.w"), ["layer.1.b", "layer.1.w", "layer.2.w"], "each once")
result = weightfs("ls", "m.safetensors", "x1", "nothing.*", code=1)
contains(result.out, "x1")
contains(one_sentence(result.err), "no tensor matches 'nothing.*'")
contains(weightfs("ls", "m.safetensors", "layer.3.w", code=1).err, "there is no tensor 'layer.3.w'. Did you mean 'layer.")

lines = weightfs("ls", "m.safetensors", "a.b.c", "x1", "layer.10.w").out.splitlines()
equal(lines, ["F32     [7]  28 B  a.b.c", "F32     [1]   4 B  layer.10.w", "F32     [6]  24 B  x1"], "the columns")
equal(weightfs("ls", "-b", "m.safetensors", "x1").out.split(), ["F32", "[6]", "24", "x1"], "in bytes")
offset = weightfs("ls", "--json", "m.safetensors", "x1").json_lines()[0]["file_offset"]
equal(weightfs("ls", "-lb", "m.safetensors", "x1").out.split(), ["F32", "[6]", "24", str(offset), "x1"], "with the place")
