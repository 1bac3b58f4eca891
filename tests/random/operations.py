# SPDX-License-Identifier: Apache-2.0
"""Random operations against a model in memory.

    python3 operations.py [--seed N] [--ops N] [--seconds N] [--directory DIR] [--replay FILE] [--no-shrink]

Sequences of operations chosen by a seed are done to a real mount (world.py) and to a model in memory (pending.py). The first
disagreement is printed with its seed and the last operations, and shrunk to a short sequence, which `--replay` does again.
"""
import argparse
import ast
import faulthandler
import os
import pathlib
import shutil
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))

from choose import Chooser  # noqa: E402
from world import Mismatch, World  # noqa: E402

SHRINK_SECONDS = int(os.environ.get("WEIGHTFS_RANDOM_SHRINK", "45"))
SILENCE_SECONDS = 60  # an operation that takes longer than that hangs


class Stuck(Exception):
    pass


def attempt(directory, seed, operations):
    """Does operations (an iterable, or a function of the world that gives one) in a world of its own. (done, error)."""
    place = tempfile.mkdtemp(prefix="world.", dir=directory)
    world = World(place, seed)
    done = []
    try:
        for operation in operations(world) if callable(operations) else operations:
            faulthandler.dump_traceback_later(SILENCE_SECONDS, exit=True)
            done.append(operation)
            begun = time.monotonic()
            world.do(operation)
            world.spent[operation[0]] = world.spent.get(operation[0], 0) + time.monotonic() - begun
        world.do(("verify",))
        if os.environ.get("WEIGHTFS_RANDOM_TIMES"):
            print({name: f"{spent:.2f} s, {1000 * spent / world.counts[name]:.2f} ms" for name, spent in sorted(world.spent.items(), key=lambda item: -item[1])})
        return done, None, world.counts
    except Exception as error:  # whatever it is, it is not what the model said
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        return done, error, world.counts
    finally:
        faulthandler.cancel_dump_traceback_later()
        world.end()
        shutil.rmtree(place, ignore_errors=True)


def kind_of(error):
    """Two failures are the same when their messages are, but for numbers."""
    text = "".join(c for c in str(error).split(":")[0] if not c.isdigit())
    return type(error).__name__, text[:40]


def shrink(directory, seed, operations, error, seconds):
    """A shorter sequence with the same failure."""
    deadline = time.monotonic() + seconds
    chunk = max(1, len(operations) // 2)
    while chunk:
        at = 0
        while at < len(operations) and time.monotonic() < deadline:
            shorter = operations[:at] + operations[at + chunk:]
            done, again, _ = attempt(directory, seed, shorter)
            if again is not None and kind_of(again) == kind_of(error):
                operations, error = done, again
            else:
                at += chunk
        if time.monotonic() >= deadline:
            break
        chunk = chunk // 2
    return operations, error


def chosen(seed, count, deadline):
    def operations(world):
        chooser = Chooser(world, seed)
        for _ in range(count):
            if deadline and time.monotonic() > deadline:
                return
            yield chooser.next()
    return operations


def report(directory, seed, done, error, shrinks):
    if not isinstance(error, Mismatch):
        import traceback
        traceback.print_exception(error)
    print(f"seed {seed}, operation {len(done)}: {type(error).__name__}: {error}")
    print("the last operations:")
    for operation in done[-12:]:
        print(f"    {operation!r}")
    if shrinks:
        short, error = shrink(directory, seed, done, error, SHRINK_SECONDS)
        print(f"shrunk to {len(short)} operations: {type(error).__name__}: {error}")
        done = short
        for operation in done[:60]:
            print(f"    {operation!r},")
    path = os.path.join(directory, f"failed.{seed}.ops")
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{operation!r}\n" for operation in [seed, *done])
    print(f"again: python3 {__file__} --replay {path}")


def run_seeds(directory, seeds, count, seconds=None, shrinks=True):
    """Exit status. `count` operations a seed; with `seconds`, until they have passed."""
    total, begun, totals = 0, time.monotonic(), {}
    deadline = begun + seconds if seconds else None
    for seed in seeds:
        done, error, counts = attempt(directory, seed, chosen(seed, count, deadline))
        total += len(done)
        for name, number in counts.items():
            totals[name] = totals.get(name, 0) + number
        if error is not None:
            report(directory, seed, done, error, shrinks)
            return 1
        if deadline and time.monotonic() > deadline:
            break
    took = time.monotonic() - begun
    print(f"{total} operations in {took:.1f} s, {total / took:.0f} a second: " + ", ".join(f"{totals[name]} {name}" for name in sorted(totals)))
    return 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", default="1")
    parser.add_argument("--ops", type=int, default=5000)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--directory", default=".")
    parser.add_argument("--replay")
    parser.add_argument("--no-shrink", action="store_true")
    options = parser.parse_args()
    directory = os.path.abspath(options.directory)
    if options.replay:
        with open(options.replay, encoding="utf-8") as file:
            seed, *operations = [ast.literal_eval(line) for line in file]
        done, error, _ = attempt(directory, seed, operations)
        print("no failure" if error is None else f"operation {len(done)}: {done[-1]!r}: {type(error).__name__}: {error}")
        return error is not None
    if options.seconds:
        seeds = (f"{options.seed}.{i}" for i in range(1 << 30))
        return run_seeds(directory, seeds, options.ops, options.seconds, not options.no_shrink)
    return run_seeds(directory, [options.seed], options.ops, None, not options.no_shrink)


if __name__ == "__main__":
    sys.exit(main())
