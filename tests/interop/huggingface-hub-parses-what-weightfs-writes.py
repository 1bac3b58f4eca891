# SPDX-License-Identifier: Apache-2.0
# huggingface_hub reads the header of a file of a hub by range requests; here the hub is a server on 127.0.0.1. And of a local file.
import http.server
import threading

from peers import *

requires("python:huggingface_hub")
os.environ.update(HF_HOME=os.getcwd(), HF_HUB_DISABLE_TELEMETRY="1", NO_PROXY="127.0.0.1", no_proxy="127.0.0.1")
os.environ.pop("HF_HUB_OFFLINE", None)
from huggingface_hub import HfApi
from huggingface_hub.errors import SafetensorsParsingError

ranges = []


class Hub(http.server.BaseHTTPRequestHandler):
    """Serves /ORGANIZATION/MODEL/resolve/main/FILE from the current directory, by ranges only."""

    def do_GET(self):
        data = read(os.path.basename(self.path))
        begin, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
        ranges.append((begin, last))
        part = data[begin:last + 1]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {begin}-{begin + len(part) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
threading.Thread(target=server.serve_forever, daemon=True).start()
api = HfApi(endpoint=f"http://127.0.0.1:{server.server_port}", token=False)


def parse_remote(path):
    return api.parse_safetensors_file_metadata("some/model", path)


readers = [parse_remote]
if hasattr(api, "parse_local_safetensors_file_metadata"):
    readers.append(api.parse_local_safetensors_file_metadata)

for what, tensors, metadata in models():
    path = "model.safetensors"
    pack(path, tensors, metadata)
    ranges.clear()
    for reader in readers:
        found = reader(path)
        equal(found.metadata, metadata or {}, f"{what}: metadata")
        equal({name: (info.dtype, info.shape, *info.data_offsets) for name, info in found.tensors.items()}, entries_of(path), what)
        elements = {}
        for dtype, _, data in tensors.values():
            elements[dtype] = elements.get(dtype, 0) + len(data) * 8 // BITS[dtype]
        equal(found.parameter_count, elements, f"{what}: parameters")
    equal(len(ranges), 2 if what == "a long header" else 1, f"{what}: requests {ranges}")
    loads_here(path, tensors, metadata)
    os.unlink(path)

# it reads what it is given: a header that ends early is refused
save("cut.safetensors", sample())
write("cut.safetensors", struct.pack("<Q", 100) + read("cut.safetensors")[8:])
for reader in readers:
    try:
        reader("cut.safetensors")
    except SafetensorsParsingError:
        continue
    fail("huggingface_hub accepts a header that is cut off")
server.shutdown()
