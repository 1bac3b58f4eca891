# SPDX-License-Identifier: Apache-2.0
# rm drops, a new file with a declaration adds, metadata.json changes dtype and shape; the rest is kept, and stale checksums are not.
from wfs import *

wanted = save_small()
weightfs("extract", "m.safetensors", "-C", "dir")
os.unlink("dir/tensors/optimizer.m")
del wanted["optimizer.m"]
write("dir/tensors/layers.0.w", pattern(512, 77))
wanted["layers.0.w"] = ("F16", [16, 16], pattern(512, 77))
document = json.loads(read("dir/metadata.json"))
document["new"] = {"dtype": "U8", "shape": [2, 2]}
document["a"]["shape"] = [5, 1]
document["__metadata__"]["title"] = "x"
wanted["new"] = ("U8", [2, 2], b"1234")
wanted["a"] = ("I64", [5, 1], wanted["a"][2])
write("dir/metadata.json", json.dumps(document, indent=2).encode())
write("dir/tensors/new", b"1234")
result = weightfs("pack", "dir", "out.safetensors")
contains(result.err, "optimizer.m", "left out", "warning")
equal(read("out.safetensors"), build(wanted, {"format": "pt", "title": "x"}), "the packed file")

# The order that was is kept on request.
save("order.safetensors", {})
write("order.safetensors", frame('{"z":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"F32","shape":[1],"data_offsets":[1,5]},'
                                 '"m":{"dtype":"U8","shape":[2],"data_offsets":[5,7]}}', b"zaaaamm"))
weightfs("extract", "order.safetensors", "-C", "order")
shell("printf mmm > order/tensors/m; sed -i 's/\\[2\\]/[3]/' order/metadata.json")
weightfs("pack", "--layout", "canonical", "order", "canonical.safetensors")
equal(list(parse("canonical.safetensors")[1]), ["a", "m", "z"], "canonical order")
weightfs("pack", "--layout", "align=4096", "order", "aligned.safetensors")
equal(struct.unpack("<Q", read("aligned.safetensors")[:8])[0], 4096 - 8, "header length")

# A checksum of bytes that were changed is computed anew.
weightfs("pack", "--crc", "dir", "crc.safetensors")
weightfs("verify", "--crc", "crc.safetensors")
weightfs("extract", "crc.safetensors", "-C", "crc")
weightfs("pack", "crc", "same.safetensors")
equal(read("same.safetensors"), read("crc.safetensors"), "a file with checksums")
write("crc/tensors/new", b"5678")
weightfs("pack", "crc", "changed.safetensors")
contains(weightfs("verify", "--crc", "changed.safetensors").out, "12 tensors, 12 checksums")
equal(parse("changed.safetensors")[1]["new"][2], b"5678", "the changed tensor")
