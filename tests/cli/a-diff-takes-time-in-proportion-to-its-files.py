# SPDX-License-Identifier: Apache-2.0
# Four times the keys of __metadata__, or four times the tensors, take about four times the processor's time to compare; what is
# quadratic takes sixteen times as long. Every other key has another value, one is only in the old file and one only in the new.
import resource

from wfs import *

PROPORTION = 9
NOISE = 0.1  # seconds: the least that the smaller one counts as


def seconds(*command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = weightfs("diff", "--json", *command, code=1, timeout=300)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return result.json(), after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def keys(count):
    old = {f"key {i}": "same" for i in range(count)} | {"a": "removed"}
    new = {f"key {i}": "same" if i % 2 else "changed" for i in range(count)} | {"b": "added"}
    save("old", {}, old)
    save("new", {}, new)
    diff, cost = seconds("old", "new")
    expected = [{"key": "a", "from": "removed", "to": None}]
    expected += [{"key": key, "from": "same", "to": "changed"} for key in sorted(old) if new.get(key) == "changed"]
    equal(diff["metadata"], expected + [{"key": "b", "from": None, "to": "added"}], f"differences of {count} keys")
    return cost


def tensors(count):
    def model(wrong):
        return {f"tensor {i}": ("U8", [1], bytes([wrong if i % 2 else 0])) for i in range(count)}
    save("old", model(1), {})
    save("new", model(2), {})
    diff, cost = seconds("old", "new")
    equal(len(diff["changes"]), count // 2, f"differences of {count} tensors")
    return cost


for what, smaller in (keys, 20000), (tensors, 5000):
    small, large = what(smaller), what(smaller * 4)
    print(f"{smaller} {what.__name__}: {small:.2f} s, four times as many: {large:.2f} s")
    equal(large < max(small, NOISE) * PROPORTION, True, f"whether {large:.2f} s are in proportion to {small:.2f} s")
