#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""summary.py JUNIT...: what ctest's --output-junit files say, in a few lines: how many passed, failed and were skipped, and why.

Exit 1 when a test failed or none passed: a run in which everything is skipped is not green.
"""
import os
import sys
import xml.etree.ElementTree as tree


def last_line(text):
    lines = [line.strip() for line in (text or "").splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"


passed, failed, skipped = 0, [], []
for path in sys.argv[1:]:
    preset = os.path.basename(os.path.dirname(path))
    for case in tree.parse(path).getroot().iter("testcase"):
        name = f"{preset}: {case.get('name')}"
        if case.get("status") == "run":
            passed += 1
        elif case.get("status") == "fail":
            failed.append(name)
        else:
            reason = last_line(case.findtext("system-out"))
            skipped.append(f"{name}: {reason.removeprefix('SKIP: ')}")

for line in skipped:
    print(f"SKIPPED {line}")
for line in failed:
    print(f"FAILED  {line}")
print(f"summary: {passed} passed, {len(failed)} failed, {len(skipped)} skipped")
sys.exit(1 if failed or not passed else 0)
