# SPDX-License-Identifier: Apache-2.0
"""Makes headers that a parser may stumble over: right ones in every guise, and ones with one or several things wrong."""
import json
import struct

DTYPES = {"BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
          "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
          "C64": 64, "F64": 64, "I64": 64, "U64": 64}
NAMES = list(DTYPES)

# Numbers as text: what is a whole number, what only looks like one, what a double can hold and what not.
NUMBERS = ["0", "1", "2", "7", "-0", "-1", "00", "01", "+1", ".5", "1.", "1.0", "0.0", "-0.0", "1e0", "1e", "1e+", "1E2", "1e-2", "0e0",
           "1e308", "1e309", "1e400", "-1e400", "1e-400", "0e999999999999", "0.0e99999999999", "1e-99999999999", "1e99999999999",
           "1.7976931348623157e308", "1.7976931348623158e308", "17976931348623157e292", "17976931348623158e292",
           "1.7976931348623159e308", "179769313486231570000e288", "0." + "0" * 400 + "1e700", "0." + "0" * 400 + "1e720",
           "18446744073709551615", "18446744073709551616", "18446744073709551614", "9223372036854775807",
           "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "9007199254740993", "1" * 30, "1" * 308,
           "1" * 309, "1" * 310, "9" * 308, "9" * 400, "18446744073709551615.5", "18446744073709551616.5e1", "184467440737095516150e287",
           "1" * 25 + ".5e285", "1" * 25 + ".5e283", "NaN", "Infinity", "-Infinity", "0x10", "1_000", "--1", "- 1", "1 2", "e1", "-", "1e2147483647",
           "1e2147483648", "1e-2147483648", "0e2147483648", "123456789012345678901234567890e2147483647", "4.9e-324", "2e-324"]

STRINGS = ["", "a", "weight", "model.layers.0.self_attn.q_proj.weight", "a/b", "..", ".", "\u00e9", "\u4e2d\u6587", "\U0001f600", "\x7f",
           "__metadata__x", "__version__", "dtype", "shape", "data_offsets", "x" * 300, "\u0000", "a\u0000b", "\n", "\"", "\\", "\u2028", "\ud7ff", "\ue000", "\uffff"]

BAD_STRINGS = [b'"\\ud800"', b'"\\udc00"', b'"\\ud800\\ud800"', b'"\\ud800x"', b'"\\ud83d\\ude0"', b'"\\u12g4"', b'"\\u"', b'"\\x41"', b'"\\', b'"\\a"', b'"\n"', b'"\x00"', b'"\t"', b'"\x1f"', b'"',
               b"'a'", b'"\xff"', b'"\xc0\xaf"', b'"\xed\xa0\x80"', b'"\xf4\x90\x80\x80"', b'"\xf5\x80\x80\x80"', b'"\xe2\x82"', b'"\xe2\x82', b'"\x80"', b'"\xf0\x80\x80\xaf"', b'"\\U0041"', b'"\\ud83d\\uDE00"',
               b'"\\uD83D\\uDE00"', b'"\\u0000"', b'"\\/"', b'"\\b\\f\\n\\r\\t"', b'"\xf0\x9f\x98\x80"', b'"\xef\xbb\xbf"', b'"\xef\xbf\xbf"', b'"\xf4\x8f\xbf\xbf"', b'"\xed\x9f\xbf"']

VALUES = ["null", "true", "false", "[]", "{}", "[1,2,3]", '{"a":{"b":[null]}}', '""', '"x"', "nul", "True", "[1,]", "[,]", '{"a":1,}', '{"a"}', "{1:2}", "[1 2]", "{a:1}", "tru", "nulll", "//", "/**/1", "[[[]]]"]

JSON_BYTES = b'{}[]",:\\0123456789.eE+-tfnu abdtyphsxo_\n\t\r\x00\x7f\x80\xff\xc3\xa9\xef\xbb\xbf'


