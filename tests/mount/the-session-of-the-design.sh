# SPDX-License-Identifier: Apache-2.0
# The session of the README, word for word, and what it leaves behind.
. "$WEIGHTFS_SOURCE/tests/lib/common.sh"
requires fuse jq sponge xxd python:safetensors python:numpy

python3 - <<'END'
import numpy as np
from wfs import *
model = {"lm_head.weight": tensor("BF16", [64, 32], 1), "model.embed.weight": tensor("BF16", [64, 32], 2),
         "model.norm.weight": tensor("F32", [32], 3), "a": tensor("F16", [8], 4), "optimizer.m": tensor("F32", [9], 5), "optimizer.v": tensor("F32", [9], 6)}
save("model.safetensors", model, {"format": "pt"})
write("new.bin", pattern(4096, 99))
np.save("patch.npy", np.arange(40, dtype=np.float16).reshape(4, 10))
END

set +o pipefail # `head` may close the pipe before its writer is done
mkdir mnt; weightfs mount model.safetensors mnt
ls -l mnt/tensors; jq . mnt/metadata.json; dd if=mnt/tensors/lm_head.weight bs=1M count=1 | xxd | head
cp new.bin mnt/staging/tensors/lm_head.weight            # replace bytes
mv mnt/staging/tensors/a mnt/staging/tensors/b           # rename
rm mnt/staging/tensors/optimizer.*                       # drop
cp patch.npy mnt/staging/npy/model.norm.weight.npy       # add or replace; dtype and shape come along
assert_same mnt/staging/tensors/lm_head.weight new.bin
cp mnt/staging/tensors/model.embed.weight mnt/staging/tensors/lm_head.weight    # duplicate: no bytes are copied
jq '.__metadata__.title="x"' mnt/staging/metadata.json | sponge mnt/staging/metadata.json
python3 -c "from safetensors import safe_open; safe_open('mnt/staging/model.safetensors','np')"   # try it first
cp mnt/staging/model.safetensors preview
weightfs status mnt; weightfs check mnt; weightfs commit mnt; weightfs umount mnt

assert_same model.safetensors preview
python3 - <<'END'
import numpy as np
from wfs import *
embed = tensor("BF16", [64, 32], 2)
judge("model.safetensors", {"lm_head.weight": embed, "model.embed.weight": embed, "b": tensor("F16", [8], 4),
                            "model.norm.weight": ("F16", [4, 10], np.arange(40, dtype=np.float16).tobytes())},
      {"format": "pt", "title": "x"})
END
assert_eq "$(ls mnt)" ""
