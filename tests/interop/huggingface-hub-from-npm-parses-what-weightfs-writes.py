# SPDX-License-Identifier: Apache-2.0
# parseSafetensorsMetadata of @huggingface/hub, which reads by range requests, over a fetch that serves local bytes.
from peers import *

READ = """
import {readFileSync} from "node:fs";
import {parseSafetensorsMetadata} from "@huggingface/hub";

async function serve(url, options) {
    const path = decodeURIComponent(new URL(url).pathname).split("/").pop();
    if (path == "config.json") {
        return new Response("none", {status: 404, headers: {"X-Error-Code": "EntryNotFound"}});
    }
    const data = readFileSync(process.env.MODELS + "/" + path);
    const [, begin, last] = /^bytes=(\\d+)-(\\d+)$/.exec(new Headers(options.headers).get("Range")).map(Number);
    const part = data.subarray(begin, last + 1);
    return new Response(part, {status: 206, headers: {
        "Content-Range": `bytes ${begin}-${begin + part.length - 1}/${data.length}`, "ETag": '"1"'}});
}

const told = {};
for (const path of process.argv.slice(1)) {
    try {
        told[path] = await parseSafetensorsMetadata({repo: "some/model", path, computeParametersCount: true, fetch: serve});
    } catch (error) {
        told[path] = {error: error.message};
    }
}
console.log(JSON.stringify(told));
"""
# node resolves the imports of a script without a file from the current directory
hub = peer("hub")
made = {}
for i, (what, tensors, metadata) in enumerate(models()):
    path = f"{i}.safetensors"
    pack(path, tensors, metadata)
    made[path] = what, tensors, metadata
save("cut.safetensors", sample())
write("cut.safetensors", struct.pack("<Q", 100) + read("cut.safetensors")[8:])
save("short.safetensors", {"a": tensor("U8", [1000])})
write("short.safetensors", read("short.safetensors")[:500])

told = run("node", "--input-type=module", "-e", READ, *made, "cut.safetensors", "short.safetensors", cwd=hub,
           env={**os.environ, "MODELS": os.getcwd()}).json()
for path, (what, tensors, metadata) in made.items():
    if "error" in told[path]:
        fail(f"{what}: {told[path]['error']}")
    header = told[path]["header"]
    equal(header.pop("__metadata__", None), metadata, f"{what}: metadata")
    equal({name: (entry["dtype"], entry["shape"], *entry["data_offsets"]) for name, entry in header.items()}, entries_of(path), what)
    equal(told[path]["sharded"], False, what)
    loads_here(path, tensors, metadata)

# it reads what it is given
contains(told["cut.safetensors"]["error"], "not valid JSON")
contains(told["short.safetensors"]["error"], "exceeds the file size")