class Maker:
    def __init__(self, random):
        self.random = random
        self.recent = [b"{}"]

    # --- right headers, each in a guise of its own -----------------------------------------------------------

    def string(self, text):
        """The text as JSON, with escapes where they need not be."""
        if self.random.random() < 0.8:
            return json.dumps(text, ensure_ascii=self.random.random() < 0.5)
        out = []
        for unit in struct.unpack(f"<{len(text.encode('utf-16-le')) // 2}H", text.encode("utf-16-le")):
            out.append(f"\\u{unit:04x}" if self.random.random() < 0.5 else f"\\u{unit:04X}")
        return '"' + "".join(out) + '"'

    def name(self):
        choice = self.random.random()
        if choice < 0.6:
            return f"layer.{self.random.randrange(40)}.{self.random.choice(['weight', 'bias', 'x'])}"
        if choice < 0.8:
            return self.random.choice(STRINGS)
        return "".join(chr(self.random.choice([self.random.randrange(0x20, 0x7f), self.random.randrange(0x80, 0xd800),
                                               self.random.randrange(0x10000, 0x110000)])) for _ in range(self.random.randrange(12)))

    def blank(self):
        return "" if self.random.random() < self.tightness else "".join(self.random.choice(" \t\n\r") for _ in range(self.random.randrange(1, 4)))

    def shape(self, bits):
        while True:
            shape = [self.random.choice([0, 1, 1, 2, 2, 3, 4, 8]) for _ in range(self.random.choice([0, 1, 1, 2, 2, 3, 5]))]
            size = bits
            for dimension in shape:
                size *= dimension
            if size % 8 == 0 and size <= 8 * 64:
                return shape, size // 8

    def tensors(self):
        """[[name, dtype, shape texts, begin, end]...] in the order of their bytes, without holes."""
        tensors, names, at = [], set(), 0
        for _ in range(self.random.choice([0, 1, 1, 2, 2, 3, 4, 6])):
            name = self.name()
            if name in names or name == "__metadata__":
                continue
            names.add(name)
            dtype = self.random.choice(NAMES)
            shape, size = self.shape(DTYPES[dtype])
            tensors.append([name, dtype, [str(d) for d in shape], str(at), str(at + size)])
            at += size
        return tensors, at

    def value(self, depth=0):
        choice = self.random.random()
        if depth < 3 and choice < 0.25:
            return "[" + ",".join(self.value(depth + 1) for _ in range(self.random.randrange(4))) + "]"
        if depth < 3 and choice < 0.5:
            return "{" + ",".join(f"{self.string(self.name())}:{self.value(depth + 1)}" for _ in range(self.random.randrange(4))) + "}"
        if choice < 0.6:
            return self.string(self.name())
        if choice < 0.9:
            return self.random.choice(["0", "1", "-1", "1.5", "1e5", "-0", "18446744073709551616", "null", "true", "false", "0.1e-400"])
        return self.random.choice(["null", "true", "false", "[]", "{}"])

    def entry(self, tensor, extras=True):
        name, dtype, shape, begin, end = tensor
        blank = self.blank
        dtype = self.string(dtype)
        if self.random.random() < 0.03:
            dtype = "{" + blank() + dtype + blank() + ":" + blank() + "null" + blank() + "}"
        shape = "[" + ",".join(blank() + d + blank() for d in shape) + "]"
        offsets = f"[{blank()}{begin}{blank()},{blank()}{end}{blank()}]"
        if self.random.random() < 0.03:
            return f"[{blank()}{dtype}{blank()},{shape},{blank()}{offsets}]"
        members = [('"dtype"', dtype), ('"shape"', shape), ('"data_offsets"', offsets)]
        if extras and self.random.random() < 0.15:
            members.append((self.string(self.random.choice(["crc32", "strides", "x", ""])), self.value()))
        if self.random.random() < 0.3:
            self.random.shuffle(members)
        if self.random.random() < 0.05:
            members = [(self.string(json.loads(key)), value) for key, value in members]
        return "{" + blank() + ",".join(f"{blank()}{key}{blank()}:{blank()}{value}{blank()}" for key, value in members) + "}"

    def metadata(self):
        choice = self.random.random()
        if choice < 0.1:
            return "null"
        pairs = [f"{self.string(self.name())}{self.blank()}:{self.blank()}{self.string(self.name())}" for _ in range(self.random.randrange(4))]
        return "{" + self.blank() + (self.blank() + "," + self.blank()).join(pairs) + self.blank() + "}"

    def members(self, tensors):
        members = [(self.string(t[0]), self.entry(t)) for t in tensors]
        if self.random.random() < 0.4:
            self.random.shuffle(members)
        if self.random.random() < 0.4:
            key = "__metadata__" if self.random.random() < 0.9 else "\\u005f_metadata__"
            members.insert(self.random.randrange(len(members) + 1), (f'"{key}"', self.metadata()))
        return members

    def text(self, members):
        blank = self.blank
        return (blank() + "{" + blank() + ",".join(f"{blank()}{k}{blank()}:{blank()}{v}{blank()}" for k, v in members) + "}"
                + blank() + " " * self.random.choice([0, 0, 0, 1, 5])).encode("utf-8", "surrogatepass")

    def good(self):
        self.tightness = self.random.choice([1, 1, 1, 0.9, 0.3])
        tensors, size = self.tensors()
        return tensors, size, self.members(tensors)

    # --- one thing wrong (or odd) ------------------------------------------------------------------------------

    def odd_offsets(self, tensors, size):
        """Holes, overlaps, ties, sizes that do not fit, ends before begins."""
        if not tensors:
            return size
        for _ in range(self.random.choice([1, 1, 2])):
            tensor = self.random.choice(tensors)
            other = self.random.choice(tensors)
            what = self.random.randrange(12)
            if what == 0:
                tensor[3] = str(max(0, int(tensor[3]) + self.random.choice([-1, 1, 8])))
            elif what == 1:
                tensor[4] = str(max(0, int(tensor[4]) + self.random.choice([-1, 1, 8])))
            elif what == 2:
                tensor[3], tensor[4] = tensor[4], tensor[3]
            elif what == 3:
                tensor[3], tensor[4] = other[3], other[4]
            elif what == 4:
                tensor[2] = tensor[2] + [self.random.choice(["0", "1", "2", "4294967296", "9223372036854775808", "18446744073709551615"])]
            elif what == 5:
                tensor[2] = [self.random.choice(["0", "2", "4294967296", "18446744073709551615", "9223372036854775807"]) for _ in range(self.random.randrange(1, 5))]
            elif what == 6:
                tensor[1] = self.random.choice(NAMES)
            elif what == 7:
                size += self.random.choice([-1, 1, -8, 8])
            elif what == 8:
                tensor[4] = self.random.choice(["18446744073709551615", "9223372036854775808", "99999999999"])
            elif what == 9:
                tensors.remove(other)
                if not tensors:
                    break
            elif what == 10:
                tensors.append([other[0] + "+", other[1], list(other[2]), other[3], other[4]])
            else:
                tensor[3], other[3] = other[3], tensor[3]
        return max(0, size)

    def odd_number(self, tensors):
        if not tensors:
            return
        tensor = self.random.choice(tensors)
        number = self.random.choice(NUMBERS)
        what = self.random.randrange(3)
        if what == 0:
            tensor[2] = tensor[2] + [number]
        elif what == 1:
            tensor[3] = number
        else:
            tensor[4] = number

    def nest(self, depth):
        kinds = [self.random.random() < 0.5 for _ in range(depth)]
        inside = "" if self.random.random() < 0.5 else "1"
        if depth and not kinds[-1]:
            inside = "" if not inside else '"k":1'
        out = inside
        for is_array in reversed(kinds):
            out = f"[{out}]" if is_array else (f"{{{out}}}" if out in ("", '"k":1') else f'{{"k":{out}}}')
        return out

    def odd_member(self, members):
        """A member that should not be there, or not so."""
        random = self.random
        what = random.randrange(13)
        at = random.randrange(len(members) + 1)
        good = self.entry(["x", "U8", ["0"], "0", "0"])
        inside = ',"dtype":"U8","shape":[0],"data_offsets":[0,0]}'
        if what == 0:
            members.insert(at, (self.string(self.name()), random.choice(VALUES + NUMBERS)))
        elif what == 1:
            members.insert(at, (self.string(self.name()), '{"x":' + random.choice(VALUES + NUMBERS) + inside))
        elif what == 2:
            members.insert(at, ('"deep"', '{"x":' + self.nest(random.randrange(120, 131)) + inside))
        elif what == 3:
            members.insert(at, ('"deep"', self.nest(random.randrange(122, 131))))
        elif what == 4 and members:
            name = random.choice(members)[0]
            members.insert(at, (name, random.choice([good, good, "1", "{}", members[0][1], '{"dtype":"U8","shape":[3],"data_offsets":[7,1]}'])))
        elif what == 5:
            members.insert(at, (random.choice(['"__metadata__"', '"\\u005f_metadata__"']), random.choice(VALUES + ['{"a":"b"}', '{"a":1}', '{"a":null}', '{"a":{}}', good])))
        elif what == 6:
            field = random.choice(['"dtype":"U8"', '"shape":[0]', '"data_offsets":[0,0]', '"x":1'])
            members.insert(at, ('"twice"', "{" + field + inside))
        elif what == 7:
            parts = ['"dtype":"U8"', '"shape":[0]', '"data_offsets":[0,0]']
            parts[random.randrange(3)] = random.choice(["", '"dtype":' + random.choice(VALUES), '"shape":' + random.choice(VALUES + ['["1"]', "[1.5]", "[[1]]"]),
                                                        '"data_offsets":' + random.choice(VALUES + ["[0]", "[0,0,0]", "[0.0,0]", '["0","0"]', "[0,-0]"])])
            members.insert(at, ('"form"', "{" + ",".join(part for part in parts if part) + "}"))
        elif what == 8:
            parts = ['"U8"', "[0]", "[0,0]", "null", "1"][:random.choice([0, 1, 2, 3, 4, 5])]
            random.random() < 0.2 and random.shuffle(parts)
            members.insert(at, ('"array"', "[" + ",".join(parts) + "]"))
        elif what == 9:
            variant = random.choice(['{"U8":null}', '{"U8":{}}', '{"U8":[]}', '{"U8":null,"I8":null}', "{}", '{"U9":null}', '["U8"]', '"u8"', '"U8 "', '"FP8"', '{"U8":nul}', '{"U8"}'])
            members.insert(at, ('"dtype form"', '{"dtype":' + variant + ',"shape":[0],"data_offsets":[0,0]}'))
        elif what == 10:
            number = random.choice(NUMBERS)
            members.insert(at, ('"n"', '{"x":[' + number + '],"y":' + number + inside))
        elif what == 11 and members:
            members.pop(random.randrange(len(members)))
        else:
            members.insert(at, (self.string(self.name()), good))

    def odd_string(self, text):
        """One of the strings replaced by another, perhaps a bad one."""
        at = [i for i, c in enumerate(text) if c == 0x22]
        if len(at) < 2:
            return text
        first = self.random.randrange(len(at) - 1)
        return text[:at[first]] + self.random.choice(BAD_STRINGS) + text[at[first + 1] + 1:]

    def odd_bytes(self, text):
        text = bytearray(text)
        for _ in range(self.random.choice([1, 1, 1, 2, 3, 8])):
            at = self.random.randrange(len(text) + 1)
            what = self.random.randrange(8)
            if what == 0 and at < len(text):
                text[at] = self.random.choice(JSON_BYTES)
            elif what == 1:
                text[at:at] = bytes([self.random.choice(JSON_BYTES)])
            elif what == 2:
                del text[at:at + self.random.choice([1, 1, 2, 10])]
            elif what == 3 and at < len(text):
                text[at] ^= 1 << self.random.randrange(8)
            elif what == 4:
                del text[at:]
            elif what == 5:
                other = self.random.choice(self.recent)
                cut = self.random.randrange(len(other) + 1)
                text[at:] = other[cut:]
            elif what == 6:
                end = min(len(text), at + self.random.randrange(1, 40))
                text[at:at] = text[at:end]
            else:
                text[at:at] = self.random.choice([b"\xef\xbb\xbf", b",", b" ", b"\n", b"\x00", b"{}", b"null", b"\\u0041", b"\xc3", b"0"])
        return bytes(text)

    def odd_frame(self, header, data):
        """The eight bytes, and what stands behind the header."""
        length = len(header)
        what = self.random.randrange(7)
        if what == 0:
            length += self.random.choice([-1, 1, 1000, len(data), len(data) + 1, -length])
        elif what == 1:
            length = self.random.choice([0, 100_000_000, 100_000_001, 2**63, 2**64 - 1, 2**64 - 8, 2**64 - 9, 2**32, 0xFFFFFFFFFFFFFFF7])
        elif what == 2:
            return struct.pack("<Q", length)[:self.random.randrange(9)]
        elif what == 3:
            return (struct.pack("<Q", length) + header + data)[:self.random.randrange(8 + length + len(data) + 1)]
        elif what == 4:
            data += b"x" * self.random.randrange(1, 9)
        elif what == 5:
            data = data[:-1]
        else:
            return bytes(self.random.randrange(256) for _ in range(self.random.randrange(40)))
        return struct.pack("<Q", max(0, length) % 2**64) + header + data

    def file(self):
        """One file, and the name of what was done to it."""
        tensors, size, members = self.good()
        kind = self.random.choice(["good", "offsets", "offsets", "number", "member", "member", "member", "string", "bytes", "bytes", "frame", "several"])
        if kind in ("offsets", "several"):
            size = self.odd_offsets(tensors, size)
        if kind in ("number", "several"):
            self.odd_number(tensors)
        if kind in ("offsets", "number", "several"):
            members = self.members(tensors)
        if kind in ("member", "several"):
            for _ in range(self.random.choice([1, 1, 2])):
                self.odd_member(members)
        header = self.text(members)
        if kind == "good" or self.random.random() < 0.1:
            self.recent = self.recent[-30:] + [header]
        if kind == "string":
            header = self.odd_string(header)
        if kind == "bytes" or (kind == "several" and self.random.random() < 0.3):
            header = self.odd_bytes(header)
        data = b"\x55" * min(size, 4096)
        if kind == "frame":
            return self.odd_frame(header, data), kind
        return struct.pack("<Q", len(header)) + header + data, kind
