# SPDX-License-Identifier: Apache-2.0
# Names, metadata and paths with escape sequences, line ends, bidirectional overrides: shown escaped in every output for people.
from wfs import *

EVIL = "\x1b[31mred\x07\r\nnext\u202eevil\x9b2J\u200b"
os.mkdir("d")
path = "d/\x1b]0;title\x07.safetensors"
save(path, {EVIL: ("U8", [1], b"x")}, {EVIL: EVIL})


def harmless(text):
    equal([hex(ord(c)) for c in text if ord(c) < 32 and c != "\n" or 127 <= ord(c) < 160 or c in "\u202e\u200b"], [], f"harmful characters of {text!r}")


for words in (["ls", path], ["ls", "-l", path], ["inspect", path], ["verify", path], ["verify", "--strict", path], ["cat", path, EVIL + "x"],
              ["ls", path, EVIL + "?"], ["extract", path, "-C", path], ["pack", path, path], [EVIL], ["help", EVIL], ["repair", path, path],
              ["verify", "--crc", path], ["ls", EVIL]):
    result = weightfs(*words, code=None)
    harmless(result.out)
    harmless(result.err)
contains(weightfs("ls", path).out, "\\x1b[31mred\\x07\\r\\nnext\\u202eevil")

# Programs get the name as it is.
equal(weightfs("ls", "--json", path).json_lines()[0]["name"], EVIL, "the name in JSON")
equal(weightfs("inspect", "--json", path).json()["metadata"], {EVIL: EVIL}, "metadata in JSON")
equal(weightfs("cat", path, EVIL).out, "x", "cat by the true name")

# A path that is no UTF-8 is told as Python does it.
raw = b"d/\xff.safetensors"
with open(raw, "wb") as file:
    file.write(read(path))
finished = subprocess.run([os.environ["WEIGHTFS"], "inspect", "--json", raw], capture_output=True)
equal(json.loads(finished.stdout)["file"], "d/\udcff.safetensors", "the path in JSON")
