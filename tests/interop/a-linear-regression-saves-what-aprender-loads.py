# SPDX-License-Identifier: Apache-2.0
# examples/linear_regression.c, under the seven tests of aprender's chapter on safetensors, determinism, and its byte vectors.
from wfs import *

requires("cc", "pkg-config")
if run("pkg-config", "--exists", "gsl", code=None).code:
    skip("no GSL (libgsl-dev)")
source, build_directory = os.environ["WEIGHTFS_SOURCE"], os.environ["WEIGHTFS_BUILD"]
cache = read(f"{build_directory}/CMakeCache.txt").decode()
if "WEIGHTFS_SANITIZE:STRING=\n" not in cache or "WEIGHTFS_COVERAGE:BOOL=OFF" not in cache:
    skip("an instrumented library needs flags of its own")
shell(f'cc -std=c11 -Wall -Wextra -Werror -I{source}/include {source}/examples/linear_regression.c {build_directory}/libweightfs.so '
      f'-Wl,-rpath,{build_directory} $(pkg-config --cflags --libs gsl) -o linear_regression')


def fit(rows, model="model.safetensors"):
    write("data", "".join(" ".join(map(str, row)) + "\n" for row in rows).encode())
    run("./linear_regression", "fit", "data", model)
    return read(model)


def predict(*x, model="model.safetensors", code=0):
    return run("./linear_regression", "predict", model, *x, code=code)


# y = x1 + 2 x2
data = [(1, 1, 3), (2, 1, 4), (3, 2, 7), (4, 3, 10)]
saved = fit(data)
equal(os.path.exists("model.safetensors"), True, "1: creates the file")

length = struct.unpack("<Q", saved[:8])[0]
equal(0 < length < 10000, True, "2: the header's length")
equal(len(saved), 8 + length + 12, "2: the file's length")

header = json.loads(saved[8:8 + length])
equal(header, {"coefficients": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
               "intercept": {"dtype": "F32", "shape": [1], "data_offsets": [8, 12]}}, "3: the JSON")

values = struct.unpack("<3f", saved[8 + length:])
for found, expected in zip(values, (1.0, 2.0, 0.0)):
    equal(abs(found - expected) < 1e-5, True, f"4: the coefficients {values}")

for x1, x2, y in data + [(10, -3, 4), (0.5, 0.25, 1)]:
    found = float(predict(x1, x2).out)
    equal(abs(found - y) < 1e-4, True, f"5: the prediction {found} of {y}")

contains(one_sentence(predict(1, 2, model="missing.safetensors", code=1).err), "missing.safetensors", "No such file")

write("corrupted.safetensors", b"\xff" * 8 + saved[8:])
contains(one_sentence(predict(1, 2, model="corrupted.safetensors", code=1).err), "HeaderTooLarge")
write("corrupted.safetensors", saved[:8] + b"#" + saved[9:])
contains(one_sentence(predict(1, 2, model="corrupted.safetensors", code=1).err), "InvalidHeaderDeserialization")

equal(fit(data, "again.safetensors"), saved, "determinism")

# aprender's own bytes for this model: its header is not padded. Ours has one blank more.
json_text = b'{"coefficients":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"intercept":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}'
aprender = frame(json_text, struct.pack("<3f", 1, 2, 0))
equal((len(aprender), aprender[0]), (147, 0x7f), "aprender's file")
write("aprender.safetensors", aprender)
equal(float(predict(3, 4, model="aprender.safetensors").out), 11.0, "a prediction from aprender's file")
equal(saved[:8 + length], frame(json_text + b" "), "our header")
realizar = frame(json_text.replace(b"[2]", b"[3]").replace(b"[0,8]", b"[0,12]").replace(b"[8,12]", b"[12,16]"), struct.pack("<4f", 2, 3, 1.5, 0.5))
equal(len(realizar), 153, "realizar's file")
write("realizar.safetensors", realizar)
equal(float(predict(1, 1, 2, model="realizar.safetensors").out), 8.5, "a prediction from realizar's file")

# what is no such model
save("other.safetensors", {"weights": tensor("F32", [2])})
contains(one_sentence(predict(1, 2, model="other.safetensors", code=1).err), "there is no tensor 'coefficients'")
save("other.safetensors", {"coefficients": tensor("F32", [2]), "intercept": tensor("F32", [2])})
contains(one_sentence(predict(1, 2, model="other.safetensors", code=1).err), "tensor 'intercept': expected at most 1 values")
contains(predict(1, model="model.safetensors", code=1).err, "predicts from 2 numbers, not 1")
