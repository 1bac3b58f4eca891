# SPDX-License-Identifier: Apache-2.0
"""scripts/bench reading --picture FILE: throughput by request size, and listing time by number of tensors, drawn beside plain files."""
import os
import statistics

from reading_sides import BIG, SIZES, make_files, make_many
from rounds import interleave

REQUESTS = [4 << 10, 16 << 10, 64 << 10, 128 << 10, 512 << 10, 1 << 20, 4 << 20]
COUNTS = [100, 1000, 10_000, 100_000]
COLOURS = {"plain": "#444444", "weightfs": "#1f77b4", "passthrough_hp": "#ff7f0e"}


def throughput(bench, rounds):
    """{(side, visit): [GB/s for each of REQUESTS]}"""
    lines = {}
    for size in REQUESTS:
        def job(side, size=size):
            path = side.tensor(BIG[0])
            side.drop(path)
            return [bench.ask("blocks", path, str(size)) for _ in range(2)]
        measured, _ = interleave({name: lambda side=side: job(side) for name, side in bench.sides().items()}, rounds)
        for name, visits in measured.items():
            for visit, what in enumerate(("first", "second")):
                if name != "plain" or visit:
                    time = statistics.median(times[visit] for times in visits)
                    lines.setdefault((name, what if name != "plain" else "cached"), []).append(SIZES[BIG[0]] / time)
    return lines


def listings(bench, rounds):
    """{side: [milliseconds for each of COUNTS]} of `ls -l`"""
    lines = {"plain": [], "weightfs": []}
    for count in COUNTS:
        files = bench.path(f"files.{count}")
        names = make_many(bench.path(f"{count}.safetensors"), count)
        if not os.path.exists(files):
            make_files(files, names)

        def mounted(count=count):
            mount = bench.weightfs(f"{count}.safetensors").start()
            try:
                return bench.ask("run", "ls", "-l", mount.tensor(""))
            finally:
                mount.stop()
        measured, _ = interleave({"weightfs": mounted, "plain": lambda files=files: bench.ask("run", "ls", "-l", files)}, rounds)
        for name, times in measured.items():
            lines[name].append(statistics.median(times) / 1e6)
    return lines


def draw(bench, rounds, path, caption):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.2))
    for (name, what), values in throughput(bench, rounds).items():
        left.plot([size >> 10 for size in REQUESTS], values, marker="o", color=COLOURS[name], label=f"{name}, {what}",
                  linestyle="--" if what == "second" else "-")
    left.set(xscale="log", yscale="log", xlabel="bytes of a read(2), KiB", ylabel="GB/s", title="a tensor of 1 GiB")
    bench.unmount()
    for name, values in listings(bench, rounds).items():
        right.plot(COUNTS, values, marker="o", color=COLOURS[name], label=f"{name}, " + ("cached" if name == "plain" else "first"))
    right.set(xscale="log", yscale="log", xlabel="tensors", ylabel="ms", title="ls -l")
    left.set_xticks([size >> 10 for size in REQUESTS])
    left.set_yticks([1, 2, 4, 8, 16, 32])
    right.set_xticks(COUNTS)
    for axes in (left, right):
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter("{x:,g}")
            axis.set_minor_formatter(ticker.NullFormatter())
        axes.grid(True, which="both", alpha=0.25)
        axes.legend(fontsize=8)
    figure.text(0.01, 0.01, caption, fontsize=6)
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    figure.savefig(path, dpi=90)
