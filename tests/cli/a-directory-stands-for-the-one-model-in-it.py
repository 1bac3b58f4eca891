# SPDX-License-Identifier: Apache-2.0
from wfs import *

os.mkdir("model")
save_small("model/weights.safetensors")
result = weightfs("inspect", "model", "--json")
equal(result.json()["file"], "model/weights.safetensors", "the file")
contains(one_sentence(result.err), "model stands for model/weights.safetensors")
contains(weightfs("verify", "model").out, "model/weights.safetensors: ok")
save_small("model/second.safetensors")
contains(one_sentence(weightfs("ls", "model", code=2).err), "several")
os.mkdir("hollow")
contains(one_sentence(weightfs("ls", "hollow", code=2).err), "no safetensors file")
write("model/model.safetensors.index.json", b"{}")
contains(one_sentence(weightfs("ls", "model", code=2).err), "sharded")
